/* Reads a command line by the rows of option_table.h. One thread. */
#ifndef S2A_CLI_ARGS_H
#define S2A_CLI_ARGS_H

#include "cli/option_table.h"

/* Fills *into, a structure that begins with an options and is zero or has defaults: first the rows'
 * defaults, then argv's values. Words after --help or --version are not read. argv[optind] is then
 * the first word that is not an option. settings_complete reads the settings' other sources.
 * S2A_ARGUMENT, S2A_NOMEM; settings_free must be called also after a failure. */
s2a_status args_read(const option_command *command, void *into, int argc, char **argv,
                     s2a_error *err);

/* Reads text as the row's value into its place in base. where: its name in messages, "--top-p". */
s2a_status args_take(const option_row *row, void *base, const char *where, const char *text,
                     s2a_error *err);

#endif
