#include "cli/term.h"

#include <errno.h>
#include <langinfo.h>
#include <locale.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <wchar.h>

static const struct {
    const char *on, *open, *close; /* on: with colours; open, close: marks without */
} styles[] = {
    [TERM_PLAIN] = { "", "", "" },
    [TERM_HEADING] = { "\033[1m", "", "" },
    [TERM_DIM] = { "\033[2m", "", "" },
    [TERM_REMOVED] = { "\033[2;9;31m", "[-", "-]" },
    [TERM_ADDED] = { "\033[4;32m", "{+", "+}" },
    [TERM_GREEN] = { "\033[32m", "", "" },
    [TERM_YELLOW] = { "\033[33m", "", "" },
    [TERM_RED] = { "\033[31m", "", "" },
};

static size_t columns_of(int fd)
{
    struct winsize size;
    if (ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_col > 0)
        return size.ws_col;
    const char *variable = getenv("COLUMNS");
    long columns = variable ? strtol(variable, NULL, 10) : 0;
    return columns > 0 && columns < 10000 ? (size_t)columns : 80;
}

void term_init(term *t, bool no_color, bool quiet)
{
    /* wcwidth needs a UTF-8 locale; our texts are always UTF-8. */
    if (!setlocale(LC_CTYPE, "") || strcmp(nl_langinfo(CODESET), "UTF-8") != 0)
        setlocale(LC_CTYPE, "C.UTF-8");
    const char *name = getenv("TERM"), *variable = getenv("NO_COLOR");
    bool able = name && *name && strcmp(name, "dumb") != 0;
    t->tty = isatty(STDOUT_FILENO) == 1;
    t->color = t->tty && able && !no_color && !(variable && *variable);
    t->narration = isatty(STDERR_FILENO) == 1 && able && !quiet;
    term_measure(t);
}

void term_measure(term *t)
{
    t->columns = columns_of(STDOUT_FILENO);
}

/* ---- characters ------------------------------------------------------------------------- */

/* The character at text[i] and its length; a byte that is not UTF-8 stands for itself. */
static size_t character(const char *text, size_t len, size_t i, unsigned *code)
{
    unsigned char first = (unsigned char)text[i];
    size_t n = first >= 0xF0 ? 4 : first >= 0xE0 ? 3 : first >= 0xC0 ? 2 : 1;
    if (n > len - i)
        n = 1;
    *code = n == 1 ? first : first & (0xFFu >> (n + 1));
    for (size_t k = 1; k < n; k++)
        *code = *code << 6 | ((unsigned char)text[i + k] & 0x3Fu);
    return n;
}

static size_t code_width(unsigned code)
{
    if (code < 0x20)
        return 0;
    int width = wcwidth((wchar_t)code);
    return width < 0 ? 1 : (size_t)width;
}

size_t term_width(const char *text, size_t len)
{
    size_t width = 0;
    for (size_t i = 0; i < len;) {
        unsigned code;
        i += character(text, len, i, &code);
        width += code_width(code);
    }
    return width;
}

size_t term_fit(const char *text, size_t len, size_t columns)
{
    size_t width = 0, i = 0;
    while (i < len) {
        unsigned code;
        size_t n = character(text, len, i, &code);
        width += code_width(code);
        if (width > columns)
            break;
        i += n;
    }
    return i;
}

bool term_wrap(const char *text, size_t len, size_t columns, size_t *at, s2a_span *line)
{
    if (*at >= len)
        return false;
    size_t start = *at;
    const char *newline = memchr(text + start, '\n', len - start);
    size_t end = newline ? (size_t)(newline - text) : len;
    size_t cut = start + term_fit(text + start, end - start, columns);
    if (cut == end) {
        *line = (s2a_span){ start, end };
        *at = end + (newline ? 1 : 0);
        return true;
    }
    if (cut == start) { /* a wide character in one column */
        unsigned code;
        cut += character(text, len, start, &code);
    }
    size_t space = cut;
    while (space > start && text[space] != ' ')
        space--;
    if (space > start) {
        *line = (s2a_span){ start, space };
        while (space < end && text[space] == ' ')
            space++;
        *at = space;
    } else {
        *line = (s2a_span){ start, cut };
        *at = cut;
    }
    return true;
}

/* ---- writing ---------------------------------------------------------------------------- */

