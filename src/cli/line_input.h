/* Reads the user's messages of a conversation: with an editor if standard input and output are a
 * terminal, otherwise line by line from standard input. One thread. */
#ifndef S2A_CLI_LINE_INPUT_H
#define S2A_CLI_LINE_INPUT_H

#include "cli/editor.h"
#include "cli/files.h"

typedef struct line_input {
    const term *t;
    bool tty;       /* standard input is a terminal: print prompts */
    editor *editor; /* NULL: lines is used */
    files_lines lines;
} line_input;

typedef enum line_input_got {
    LINE_INPUT_MESSAGE,
    LINE_INPUT_END,
    LINE_INPUT_INTERRUPTED, /* Ctrl-C at the prompt: the typed text is dropped */
    LINE_INPUT_STOPPED,     /* another signal, or SIGINT without a terminal: end */
    LINE_INPUT_TOO_LONG,    /* more than LIMIT_INPUT_BYTES; it was skipped */
    LINE_INPUT_FAILED,      /* errno says why */
} line_input_got;

/* t must live longer. history: a file of earlier lines; NULL = none. False when out of memory. */
bool line_input_open(line_input *in, const term *t, const char *history);
void line_input_close(line_input *in);

/* The next line; lines that end in a backslash are joined by newlines. *message is emptied first.
 */
line_input_got line_input_next(line_input *in, buf *message);

#endif
