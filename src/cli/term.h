/* Terminal output: colours, strike-through, widths, and visible control characters. A term
 * describes standard output. Text goes to stdout; program_run detects its errors. */
#ifndef S2A_CLI_TERM_H
#define S2A_CLI_TERM_H

#include "base/buf.h"

typedef struct term {
    bool tty; /* stdout is a terminal: make control characters visible */
    bool color;
    bool narration; /* stderr is a terminal on which a line can be redrawn */
    size_t columns; /* of stdout; 80 if unknown */
} term;

typedef enum term_style {
    TERM_PLAIN,
    TERM_HEADING,
    TERM_DIM,
    TERM_REMOVED, /* [-...-] without colours */
    TERM_ADDED,   /* {+...+} without colours */
    TERM_GREEN,
    TERM_YELLOW,
    TERM_RED,
} term_style;

/* Also sets a UTF-8 locale for the widths of characters. NO_COLOR and TERM can disable colours
 * too. */
void term_init(term *t, bool no_color, bool quiet);
/* Measures the width of stdout again. */
void term_measure(term *t);

/* Writes text to stdout. On a terminal, control characters except newline and tab become visible
 * (^[ for ESC); elsewhere the bytes are unchanged. False after a write error. */
bool term_write(const term *t, const char *text, size_t len);
bool term_style_write(const term *t, term_style style, const char *text, size_t len);
bool term_puts(const term *t, term_style style, const char *text);

/* Appends the text that term_style_write writes without colours. */
void term_style_add(term_style style, const char *text, size_t len, buf *out);

/* False once writing to stdout has failed. Remembers errno, so call it soon after writing. */
bool term_ok(void);
/* Flushes and closes stdout. 0, or the errno of the first failure. */
int term_finish(void);

/* The same as term_write, to a buffer. */
void term_visible(bool tty, const char *text, size_t len, buf *out);

/* The width in columns of a UTF-8 text; a tab or newline counts as 0. */
size_t term_width(const char *text, size_t len);

/* The next line, from *at on, of a text wrapped at columns (1 or more). Breaks after white space,
 * or inside a word that is longer than a line. The white space at the break belongs to no line.
 * False at the end; an empty text has no line. */
bool term_wrap(const char *text, size_t len, size_t columns, size_t *at, s2a_span *line);

/* How many bytes of text, in whole characters, fit into this number of columns. */
size_t term_fit(const char *text, size_t len, size_t columns);

/* Writes one line "s2a: ..." to stderr, above the progress line if there is one. Control characters
 * become visible; format must not end in a newline. */
void term_say(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* Sends the lines of term_say to sink; NULL = to stderr, which may block. Any thread. */
typedef struct term_sink {
    void (*put)(void *ctx, const char *line, size_t len);
    void *ctx;
} term_sink;
void term_say_through(const term_sink *sink);

#endif
