/* s2a ask and s2a attend: one prompt, or with --jsonl many. */
#include "base/error.h"
#include "cli/commands.h"
#include "cli/explain.h"
#include "cli/help.h"
#include "cli/input.h"
#include "cli/result_json.h"
#include "cli/session.h"
#include "cli/signals.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* ---- printing --------------------------------------------------------------------------- */

/* Prints a text, and a newline if it does not end in one. */
static void print_text(const session *s, const char *text, size_t len)
{
    term_write(&s->term, text, len);
    if (len == 0 || text[len - 1] != '\n')
        fputc('\n', stdout);
}

static void print_for_people(const session *s, const s2a_result *result, const s2a_result *plain)
{
    const term *t = &s->term;
    if (s->o->explain)
        explain_step1(t, result);
    if (plain)
        explain_compare(t, plain, result);
    else if (s->o->answer)
        explain_answer(t, result);
    if (s->o->answer)
        fputc('\n', stdout);
    explain_usage(t, result, plain);
}

/* S2A_OK, or an error other than stdout's, which program_run reports. */
static s2a_status print(const session *s, const s2a_result *result, const s2a_result *plain)
{
    const options *o = s->o;
    if (o->json)
        return result_json_write(&s->term, result_json(result, NULL, plain), true);
    if (o->explain || o->compare) {
        print_for_people(s, result, plain);
    } else if (!o->answer) {
        size_t len = 0;
        const char *text = s2a_result_rewritten(result, &len);
        print_text(s, text, len);
    } else if (s->streamed != '\n') {
        fputc('\n', stdout); /* the answer is printed already */
    }
    fflush(stdout);
    term_ok();
    return S2A_OK;
}

/* ---- one prompt ------------------------------------------------------------------------- */

static int run_one(session *s)
{
    const options *o = s->o;
    s2a_error err = { .status = S2A_OK };
    s2a_status status = input_from_options(o, s->request, &err);
    if (status != S2A_OK) {
        term_say("%s", err.message);
        return EXIT_FAILED;
    }
    int code = session_open(s);
    if (code != EXIT_DONE)
        return code;
    s->stream = o->answer && !o->json && !o->explain && !o->compare;
    s2a_result *result = NULL, *plain = NULL;
    status = session_run(s, &result, &plain, &err);
    code = status == S2A_OK ? EXIT_DONE : session_exit(status);
    if (result) {
        if (print(s, result, plain) == S2A_NOMEM) {
            status = error_nomem(&err);
            code = EXIT_FAILED;
        }
        session_note_fallback(s, s2a_result_fallback(result), s2a_result_fallback_detail(result));
        session_note_cut(s, result);
        if (code == EXIT_DONE && o->strict && s2a_result_fallback(result) != S2A_FALLBACK_NONE)
            code = EXIT_FELL_BACK;
    } else if (s->streamed && s->streamed != '\n') {
        fputc('\n', stdout); /* end the line of an incomplete answer */
        fflush(stdout);
        term_ok();
    }
    if (status == S2A_CANCELLED) /* by a signal, or because stdout is gone */
        code = signals_caught() ? 128 + signals_caught() : EXIT_FAILED;
    else if (status != S2A_OK)
        term_say("%s", err.message);
    s2a_result_free(result);
    s2a_result_free(plain);
    return code;
}

static int run(int argc, char **argv, bool answer)
{
    options o;
    s2a_error err = { .status = S2A_OK };
    s2a_status status = options_read(&o, answer, argc, argv, &err);
    session s = { .o = &o };
    term_init(&s.term, o.no_color, o.quiet);
    progress_init(&s.progress, &s.term);
    int code;
    bool goes_on =
        session_goes_on(answer ? &command_ask : &command_attend, &o, status, &err, &code);
    if (goes_on)
        code = !session_begin(&s) ? EXIT_FAILED : o.jsonl ? jsonl_run(&s) : run_one(&s);
    session_end(&s);
    options_free(&o);
    return code;
}

int cmd_ask(int argc, char **argv)
{
    return run(argc, argv, true);
}

int cmd_attend(int argc, char **argv)
{
    return run(argc, argv, false);
}
