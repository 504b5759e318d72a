/* The reading of a command line by the rows of option_table.h. One thread. */
#ifndef S2A_CLI_ARGS_H
#define S2A_CLI_ARGS_H

#include "cli/option_table.h"

/* into begins with an options, and all of it is zero or a default. Puts the rows' defaults in, then what
 * argv says; with help or version nothing behind it is read. Then argv[optind] is the first word
 * that is no option. The settings' other sources are left to settings_complete. S2A_ARGUMENT;
 * S2A_NOMEM. settings_free on into's also after a failure. */
s2a_status args_read(const option_command *command, void *into, int argc, char **argv,
                     s2a_error *err);

/* Reads text as the row's value into its place in base. where: its place in messages, "--top-p". */
s2a_status args_take(const option_row *row, void *base, const char *where, const char *text,
                     s2a_error *err);

#endif
