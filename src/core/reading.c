#include "core/reading.h"

#include "backend/backend.h"
#include "base/ascii.h"
#include "base/cancel.h"
#include "base/error.h"
#include "base/limits.h"
#include "base/usage.h"
#include "core/window.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const char again_system[] =
    "You decide which sentences of a prompt are needed to answer it.";
static const char again_begin[] = "The prompt again, sentence by sentence: ";
static const char apart_system[] =
    "You decide which sentences of a text are needed to answer a question.";
static const char apart_begin[] = "The text, sentence by sentence: ";
static const char apart_no_question[] = "What does this text say?";
static const char told[] = "\n\nThe assistant that will answer it was told: ";
static const char elided[] = "\n[...]\n";

/* Tokens of the text in a window. A second copy of them and the text around them must fit the
 * context, too. */
#define WINDOW_TOKENS 3000
#define WINDOW_LEAST 64      /* tokens of text: with fewer, scores are useless */
#define MARGIN_TOKENS 40     /* shown of each neighbour window; at most a quarter of a window */
#define ENDS_FIRST_BYTES 160 /* of a long text's start, shown in every window */
#define ENDS_LAST_BYTES 400  /* of a long text's end, shown in every window */
#define AROUND_TOKENS 96     /* for the template, the words above and "[...]" */
#define BEFORE_BYTES 600     /* shown of each message before the text */
#define BEFORE_MESSAGES 2
#define TOKEN_BYTES 16 /* a token has fewer: units above that are too long without a count */

/* ---- the conversation before the text ------------------------------------------------------ */

static bool is_told(const backend_message *m)
{
    return !strcmp(m->role, "system") || !strcmp(m->role, "developer");
}

static bool is_said(const backend_message *m)
{
    return !strcmp(m->role, "user") || !strcmp(m->role, "assistant");
}

/* The index of the first of the last BEFORE_MESSAGES messages of user and assistant. */
static size_t said_from(const select_input *in)
{
    size_t i = in->before_count, n = 0;
    while (i > 0 && n < BEFORE_MESSAGES)
        n += is_said(&in->before[--i]);
    return i;
}

/* from: the result of said_from. */
static bool is_shown(const select_input *in, size_t i, size_t from)
{
    const backend_message *m = &in->before[i];
    return (is_told(m) || (is_said(m) && i >= from)) && !ascii_blank(m->content, m->len);
}

/* ---- windows ------------------------------------------------------------------------------ */

/* Tokens, or an upper bound of them. */
static size_t tokens_of(const select_input *in, const char *text, size_t len)
{
    const backend_vtable *vtable = in->backend->vtable;
    return vtable->capabilities(in->backend).counts_tokens
               ? vtable->count_tokens(in->backend, text, len)
               : len;
}

/* The same; a text that has more than `most` even with the longest tokens is not tokenised, which
 * takes long and cannot be cancelled. */
static size_t tokens_up_to(const select_input *in, const char *text, size_t len, size_t most)
{
    size_t fewest = len / TOKEN_BYTES;
    return fewest > most ? fewest : tokens_of(in, text, len);
}

/* The number of units before a separate question. */
static size_t judged_count(const select_input *in)
{
    size_t n = in->count;
    while (n > 0 && in->units[n - 1].start >= in->question_start)
        n--;
    return n;
}

static size_t text_end(const select_input *in, size_t count)
{
    return count > 0 ? in->units[count - 1].end : 0;
}

