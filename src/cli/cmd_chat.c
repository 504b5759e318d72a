/* s2a chat: a conversation in the terminal. */
#include "base/ascii.h"
#include "base/limits.h"
#include "cli/chat.h"
#include "cli/commands.h"
#include "cli/help.h"
#include "cli/line_input.h"
#include "cli/signals.h"
#include "cli/store.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The state that the commands use. */
typedef struct talk {
    chat chat;
    session s;
    bool done;
    bool gap; /* something was printed: print a blank line before the next output */
} talk;

/* ---- commands --------------------------------------------------------------------------- */

typedef struct talk_command {
    const char *name, *argument, *help;         /* argument NULL = takes none */
    bool (*run)(talk *t, const char *argument); /* true if it printed to stdout */
} talk_command;

static bool run_why(talk *t, const char *argument)
{
    (void)argument;
    return chat_why(&t->chat);
}

static bool run_plain(talk *t, const char *argument)
{
    (void)argument;
    return chat_plain(&t->chat);
}

static bool run_undo(talk *t, const char *argument)
{
    (void)argument;
    bool dropped = chat_undo(&t->chat);
    if (dropped)
        printf("The last exchange is dropped; %zu left.\n", t->chat.count);
    else
        term_say("/undo: there is no exchange to drop");
    return dropped;
}

static bool run_new(talk *t, const char *argument)
{
    (void)argument;
    while (chat_undo(&t->chat))
        continue;
    puts("The conversation is empty.");
    return true;
}

/* The mode of step 1 for the next message. */
static s2a_mode step1_mode(const session *s)
{
    const settings *set = &s->o->settings;
    return session_is_plain(s) ? S2A_MODE_NONE : s2a_engine_mode(s->engine, set->preset, set->mode);
}

static void print_model(const session *s)
{
    term_puts(&s->term, TERM_HEADING, s2a_engine_model(s->engine));
    printf(", step 1: %s\n", s2a_mode_name(step1_mode(s)));
}

static bool run_model(talk *t, const char *argument)
{
    s2a_error err = { .status = S2A_OK };
    bool changed = !*argument || session_model(&t->s, argument, &err) == S2A_OK;
    signals_take_interrupt();
    if (changed)
        print_model(&t->s);
    else
        term_say("/model: %s", err.message);
    return changed;
}

static bool run_quit(talk *t, const char *argument)
{
    (void)argument;
    t->done = true;
    return false;
}

static bool run_help(talk *t, const char *argument);

static const talk_command commands[] = {
    { "why", NULL, "the sentences of the last message with their scores", run_why },
    { "plain", NULL, "answer the last message again, without S2A", run_plain },
    { "undo", NULL, "drop the last exchange", run_undo },
    { "new", NULL, "forget the conversation", run_new },
    { "model", "[NAME]", "show the model, or change it; the conversation stays", run_model },
    { "help", NULL, "this list", run_help },
    { "quit", NULL, "end; so does Ctrl-D", run_quit },
};

static bool run_help(talk *t, const char *argument)
{
    (void)t, (void)argument;
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++)
        printf("  /%-5s %-6s  %s\n", commands[i].name,
               commands[i].argument ? commands[i].argument : "", commands[i].help);
    puts("  //TEXT         send a text that begins with a slash\n"
         "  \\ at the end   the line continues\n"
         "  Ctrl-C         cancel the answer, or clear the line");
    return true;
}

/* Without a terminal, prints a blank line between two outputs; on a terminal message_take prints
 * it. */
static void gap(talk *t)
{
    if (t->gap && !t->s.term.tty)
        putchar('\n');
    t->gap = false;
}

