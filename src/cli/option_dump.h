/* The option table as JSON, for scripts/options.py. */
#ifndef S2A_CLI_OPTION_DUMP_H
#define S2A_CLI_OPTION_DUMP_H

#include "cli/option_table.h"

/* Prints {"commands":[...],"settings":[...]}; the exit status. */
int option_dump(const option_command *const *commands, size_t count);

#endif
