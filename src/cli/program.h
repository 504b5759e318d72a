/* What a program with commands does around them. */
#ifndef S2A_CLI_PROGRAM_H
#define S2A_CLI_PROGRAM_H

#include <stddef.h>

/* run: argv[0] is the command's own name, argv[argc] is NULL; what is returned is the exit status. */
typedef struct program_command {
    const char *name;
    int (*run)(int argc, char **argv);
} program_command;

/* Finds the command, and sees to it that what was printed has arrived. The exit status. */
int program_run(int argc, char **argv, const program_command *commands, size_t count, const char *help);

#endif
