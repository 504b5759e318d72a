/* Running one of a program's commands. */
#ifndef S2A_CLI_PROGRAM_H
#define S2A_CLI_PROGRAM_H

#include <stddef.h>

/* run: argv[0] is the command's name, argv[argc] is NULL; returns the exit status. */
typedef struct program_command {
    const char *name;
    int (*run)(int argc, char **argv);
} program_command;

/* Finds and runs the command, then flushes stdout and reports write errors. Returns the exit
 * status. */
int program_run(int argc, char **argv, const program_command *commands, size_t count,
                const char *help);

#endif
