#include "cli/option_dump.h"
#include "cli/program.h"
#include "lab.h"

static int cmd_lab_options(int argc, char **argv)
{
    static const option_command *const commands[] = { &command_eval, &command_bench };
    (void)argc, (void)argv;
    return option_dump(commands, sizeof commands / sizeof commands[0]);
}

int main(int argc, char **argv)
{
    static const program_command commands[] = {
        { "eval", cmd_eval },
        { "bench", cmd_bench },
        { "bench-worker", cmd_bench_worker },
        { "probe", cmd_probe },
        { "options", cmd_lab_options },
    };
    return program_run(argc, argv, commands, sizeof commands / sizeof commands[0], help_lab);
}
