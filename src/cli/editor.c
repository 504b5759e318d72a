/* The only file that includes histedit.h. */
#include "cli/editor.h"

#include "base/limits.h"
#include "base/utf8.h"
#include "cli/signals.h"

#include <errno.h>
#include <fcntl.h>
#include <histedit.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#define CTRL_C 3
#define PASTE_ON "\033[?2004h"
#define PASTE_OFF "\033[?2004l"

struct editor {
    EditLine *line;
    History *history;
    char *file; /* of the history; NULL = none */
    const char *prompt;
    char shown[64]; /* the prompt in its style */
    bool color, interrupted;
    struct winsize size;
};

static editor *editor_of(EditLine *line)
{
    void *e = NULL;
    el_get(line, EL_CLIENTDATA, &e);
    return e;
}

/* ---- keys ------------------------------------------------------------------------------- */

/* A byte of standard input: 1, 0 at its end, -1 after a signal or a failure. */
static int read_byte(char *byte)
{
    ssize_t n;
    do {
        if (!signals_wait_readable(STDIN_FILENO))
            return -1;
        n = read(STDIN_FILENO, byte, 1);
    } while (n < 0 && (errno == EINTR || errno == EAGAIN));
    return (int)n;
}

static wchar_t decoded(const char *text, size_t len)
{
    unsigned char first = (unsigned char)text[0];
    if (len == 0 || utf8_valid_prefix(text, len) < len)
        return 0xFFFD;
    unsigned code = len == 1 ? first : first & (0xFFu >> (len + 1));
    for (size_t i = 1; i < len; i++)
        code = code << 6 | ((unsigned char)text[i] & 0x3Fu);
    return (wchar_t)code;
}

/* libedit's own function would continue to read after a signal. */
static int read_character(EditLine *line, wchar_t *out)
{
    char text[4];
    int n = read_byte(text);
    if (n <= 0)
        return n;
    size_t len = utf8_length((unsigned char)text[0]), have = 1;
    for (; have < len && n > 0; have++)
        n = read_byte(text + have);
    if (n <= 0)
        return n;
    *out = decoded(text, len);
    editor *e = editor_of(line);
    struct winsize size;
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 &&
        (size.ws_col != e->size.ws_col || size.ws_row != e->size.ws_row)) {
        e->size = size;
        el_resize(line);
    }
    return 1;
}

static unsigned char on_interrupt(EditLine *line, int key)
{
    (void)key;
    editor_of(line)->interrupted = true;
    return CC_EOF;
}

/* While a line is edited the terminal sends no signals, so the editor restores its modes and
 * stops. */
static unsigned char on_suspend(EditLine *line, int key)
{
    (void)key;
    fputs(PASTE_OFF, stdout);
    fflush(stdout);
    el_set(line, EL_PREP_TERM, 0);
    kill(0, SIGTSTP);
    el_set(line, EL_PREP_TERM, 1);
    fputs(PASTE_ON, stdout);
    return CC_REDISPLAY;
}

/* Reads a pasted text up to its end mark, which is dropped. False without an end mark. */
static bool paste_read(EditLine *line, buf *text)
{
    static const char end[] = "\033[201~";
    const size_t end_len = sizeof end - 1;
    wchar_t key = 0;
    bool cr = false;
    while (el_wgetc(line, &key) == 1 && key != CTRL_C) {
        bool lf_of_crlf = cr && key == L'\n';
        cr = key == L'\r';
        char bytes[MB_LEN_MAX + 1];
        int n = wctomb(bytes, cr ? L'\n' : key);
        if (n > 0 && key != 0 && !lf_of_crlf)
            buf_add(text, bytes, (size_t)n);
        if (text->status == S2A_OK && text->len >= end_len &&
            !memcmp(text->data + text->len - end_len, end, end_len)) {
            text->len -= end_len;
            text->data[text->len] = '\0';
            return true;
        }
    }
    editor_of(line)->interrupted |= key == CTRL_C;
    return false;
}

static unsigned char on_paste(EditLine *line, int key)
{
    (void)key;
    buf text;
    buf_init(&text, LIMIT_INPUT_BYTES);
    bool whole = paste_read(line, &text);
    while (whole && text.len > 0 && text.data[text.len - 1] == '\n')
        text.data[--text.len] = '\0'; /* it would only put the cursor into an empty line */
    bool inserted = whole && (text.len == 0 || el_insertstr(line, text.data) == 0);
    buf_free(&text);
    return inserted ? CC_REFRESH : editor_of(line)->interrupted ? CC_EOF : CC_REFRESH_BEEP;
}