/* The most tokens of the text in a window. */
static s2a_status room_find(const select_input *in, size_t *out, s2a_error *err)
{
    backend_capabilities can = in->backend->vtable->capabilities(in->backend);
    size_t limit = can.read_tokens > 0 ? can.read_tokens : can.ctx_tokens, fixed = AROUND_TOKENS;
    size_t most = in->window_tokens > 0 ? in->window_tokens : WINDOW_TOKENS;
    size_t end = text_end(in, in->count),
           question = in->question_start < end ? end - in->question_start : 0;
    bool apart = select_form(in) == HEAD_APART;
    if (question > 0)
        fixed +=
            tokens_up_to(in, in->text + in->question_start, question, limit > 0 ? limit : SIZE_MAX);
    for (size_t i = 0, from = said_from(in); i < in->before_count && !apart; i++)
        if (is_shown(in, i, from))
            fixed += in->before[i].len < BEFORE_BYTES ? in->before[i].len : BEFORE_BYTES;
    if (!apart)
        fixed += ENDS_FIRST_BYTES + ENDS_LAST_BYTES + 2 * MARGIN_TOKENS;
    if (limit > 0 && limit < fixed + 2 * WINDOW_LEAST)
        return error_set(err, S2A_LIMIT,
                         "the question and earlier messages take %zu tokens of a context of %zu; "
                         "shorten the question, or use mode rewrite",
                         fixed, limit);
    size_t room = limit == 0 ? most : (limit - fixed) / (apart ? 1 : 2);
    *out = room < most ? room : most;
    return S2A_OK;
}

/* A text with no more bytes than a window has tokens fits: it is not tokenised. */
static s2a_status windows_make(const select_input *in, size_t count, window **out,
                               size_t *out_count, s2a_error *err)
{
    size_t most = 0, bytes = text_end(in, count);
    size_t *cost = calloc(count + 1, sizeof *cost);
    s2a_status status = cost ? room_find(in, &most, err) : error_nomem(err);
    for (size_t i = 0; i < count && status == S2A_OK; i++) {
        const segment_unit *u = &in->units[i];
        size_t len = u->end - u->start;
        cost[i] = bytes <= most ? len : tokens_up_to(in, in->text + u->start, len, most);
        cost[i] = cost[i] > 0 ? cost[i] : 1;
        if (cancel_fired(in->cancel))
            status = error_set(err, S2A_CANCELLED, "cancelled");
    }
    if (status == S2A_OK)
        status =
            window_split(cost, count, most, most / 4 < MARGIN_TOKENS ? most / 4 : MARGIN_TOKENS,
                         out, out_count, err);
    free(cost);
    return status;
}

/* ---- the model's input -------------------------------------------------------------------- */

typedef struct asking {
    buf system, user;
    backend_message *messages;
    size_t message_count;
    backend_piece *pieces;
    size_t piece_count, wanted;
} asking;

static void asking_free(asking *a)
{
    buf_free(&a->system);
    buf_free(&a->user);
    free(a->messages);
    free(a->pieces);
}

/* The last start of a character at or before `at`. */
static size_t cut_before(const char *text, size_t len, size_t at)
{
    while (at > 0 && at < len && ((unsigned char)text[at] & 0xc0) == 0x80)
        at--;
    return at;
}

static void add_end(buf *out, const char *text, size_t len, size_t most)
{
    size_t from = len > most ? cut_before(text, len, len - most) : 0;
    buf_add(out, text + from, len - from);
}

/* The window; if it is not the whole text, also the text's beginning and end. */
static void add_window(const select_input *in, const window *w, buf *out)
{
    size_t end = text_end(in, in->count);
    size_t from = in->units[w->first].start, to = in->units[w->last - 1].end;
    bool first = from == 0,
         last = in->question_start != SIZE_MAX ? w->last == judged_count(in) : to == end;
    if (first && last) {
        buf_add(out, in->text, end);
        return;
    }
    if (!first) {
        size_t n = from < ENDS_FIRST_BYTES ? from : cut_before(in->text, end, ENDS_FIRST_BYTES);
        buf_add(out, in->text, n);
        buf_adds(out, elided);
    }
    buf_add(out, in->text + from, (last ? end : to) - from);
    if (!last) {
        buf_adds(out, elided);
        size_t rest = end - to;
        add_end(out, in->text + to, rest, ENDS_LAST_BYTES);
    }
}

static void add_question(const select_input *in, buf *out)
{
    size_t end = text_end(in, in->count);
    if (in->question_start < end)
        buf_add(out, in->text + in->question_start, end - in->question_start);
    else
        buf_adds(out, apart_no_question);
}

