/* The program s2a. */
#include "cli/commands.h"
#include "cli/help.h"
#include "cli/program.h"

int main(int argc, char **argv)
{
    static const program_command commands[] = {
        { "ask", cmd_ask },         { "attend", cmd_attend }, { "chat", cmd_chat },
        { "prune", cmd_prune },     { "mcp", cmd_mcp },       { "serve", cmd_serve },
        { "pull", cmd_pull },       { "models", cmd_models }, { "calibrate", cmd_calibrate },
        { "eval", cmd_lab },        { "bench", cmd_lab },     { "probe", cmd_lab },
        { "options", cmd_options },
    };
    return program_run(argc, argv, commands, sizeof commands / sizeof commands[0], help_main);
}
