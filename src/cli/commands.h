/* The commands of the tool. argv[0] is the command's name, argv[argc] is NULL; the return value is
 * the exit status. program_run flushes stdout and detects write errors. */
#ifndef S2A_CLI_COMMANDS_H
#define S2A_CLI_COMMANDS_H

enum {
    EXIT_DONE = 0,
    EXIT_FAILED = 1,
    EXIT_USAGE = 2,
    EXIT_NO_MODEL = 3, /* backend or model not available */
    EXIT_FELL_BACK = 4 /* done, with a fallback, under --strict */
};

int cmd_ask(int argc, char **argv);
int cmd_attend(int argc, char **argv);
int cmd_chat(int argc, char **argv);
int cmd_pull(int argc, char **argv);
int cmd_models(int argc, char **argv);
int cmd_calibrate(int argc, char **argv);
int cmd_serve(int argc, char **argv);
int cmd_prune(int argc, char **argv);
int cmd_mcp(int argc, char **argv);
/* The option table as JSON. Not for people: scripts/options.py reads it. */
int cmd_options(int argc, char **argv);
/* Replaces this process by the command of that name in s2a-lab, which is beside this program or in
 * PATH. */
int cmd_lab(int argc, char **argv);

#endif
