/* s2a eval, bench and probe: the laboratory is a separate program. */
#include "base/buf.h"
#include "cli/commands.h"
#include "cli/term.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LAB "s2a-lab"

/* Prefers the one beside this program: it has the same version. */
static void run(char **argv)
{
    char path[PATH_MAX + sizeof LAB];
    ssize_t len = readlink("/proc/self/exe", path, PATH_MAX);
    size_t dir = len > 0 ? (size_t)len : 0;
    while (dir > 0 && path[dir - 1] != '/')
        dir--;
    if (dir > 0) {
        memcpy(path + dir, LAB, sizeof LAB);
        execv(path, argv);
    }
    if (dir == 0 || errno == ENOENT)
        execvp(LAB, argv);
}

int cmd_lab(int argc, char **argv)
{
    char **words = calloc((size_t)argc + 2, sizeof *words), name[] = LAB;
    if (!words) {
        term_say("out of memory");
        return EXIT_FAILED;
    }
    words[0] = name;
    memcpy(words + 1, argv, (size_t)argc * sizeof *words);
    run(words);
    if (errno == ENOENT)
        term_say("%s: this command is in " LAB
                 ", which is not installed; build it (make lab) and put it beside s2a",
                 argv[0]);
    else
        term_say("%s: cannot run " LAB ": %s", argv[0], strerror(errno));
    free(words);
    return EXIT_FAILED;
}
