/* What a terminal can show: colours, strike-through, widths, and control characters made visible. A
 * term describes standard output; written text goes to stdout, whose errors main finds. */
#ifndef S2A_CLI_TERM_H
#define S2A_CLI_TERM_H

#include "base/buf.h"

typedef struct term {
    bool tty; /* control characters must not get through */
    bool color;
    bool narration; /* stderr is a terminal on which a line can be drawn again */
    size_t columns; /* of stdout, 80 where that is not known */
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

/* Also chooses a UTF-8 locale for the widths of characters. no_color beside NO_COLOR and TERM. */
void term_init(term *t, bool no_color, bool quiet);

/* Text to stdout. On a terminal, control characters other than newline and tab become marks that
 * can be seen (^[ for ESC); elsewhere the bytes are written as they are. False after a write
 * error. */
bool term_write(const term *t, const char *text, size_t len);
bool term_style_write(const term *t, term_style style, const char *text, size_t len);
bool term_puts(const term *t, term_style style, const char *text);

/* What term_style_write writes without colours. */
void term_style_add(term_style style, const char *text, size_t len, buf *out);

/* False once writing to stdout has failed; then remembers errno, so it is asked soon after. */
bool term_ok(void);
/* Writes what is left and closes stdout: 0, or the errno of the first failure seen. */
int term_finish(void);

/* The same as term_write to a buffer. */
void term_visible(bool tty, const char *text, size_t len, buf *out);

/* Columns that a UTF-8 text takes up; a tab or newline counts as none. */
size_t term_width(const char *text, size_t len);

/* The next line of text when it is wrapped at columns (1 or more), from *at on: breaks after white
 * space, or inside a word that is longer than a line. The white space at the break belongs to no
 * line. False at the end; an empty text has no line. */
bool term_wrap(const char *text, size_t len, size_t columns, size_t *at, s2a_span *line);

/* Bytes of text that fit into so many columns, in whole characters. */
size_t term_fit(const char *text, size_t len, size_t columns);

/* One line "s2a: ..." on stderr, above the progress line if there is one. Control characters are
 * made visible; format must not end in a newline. */
void term_say(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* Where such lines go from now on; NULL: to stderr again, which may block. Any thread. */
typedef struct term_sink {
    void (*put)(void *ctx, const char *line, size_t len);
    void *ctx;
} term_sink;
void term_say_through(const term_sink *sink);

#endif