/* System messages are added to the judge model's own. The ends of the last other messages come
 * before the prompt. */
static bool add_messages(const select_input *in, asking *a, head_form form)
{
    size_t n = 1, from = said_from(in);
    a->messages = calloc(BEFORE_MESSAGES + 2, sizeof *a->messages);
    if (!a->messages)
        return false;
    buf_adds(&a->system, form == HEAD_AGAIN ? again_system : apart_system);
    for (size_t i = 0; i < in->before_count && form == HEAD_AGAIN; i++) {
        const backend_message *m = &in->before[i];
        if (!is_shown(in, i, from))
            continue;
        if (is_told(m)) {
            buf_adds(&a->system, told);
            size_t most =
                m->len < BEFORE_BYTES ? m->len : cut_before(m->content, m->len, BEFORE_BYTES);
            buf_add(&a->system, m->content, most);
        } else {
            size_t start =
                m->len > BEFORE_BYTES ? cut_before(m->content, m->len, m->len - BEFORE_BYTES) : 0;
            a->messages[n++] = (backend_message){ m->role, m->content + start, m->len - start };
        }
    }
    a->messages[0] = (backend_message){ "system", a->system.data, a->system.len };
    a->messages[n++] = (backend_message){ "user", a->user.data, a->user.len };
    a->message_count = n;
    return true;
}

/* Units [from, to): each piece ends where the unit's text ends, and begins where the piece before
 * it ends, so that words are tokenised with the space before them. */
static bool add_pieces(const select_input *in, const select_unit *units, const window *w,
                       const char *begin, asking *a)
{
    a->pieces = calloc(w->to - w->from + 1, sizeof *a->pieces);
    if (!a->pieces)
        return false;
    a->pieces[a->piece_count++] = (backend_piece){ begin, strlen(begin), false };
    size_t at = in->units[w->from].start, last = 0;
    for (size_t i = w->from; i < w->to; i++) {
        size_t end = in->units[i].text_end;
        bool wanted = !units || reading_takes(&in->units[i], &units[i]);
        if (end <= at)
            continue;
        a->pieces[a->piece_count++] = (backend_piece){ in->text + at, end - at, wanted };
        a->wanted += wanted;
        at = end;
        last = wanted ? a->piece_count : last;
    }
    a->piece_count = last > 0 ? last : a->piece_count;
    return true;
}

static s2a_status asking_make(const select_input *in, const select_unit *units, const window *w,
                              asking *a, s2a_error *err)
{
    head_form form = select_form(in);
    *a = (asking){ .wanted = 0 };
    buf_init(&a->system, LIMIT_INPUT_BYTES);
    buf_init(&a->user, 2 * LIMIT_INPUT_BYTES);
    if (form == HEAD_AGAIN)
        add_window(in, w, &a->user);
    else
        add_question(in, &a->user);
    bool ok = add_messages(in, a, form) &&
              add_pieces(in, units, w, form == HEAD_AGAIN ? again_begin : apart_begin, a);
    return ok && a->user.status == S2A_OK && a->system.status == S2A_OK ? S2A_OK : error_nomem(err);
}

/* ---- reading ------------------------------------------------------------------------------ */

static memo_key key_of(const select_input *in, const asking *a, head_form form)
{
    memo_key key = MEMO_KEY_START;
    memo_key_add(&key, &form, sizeof form);
    memo_key_add(&key, &in->head->id, sizeof in->head->id);
    for (size_t i = 0; i < a->message_count; i++) {
        memo_key_add(&key, a->messages[i].role, strlen(a->messages[i].role) + 1);
        memo_key_add(&key, &a->messages[i].len, sizeof a->messages[i].len);
        memo_key_add(&key, a->messages[i].content, a->messages[i].len);
    }
    for (size_t i = 0; i < a->piece_count; i++) {
        memo_key_add(&key, &a->pieces[i].len, sizeof a->pieces[i].len);
        memo_key_add(&key, &a->pieces[i].wanted, sizeof a->pieces[i].wanted);
        memo_key_add(&key, a->pieces[i].text, a->pieces[i].len);
    }
    return key;
}

