#include "cli/line_input.h"

#include "base/ascii.h"
#include "base/limits.h"
#include "cli/signals.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

bool line_input_open(line_input *in, const term *t, const char *history)
{
    *in = (line_input){ .t = t, .tty = isatty(STDIN_FILENO) == 1 };
    if (in->tty && t->tty)
        in->editor = editor_open(t, history);
    return files_lines_init(&in->lines, STDIN_FILENO, LIMIT_INPUT_BYTES);
}

void line_input_close(line_input *in)
{
    editor_close(in->editor);
    files_lines_free(&in->lines);
}

static line_input_got stopped(const line_input *in)
{
    return in->tty && signals_take_interrupt() ? LINE_INPUT_INTERRUPTED
           : signals_caught()                  ? LINE_INPUT_STOPPED
                                               : LINE_INPUT_INTERRUPTED;
}

static line_input_got edited_line(const line_input *in, const char *prompt, buf *line)
{
    switch (editor_next(in->editor, prompt, line)) {
    case EDITOR_LINE:
        return line->status == S2A_LIMIT ? LINE_INPUT_TOO_LONG : LINE_INPUT_MESSAGE;
    case EDITOR_INTERRUPTED:
        return stopped(in);
    default:
        return LINE_INPUT_END;
    }
}

/* The terminal edits the line itself, and drops it after Ctrl-C. */
static line_input_got plain_line(line_input *in, const char *prompt, buf *line)
{
    FILE *out = in->t->tty ? stdout : stderr;
    if (in->tty) {
        fputs(prompt, out);
        fflush(out);
    }
    files_line got = files_lines_next(&in->lines);
    if (in->tty && got != FILES_LINE && got != FILES_TOO_LONG) {
        fputc('\n', out);
        fflush(out);
    }
    buf_reset(line);
    switch (got) {
    case FILES_LINE:
        buf_add(line, in->lines.line.data, in->lines.line.len);
        return LINE_INPUT_MESSAGE;
    case FILES_TOO_LONG:
        return LINE_INPUT_TOO_LONG;
    case FILES_STOPPED:
        return stopped(in);
    case FILES_FAILED:
        return LINE_INPUT_FAILED;
    default:
        return LINE_INPUT_END;
    }
}

static line_input_got next_line(line_input *in, const char *prompt, buf *line)
{
    line_input_got got = in->editor ? edited_line(in, prompt, line) : plain_line(in, prompt, line);
    if (got == LINE_INPUT_MESSAGE && line->status == S2A_NOMEM) {
        errno = ENOMEM;
        return LINE_INPUT_FAILED;
    }
    return got;
}

/* Removes newlines and carriage returns at the end of a message. */
static void trim(buf *message)
{
    while (message->len > 0 &&
           (message->data[message->len - 1] == '\n' || message->data[message->len - 1] == '\r'))
        message->data[--message->len] = '\0';
}

line_input_got line_input_next(line_input *in, buf *message)
{
    buf line;
    buf_init(&line, LIMIT_INPUT_BYTES);
    buf_reset(message);
    line_input_got got = next_line(in, "> ", &line);
    bool more = true;
    while (got == LINE_INPUT_MESSAGE && more) {
        more = line.len > 0 && line.data[line.len - 1] == '\\';
        buf_add(message, line.data, line.len - more);
        if (!more)
            break;
        buf_adds(message, "\n");
        got = next_line(in, ". ", &line);
    }
    buf_free(&line);
    if (got == LINE_INPUT_END && message->len > 0)
        got = LINE_INPUT_MESSAGE;
    if (got != LINE_INPUT_MESSAGE)
        return got;
    buf_add(message, "", 0);
    if (message->status == S2A_LIMIT)
        return LINE_INPUT_TOO_LONG;
    if (message->status == S2A_NOMEM) {
        errno = ENOMEM;
        return LINE_INPUT_FAILED;
    }
    trim(message);
    if (in->editor && !ascii_blank(message->data, message->len))
        editor_remember(in->editor, message->data);
    return LINE_INPUT_MESSAGE;
}