/* text: after the slash, NUL-terminated. */
static void command_run(talk *t, char *text)
{
    size_t n = strcspn(text, " \t\n");
    char *argument = text + n + strspn(text + n, " \t\n");
    size_t len = strlen(argument);
    while (len > 0 && ascii_space(argument[len - 1]))
        argument[--len] = '\0';
    for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++) {
        const talk_command *command = &commands[i];
        if (strlen(command->name) != n || memcmp(command->name, text, n) != 0)
            continue;
        if (len > 0 && !command->argument)
            term_say("/%s takes nothing after it; write // for a leading slash", command->name);
        else {
            gap(t);
            t->gap = command->run(t, argument);
        }
        return;
    }
    term_say("/%.*s: no such command; see /help, or write // for a leading slash",
             (int)(n < 40 ? n : 40), text);
}

/* ---- the conversation ------------------------------------------------------------------- */

static void message_take(talk *t, buf *message)
{
    if (ascii_blank(message->data, message->len))
        return;
    bool slash = message->data[0] == '/', twice = slash && message->data[1] == '/';
    if (slash && !twice) {
        command_run(t, message->data + 1);
    } else {
        gap(t);
        t->gap = chat_send(&t->chat, message->data + twice, message->len - twice);
    }
    if (t->s.term.tty && !t->done)
        putchar('\n');
    fflush(stdout);
}

/* The exit status. */
static int converse(talk *t, line_input *in)
{
    buf message;
    buf_init(&message, LIMIT_INPUT_BYTES);
    int code = EXIT_DONE;
    while (!t->done && term_ok()) {
        switch (line_input_next(in, &message)) {
        case LINE_INPUT_MESSAGE:
            message_take(t, &message);
            break;
        case LINE_INPUT_INTERRUPTED:
            break;
        case LINE_INPUT_TOO_LONG:
            term_say("the message has more than the limit of %zu bytes; shorten it",
                     LIMIT_INPUT_BYTES);
            break;
        case LINE_INPUT_FAILED:
            term_say("standard input: %s", strerror(errno));
            code = EXIT_FAILED;
            t->done = true;
            break;
        default:
            t->done = true;
        }
        t->done |= signals_caught() != 0;
    }
    buf_free(&message);
    return signals_caught() ? 128 + signals_caught() : code;
}

static char *history_file(bool wanted)
{
    char *dir = wanted ? store_private_dir("XDG_STATE_HOME", ".local/state/s2a", "") : NULL;
    char *path = dir ? store_path(dir, "chat_history", "") : NULL;
    free(dir);
    return path;
}

static int run(talk *t, const chat_options *o)
{
    int code = session_open(&t->s);
    if (code != EXIT_DONE)
        return code;
    line_input in;
    char *history = history_file(!o->no_history);
    if (!line_input_open(&in, &t->s.term, history)) {
        term_say("out of memory");
        code = EXIT_FAILED;
    } else {
        if (in.tty) {
            signals_converse();
            if (step1_mode(&t->s) == S2A_MODE_REWRITE)
                session_hint(&t->s);
        }
        if (in.tty && t->s.term.tty && !o->base.quiet) {
            print_model(&t->s);
            term_puts(&t->s.term, TERM_DIM, "/help lists the commands, Ctrl-D ends");
            fputs("\n\n", stdout);
        }
        t->s.stream = true;
        chat_begin(&t->chat, &t->s, o->system);
        code = converse(t, &in);
        chat_end(&t->chat);
    }
    line_input_close(&in);
    free(history);
    return code;
}

int cmd_chat(int argc, char **argv)
{
    chat_options o;
    s2a_error err = { .status = S2A_OK };
    s2a_status status = chat_options_read(&o, argc, argv, &err);
    talk t = { .s = { .o = &o.base } };
    term_init(&t.s.term, o.base.no_color, o.base.quiet);
    progress_init(&t.s.progress, &t.s.term);
    int code;
    bool goes_on = session_goes_on(&command_chat, &o.base, status, &err, &code);
    if (goes_on)
        code = session_begin(&t.s) ? run(&t, &o) : EXIT_FAILED;
    session_end(&t.s);
    options_free(&o.base);
    return code;
}