static s2a_status odds_take(const select_input *in, const window *w, head_form form,
                            const double *rows, select_unit *units, s2a_error *err)
{
    size_t count = head_of_form(in->head, form).row_count;
    for (size_t i = w->from; i < w->to; i++) {
        select_unit *u = &units[i];
        if (!reading_takes(&in->units[i], u))
            continue;
        if (!head_odds(in->head, form, rows, u->odds))
            return error_set(err, S2A_BACKEND,
                             "the model produced a non-finite hidden state; verify the file's "
                             "checksum, or use --mode rewrite");
        rows += count;
        u->judged = true;
    }
    return S2A_OK;
}

static s2a_status window_read(const select_input *in, const window *w, select_unit *units,
                              s2a_usage *usage, s2a_error *err)
{
    asking a;
    head_form form = select_form(in);
    backend_head head = head_of_form(in->head, form);
    backend_params params = {
        .top_p = 1, .cancel = in->cancel, .request_id = in->request_id, .keep_result = true
    };
    backend_usage used = { .finish = BACKEND_FINISH_STOP };
    s2a_status status = asking_make(in, units, w, &a, err);
    double *rows = calloc(a.wanted * head.row_count + 1, sizeof *rows);
    if (status == S2A_OK && !rows)
        status = error_nomem(err);
    if (status == S2A_OK && a.wanted > 0) {
        memo_key key = key_of(in, &a, form);
        if (!in->memo || !memo_get(in->memo, &key, rows, a.wanted * head.row_count)) {
            status =
                in->backend->vtable->read(in->backend, a.messages, a.message_count, a.pieces,
                                          a.piece_count, &head, &params, rows, NULL, &used, err);
            if (status == S2A_OK && in->memo)
                memo_put(in->memo, &key, rows, a.wanted * head.row_count);
        }
    }
    if (status == S2A_OK && a.wanted > 0)
        status = odds_take(in, w, form, rows, units, err);
    usage_add(usage, &used.tokens);
    free(rows);
    asking_free(&a);
    return status;
}

s2a_status reading_run(const select_input *in, select_unit *units, s2a_usage *usage, s2a_error *err)
{
    window *windows = NULL;
    size_t count = 0;
    s2a_status status = windows_make(in, judged_count(in), &windows, &count, err);
    for (size_t i = 0; i < count && status == S2A_OK; i++) {
        if (cancel_fired(in->cancel))
            status = error_set(err, S2A_CANCELLED, "cancelled");
        else
            status = window_read(in, &windows[i], units, usage, err);
    }
    free(windows);
    return status;
}

s2a_status reading_states(const select_input *in, const select_unit *units, const uint32_t *layers,
                          size_t layer_count, float **states, size_t *unit_count, s2a_usage *usage,
                          s2a_error *err)
{
    asking a;
    window all = { 0, judged_count(in), 0, judged_count(in) };
    backend_head head = { .layers = layers, .layer_count = layer_count };
    backend_params params = { .top_p = 1, .cancel = in->cancel };
    backend_usage used = { .finish = BACKEND_FINISH_STOP };
    size_t width = in->backend->vtable->capabilities(in->backend).hidden_width;
    *states = NULL;
    *unit_count = 0;
    if (all.to == 0)
        return error_set(err, S2A_INPUT, "the text has no units");
    s2a_status status = asking_make(in, units, &all, &a, err);
    *unit_count = a.wanted;
    if (status == S2A_OK &&
        !(*states = calloc(a.wanted * layer_count * 2 * width + 1, sizeof **states)))
        status = error_nomem(err);
    if (status == S2A_OK && a.wanted > 0)
        status =
            in->backend->vtable->read(in->backend, a.messages, a.message_count, a.pieces,
                                      a.piece_count, &head, &params, NULL, *states, &used, err);
    *usage = used.tokens;
    asking_free(&a);
    if (status != S2A_OK) {
        free(*states);
        *states = NULL;
    }
    return status;
}
