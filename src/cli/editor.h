/* Line editing on a terminal, with a history. One editor in a process, one thread. */
#ifndef S2A_CLI_EDITOR_H
#define S2A_CLI_EDITOR_H

#include "cli/term.h"

typedef enum editor_line {
    EDITOR_LINE,
    EDITOR_END,         /* Ctrl-D in an empty line, or the terminal is gone */
    EDITOR_INTERRUPTED, /* Ctrl-C, or a signal: see signals.h */
} editor_line;

typedef struct editor editor;

/* Standard input and output must be a terminal. history: a file of earlier lines, created if it is
 * missing; NULL = none. NULL if this build has no editor, the terminal is too simple for one, or
 * when out of memory; then lines are read without an editor. */
editor *editor_open(const term *t, const char *history);
void editor_close(editor *e);

/* Prints the prompt and puts a line, without its newline, into *line, which is emptied first. A
 * pasted text may have several lines. */
editor_line editor_next(editor *e, const char *prompt, buf *line);

/* Adds an entry to the history and its file. */
void editor_remember(editor *e, const char *entry);

#endif
