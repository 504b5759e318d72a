/* The tool: finds the command, and sees to it that what was printed has arrived. */
#include "cli/commands.h"
#include "cli/help.h"
#include "cli/term.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static int cmd_help(int argc, char **argv);
static int cmd_version(int argc, char **argv);

static const struct command {
    const char *name;
    int (*run)(int argc, char **argv);
} commands[] = {
    { "ask", cmd_ask },    { "attend", cmd_attend },
    { "pull", cmd_pull },  { "models", cmd_models },
    { "help", cmd_help },  { "--help", cmd_help },
    { "-h", cmd_help },    { "--version", cmd_version },
    { "-V", cmd_version }, { "serve", cmd_serve },
    { "probe", cmd_probe }, { "eval", cmd_eval }, { "calibrate", cmd_calibrate },
    { "bench", cmd_bench }, { "bench-worker", cmd_bench_worker },
};

static int cmd_version(int argc, char **argv)
{
    (void)argc;
    (void)argv;
    help_version();
    return EXIT_DONE;
}

static int command_run(const char *name, int argc, char **argv)
{
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++)
        if (!strcmp(name, commands[i].name))
            return commands[i].run(argc, argv);
    term_say("%.100s: no such command; see s2a --help, or ask with s2a ask \"...\"", name);
    return EXIT_USAGE;
}

/* `s2a help`, and `s2a help COMMAND`, which is `s2a COMMAND --help`. */
static int cmd_help(int argc, char **argv)
{
    if (argc > 1 && argv[1][0] != '-' && strcmp(argv[1], "help") != 0) {
        char flag[] = "--help";
        char *arguments[] = { argv[1], flag, NULL };
        return command_run(argv[1], 2, arguments);
    }
    fputs(help_main, stdout);
    return EXIT_DONE;
}

/* A file that is opened later must not take the number of a standard stream that was closed. What
 * takes its place fails when it is used. */
static void streams_hold(void)
{
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
        if (fcntl(fd, F_GETFD) == -1 && errno == EBADF)
            open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY);
}

int main(int argc, char **argv)
{
    streams_hold();
    /* A reader that has gone, and a file past its size limit, are failed writes. */
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN);
    int status = EXIT_USAGE;
    if (argc < 2)
        fputs(help_main, stderr);
    else
        status = command_run(argv[1], argc - 1, argv + 1);
    int reason = term_finish();
    if (reason) {
        if (reason != EPIPE) /* who closed the pipe knows */
            term_say("standard output: %s; what was printed is not complete", strerror(reason));
        status = status == EXIT_DONE || status == EXIT_FELL_BACK ? EXIT_FAILED : status;
    }
    return status;
}
