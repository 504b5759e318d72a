#include "cli/program.h"
#include "lab.h"

int main(int argc, char **argv)
{
    static const program_command commands[] = {
        { "eval", cmd_eval }, { "bench", cmd_bench }, { "bench-worker", cmd_bench_worker }, { "probe", cmd_probe },
    };
    return program_run(argc, argv, commands, sizeof commands / sizeof commands[0], help_lab);
}