static void keys_bind(EditLine *line)
{
    static const char *const binds[][2] = {
        { "^C", "s2a-interrupt" },       { "^Z", "s2a-suspend" },
        { "\033[200~", "s2a-paste" },    { "^R", "em-inc-search-prev" },
        { "^W", "ed-delete-prev-word" }, { "\033[3~", "ed-delete-next-char" },
        { "\033[1~", "ed-move-to-beg" }, { "\033[4~", "ed-move-to-end" },
        { "\033[1;5C", "em-next-word" }, { "\033[1;5D", "ed-prev-word" },
    };
    el_wset(line, EL_ADDFN, L"s2a-interrupt", L"forget the line", on_interrupt);
    el_wset(line, EL_ADDFN, L"s2a-suspend", L"stop the program", on_suspend);
    el_wset(line, EL_ADDFN, L"s2a-paste", L"insert a pasted text", on_paste);
    el_set(line, EL_SETTY, "-d", "-isig", NULL);
    for (size_t i = 0; i < sizeof binds / sizeof binds[0]; i++)
        el_set(line, EL_BIND, binds[i][0], binds[i][1], NULL);
}

/* ---- the history ------------------------------------------------------------------------ */

/* Reads the file again: another conversation may have changed it. */
static void history_load(const editor *e)
{
    HistEvent event;
    struct stat st;
    if (stat(e->file, &st) != 0 || !S_ISREG(st.st_mode))
        return;
    history(e->history, &event, H_CLEAR);
    history(e->history, &event, H_LOAD, e->file);
}

/* Replaces the file; only this user can read it. */
static bool history_save(const editor *e)
{
    HistEvent event;
    buf name;
    buf_init(&name, LIMIT_CONFIG_BYTES);
    buf_adds(&name, e->file);
    buf_adds(&name, ".new");
    int fd = -1;
    if (name.status == S2A_OK)
        fd = open(name.data, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
    FILE *file = fd >= 0 ? fdopen(fd, "w") : NULL;
    if (fd >= 0 && !file)
        close(fd);
    bool written = file && history(e->history, &event, H_SAVE_FP, file) >= 0;
    written = file && fclose(file) == 0 && written;
    written = written && rename(name.data, e->file) == 0;
    buf_free(&name);
    return written;
}

void editor_remember(editor *e, const char *entry)
{
    HistEvent event;
    if (e->file)
        history_load(e);
    history(e->history, &event, H_ENTER, entry);
    if (e->file && !history_save(e)) {
        term_say("note: %s: %s; earlier lines are not saved", e->file, strerror(errno));
        free(e->file);
        e->file = NULL;
    }
}

/* ---- lines ------------------------------------------------------------------------------ */

static char *prompt_of(EditLine *line)
{
    editor *e = editor_of(line);
    size_t n = strcspn(e->prompt, " ");
    /* \1 encloses text of width 0; something must follow the last one. */
    snprintf(e->shown, sizeof e->shown, e->color ? "\1\033[1m\1%.*s\1\033[0m\1%s" : "%.*s%s",
             (int)n, e->prompt, e->prompt + n);
    return e->shown;
}

editor *editor_open(const term *t, const char *file)
{
    HistEvent event;
    const char *name = getenv("TERM");
    if (!name || !*name || !strcmp(name, "dumb"))
        return NULL;
    editor *e = calloc(1, sizeof *e);
    if (!e)
        return NULL;
    e->color = t->color;
    e->prompt = "";
    e->file = file ? bytes_dup(file, strlen(file)) : NULL;
    e->history = history_init();
    e->line = e->history ? el_init("s2a", stdin, stdout, stderr) : NULL;
    if (!e->line || (file && !e->file)) {
        editor_close(e);
        return NULL;
    }
    ioctl(STDOUT_FILENO, TIOCGWINSZ, &e->size);
    history(e->history, &event, H_SETSIZE, LIMIT_CHAT_HISTORY);
    history(e->history, &event, H_SETUNIQUE, 1);
    if (e->file)
        history_load(e);
    el_set(e->line, EL_CLIENTDATA, e);
    el_set(e->line, EL_SIGNAL, 0);
    el_set(e->line, EL_GETCFN, read_character);
    el_set(e->line, EL_PROMPT_ESC, prompt_of, '\1');
    el_set(e->line, EL_HIST, history, e->history);
    el_set(e->line, EL_EDITOR, "emacs");
    keys_bind(e->line);
    el_source(e->line, NULL); /* the user's ~/.editrc */
    return e;
}

void editor_close(editor *e)
{
    if (!e)
        return;
    if (e->line)
        el_end(e->line);
    if (e->history)
        history_end(e->history);
    free(e->file);
    free(e);
}

editor_line editor_next(editor *e, const char *prompt, buf *line)
{
    int count = 0;
    buf_reset(line);
    e->prompt = prompt;
    e->interrupted = false;
    fputs(PASTE_ON, stdout);
    const char *text = el_gets(e->line, &count);
    fputs(PASTE_OFF, stdout);
    bool stopped = e->interrupted || signals_caught();
    if (!text || stopped) {
        fputs(stopped ? "^C\n" : "\n", stdout);
        fflush(stdout);
        return stopped ? EDITOR_INTERRUPTED : EDITOR_END;
    }
    fflush(stdout);
    size_t len = (size_t)count;
    buf_add(line, text, len > 0 && text[len - 1] == '\n' ? len - 1 : len);
    buf_add(line, "", 0);
    return EDITOR_LINE;
}