/* The mark for a control character; NULL for all others. C0 characters get their keyboard names
 * (^[). DEL and C1 are written as in JSON, so that JSON stays valid. */
static const char *mark(unsigned code, char text[8])
{
    if (code < 0x20 && code != '\n' && code != '\t')
        snprintf(text, 8, "^%c", (char)(code + '@'));
    else if (code >= 0x7F && code < 0xA0)
        snprintf(text, 8, "\\u%04X", code);
    else
        return NULL;
    return text;
}

void term_visible(bool tty, const char *text, size_t len, buf *out)
{
    size_t done = 0;
    for (size_t i = 0; tty && i < len;) {
        unsigned code;
        size_t n = character(text, len, i, &code);
        char name[8];
        if (mark(code, name)) {
            buf_add(out, text + done, i - done);
            buf_adds(out, name);
            done = i + n;
        }
        i += n;
    }
    buf_add(out, text + done, len - done);
}

/* stdio remembers that a write failed but not why, and errno may have changed since (isatty, a
 * signal). The output is incomplete already: writing another newline gets the reason. */
static int stdout_errno;

static int why_not(void)
{
    ssize_t n;
    do
        n = write(STDOUT_FILENO, "\n", 1);
    while (n < 0 && errno == EINTR);
    return n < 0 ? errno : EIO;
}

bool term_ok(void)
{
    if (ferror(stdout) && !stdout_errno)
        stdout_errno = why_not();
    return !ferror(stdout);
}

int term_finish(void)
{
    term_ok();
    errno = 0;
    if (fclose(stdout) != 0 && !stdout_errno)
        stdout_errno = errno ? errno : EIO;
    return stdout_errno;
}

bool term_write(const term *t, const char *text, size_t len)
{
    size_t done = 0;
    for (size_t i = 0; t->tty && i < len;) {
        unsigned code;
        size_t n = character(text, len, i, &code);
        char name[8];
        if (mark(code, name)) {
            fwrite(text + done, 1, i - done, stdout);
            fputs(name, stdout);
            done = i + n;
        }
        i += n;
    }
    fwrite(text + done, 1, len - done, stdout);
    return term_ok();
}

bool term_style_write(const term *t, term_style style, const char *text, size_t len)
{
    if (style == TERM_PLAIN || len == 0)
        return term_write(t, text, len);
    if (!t->color) {
        fputs(styles[style].open, stdout);
        term_write(t, text, len);
        fputs(styles[style].close, stdout);
        return term_ok();
    }
    /* Each line is styled separately: pagers drop the style at a line's end. */
    for (size_t i = 0; i < len;) {
        const char *newline = memchr(text + i, '\n', len - i);
        size_t n = newline ? (size_t)(newline - (text + i)) : len - i;
        if (n > 0) {
            fputs(styles[style].on, stdout);
            term_write(t, text + i, n);
            fputs("\033[0m", stdout);
        }
        if (newline)
            fputc('\n', stdout);
        i += n + (newline ? 1 : 0);
    }
    return term_ok();
}

void term_style_add(term_style style, const char *text, size_t len, buf *out)
{
    buf_adds(out, styles[style].open);
    buf_add(out, text, len);
    buf_adds(out, styles[style].close);
}

bool term_puts(const term *t, term_style style, const char *text)
{
    return term_style_write(t, style, text, strlen(text));
}

static _Atomic(const term_sink *) said;

void term_say_through(const term_sink *sink)
{
    atomic_store(&said, sink);
}

void term_say(const char *format, ...)
{
    char text[1024];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    buf line;
    buf_init(&line, 16384);
    bool tty = isatty(STDERR_FILENO) == 1;
    const char *name = getenv("TERM");
    if (tty && name && *name && strcmp(name, "dumb") != 0)
        buf_adds(&line, "\r\033[K");
    buf_adds(&line, "s2a: ");
    term_visible(tty, text, strlen(text), &line);
    buf_adds(&line, "\n");
    /* One call, so that lines of different threads do not mix. */
    const term_sink *sink = atomic_load(&said);
    if (line.status == S2A_OK && sink)
        sink->put(sink->ctx, line.data, line.len);
    else if (line.status == S2A_OK)
        fwrite(line.data, 1, line.len, stderr);
    buf_free(&line);
}
