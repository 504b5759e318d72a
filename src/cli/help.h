/* The tool's commands, and what --help and --version print. */
#ifndef S2A_CLI_HELP_H
#define S2A_CLI_HELP_H

#include "cli/option_table.h"

extern const option_command command_ask, command_attend, command_chat, command_serve, command_pull,
    command_models, command_calibrate, command_prune, command_mcp;

extern const char help_main[];

void help_print(const option_command *command);
void help_version(void);

#endif
