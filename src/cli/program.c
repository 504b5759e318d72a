#include "cli/program.h"

#include "cli/commands.h"
#include "cli/help.h"
#include "cli/term.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

typedef struct program {
    const program_command *commands;
    size_t count;
    const char *help;
} program;

static bool is_help(const char *word)
{
    return !strcmp(word, "help") || !strcmp(word, "--help") || !strcmp(word, "-h");
}

/* `s2a help COMMAND` is `s2a COMMAND --help`. */
static int command_run(const program *p, int argc, char **argv)
{
    char flag[] = "--help";
    bool help = is_help(argv[0]);
    char *asked[] = { argc > 1 ? argv[1] : NULL, flag, NULL };
    if (help && (argc < 2 || argv[1][0] == '-' || !strcmp(argv[1], "help"))) {
        fputs(p->help, stdout);
        return EXIT_DONE;
    }
    if (!strcmp(argv[0], "--version") || !strcmp(argv[0], "-V")) {
        help_version();
        return EXIT_DONE;
    }
    if (help) {
        argv = asked;
        argc = 2;
    }
    for (size_t i = 0; i < p->count; i++)
        if (!strcmp(argv[0], p->commands[i].name))
            return p->commands[i].run(argc, argv);
    term_say("%.100s: no such command; see s2a --help, or ask with s2a ask \"...\"", argv[0]);
    return EXIT_USAGE;
}

/* Reserves the numbers of closed standard streams, so that files that are opened later do not get
 * them. Reads and writes of these streams fail. */
static void streams_hold(void)
{
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
        if (fcntl(fd, F_GETFD) == -1 && errno == EBADF)
            open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY);
}

int program_run(int argc, char **argv, const program_command *commands, size_t count,
                const char *help)
{
    program p = { commands, count, help };
    streams_hold();
    /* A closed pipe, or a file past its size limit, is then a failed write. */
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN);
    int status = EXIT_USAGE;
    if (argc < 2)
        fputs(help, stderr);
    else
        status = command_run(&p, argc - 1, argv + 1);
    int reason = term_finish();
    if (reason) {
        if (reason != EPIPE) /* a reader that closed the pipe needs no message */
            term_say("standard output: %s; what was printed is not complete", strerror(reason));
        status = status == EXIT_DONE || status == EXIT_FELL_BACK ? EXIT_FAILED : status;
    }
    return status;
}
