#include "chat_prompt.h"

#include "base/ascii.h"
#include "base/error.h"
#include "base/limits.h"
#include "base/utf8.h"
#include "chat_template.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

/* A rendered prompt contains every content once, and a few words of template for each message. */
#define PROMPT_BYTES (8 * LIMIT_INPUT_BYTES)

bool token_list_reserve(token_list *list, size_t more)
{
    void *items = list->items;
    if (!array_reserve(&items, &list->cap, list->count + more, sizeof *list->items))
        return false;
    list->items = items;
    return true;
}

void token_list_free(token_list *list)
{
    free(list->items);
    *list = (token_list){ 0 };
}

typedef struct text_range {
    size_t start, len; /* in builder.contents */
    bool has_nul;
} text_range;

typedef struct builder {
    const chat_model *model;
    chat_turn *turns; /* the caller's, after the default system message if it is added */
    size_t count;
    text_range *ranges;
    buf contents; /* valid UTF-8, each followed by a NUL */
    buf frame;    /* the template rendered with stand-ins for the contents */
    chat_place *places;
    size_t place_count;
    token_list structure; /* the frame's special tokens, in order */
    token_list marks;     /* those of them that are TOKEN_MARK, each once */
} builder;

static void builder_free(builder *b)
{
    token_list_free(&b->marks);
    token_list_free(&b->structure);
    free(b->places);
    buf_free(&b->frame);
    buf_free(&b->contents);
    free(b->ranges);
    free(b->turns);
}

static void builder_add(builder *b, const char *role, const char *content, size_t len)
{
    utf8_stream stream = { .need = 0 };
    text_range *range = &b->ranges[b->count];
    range->start = b->contents.len;
    range->has_nul = len > 0 && memchr(content, '\0', len) != NULL;
    utf8_stream_add(&stream, content, len, &b->contents);
    utf8_stream_end(&stream, &b->contents);
    range->len = b->contents.len - range->start;
    buf_add(&b->contents, "", 1);
    b->turns[b->count++].role = strcmp(role, "developer") == 0 ? "system" : role;
}

static s2a_status builder_init(builder *b, const chat_model *model, const backend_message *messages,
                               size_t count)
{
    *b = (builder){ .model = model };
    buf_init(&b->contents, PROMPT_BYTES);
    buf_init(&b->frame, PROMPT_BYTES);
    b->turns = calloc(count + 1, sizeof *b->turns);
    b->ranges = calloc(count + 1, sizeof *b->ranges);
    if (!b->turns || !b->ranges)
        return S2A_NOMEM;
    bool system = count > 0 && (strcmp(messages[0].role, "system") == 0 ||
                                strcmp(messages[0].role, "developer") == 0);
    if (model->default_system && !system)
        builder_add(b, "system", model->default_system, strlen(model->default_system));
    for (size_t i = 0; i < count; i++)
        builder_add(b, messages[i].role, messages[i].content, messages[i].len);
    return b->contents.status;
}

/* Renders the turns with a stand-in for each content. *lost is the first turn that the template
 * leaves out, or the count. */
static s2a_status render_frame(builder *b, size_t *lost)
{
    buf stand_ins;
    buf_init(&stand_ins, PROMPT_BYTES);
    size_t *starts = calloc(b->count + 1, sizeof *starts);
    bool *seen = calloc(b->count + 1, sizeof *seen);
    s2a_status status = starts && seen ? S2A_OK : S2A_NOMEM;
    for (size_t i = 0; status == S2A_OK && i < b->count; i++) {
        starts[i] = stand_ins.len;
        chat_template_stand_in(&stand_ins, i);
        buf_add(&stand_ins, "", 1);
        status = stand_ins.status;
    }
    /* Pointers are set only now: the buffer moves while it grows. */
    for (size_t i = 0; status == S2A_OK && i < b->count; i++) {
        seen[i] = b->model->skips_empty && b->ranges[i].len == 0;
        b->turns[i].content = seen[i] ? "" : stand_ins.data + starts[i];
    }
    buf_reset(&b->frame);
    free(b->places);
    b->places = NULL;
    if (status == S2A_OK)
        status = b->model->render(b->model->ctx, b->turns, b->count, &b->frame);
    if (status == S2A_OK &&
        !chat_template_places(b->frame.data, b->frame.len, &b->places, &b->place_count))
        status = S2A_NOMEM;
    if (status == S2A_OK) {
        for (size_t i = 0; i < b->place_count; i++)
            if (b->places[i].index < b->count)
                seen[b->places[i].index] = true;
        *lost = 0;
        while (*lost < b->count && seen[*lost])
            ++*lost;
    }
    free(seen);
    free(starts);
    buf_free(&stand_ins);
    return status;
}

/* A message is never dropped silently: if the template omits its role, it becomes the user's. */
static s2a_status make_frame(builder *b, s2a_error *err)
{
    for (;;) {
        size_t lost = 0;
        s2a_status status = render_frame(b, &lost);
        if (status != S2A_OK || lost == b->count)
            return status;
        if (strcmp(b->turns[lost].role, "user") == 0)
            return error_set(err, S2A_BACKEND,
                             "the model's chat template has no place for message %zu; use another "
                             "model, or fewer messages",
                             lost + 1);
        const char *role = b->turns[lost].role;
        for (size_t i = lost; i < b->count; i++)
            if (strcmp(b->turns[i].role, role) == 0)
                b->turns[i].role = "user";
    }
}

static bool contains(const token_list *list, int32_t token)
{
    for (size_t i = 0; i < list->count; i++)
        if (list->items[i] == token)
            return true;
    return false;
}

static bool is_special(const builder *b, int32_t token)
{
    token_kind kind = b->model->kind(b->model->ctx, token);
    return kind == TOKEN_CONTROL || (kind == TOKEN_MARK && contains(&b->marks, token));
}

/* Collects the template's own special tokens. */
static s2a_status read_structure(builder *b)
{
    const chat_model *m = b->model;
    token_list all = { 0 };
    s2a_status status = m->tokenize(m->ctx, b->frame.data, b->frame.len, true, &all);
    for (size_t i = 0; status == S2A_OK && i < all.count; i++) {
        token_kind kind = m->kind(m->ctx, all.items[i]);
        if (kind == TOKEN_TEXT)
            continue;
        if (!token_list_reserve(&b->structure, 1) || !token_list_reserve(&b->marks, 1)) {
            status = S2A_NOMEM;
            break;
        }
        b->structure.items[b->structure.count++] = all.items[i];
        if (kind == TOKEN_MARK && !contains(&b->marks, all.items[i]))
            b->marks.items[b->marks.count++] = all.items[i];
    }
    token_list_free(&all);
    return status;
}

/* *plain: no content contains a special token's text or NUL, and there are no pieces. */
static s2a_status contents_are_plain(const builder *b, bool *plain)
{
    const chat_model *m = b->model;
    token_list tokens = { 0 };
    s2a_status status = S2A_OK;
    *plain = m->piece_count == 0;
    for (size_t i = 0; status == S2A_OK && *plain && i < b->count; i++) {
        const text_range *r = &b->ranges[i];
        if (r->has_nul) { /* the renderer takes C strings */
            *plain = false;
            break;
        }
        tokens.count = 0;
        status = m->tokenize(m->ctx, b->contents.data + r->start, r->len, true, &tokens);
        for (size_t k = 0; status == S2A_OK && *plain && k < tokens.count; k++)
            *plain = !is_special(b, tokens.items[k]);
    }
    token_list_free(&tokens);
    return status;
}

/* Tokenises the rendered prompt as a whole. *done: the contents are plain, and the prompt's special
 * tokens are exactly the template's, so that none formed where a content meets the template. */
static s2a_status tokenize_whole(builder *b, token_list *out, bool *done)
{
    const chat_model *m = b->model;
    *done = false;
    s2a_status status = contents_are_plain(b, done);
    if (status != S2A_OK || !*done)
        return status;
    buf text;
    buf_init(&text, PROMPT_BYTES);
    for (size_t i = 0; i < b->count; i++)
        b->turns[i].content = b->contents.data + b->ranges[i].start;
    status = m->render(m->ctx, b->turns, b->count, &text);
    if (status == S2A_OK)
        status = m->tokenize(m->ctx, text.data, text.len, true, out);
    size_t found = 0;
    for (size_t i = 0; status == S2A_OK && *done && i < out->count; i++) {
        if (!is_special(b, out->items[i]))
            continue;
        *done = found < b->structure.count && b->structure.items[found] == out->items[i];
        found++;
    }
    *done = *done && found == b->structure.count;
    buf_free(&text);
    return status;
}

/* Bytes of a mark's first character if one of the template's marks begins at text, otherwise 0. */
static size_t mark_at(const builder *b, const char *text, size_t len)
{
    for (size_t i = 0; i < b->marks.count; i++) {
        char mark[64];
        b->model->text(b->model->ctx, b->marks.items[i], mark, sizeof mark);
        size_t n = strlen(mark);
        if (n > 0 && n <= len && memcmp(text, mark, n) == 0) {
            size_t first = 1;
            while (first < n && ((unsigned char)mark[first] & 0xC0) == 0x80)
                first++;
            return first;
        }
    }
    return 0;
}

/* Tokenises a content as plain text. The tokenizer recognises a TOKEN_MARK in any text, so the
 * content is split after the first character of each one. */
static s2a_status tokenize_plain(const builder *b, const char *text, size_t len, token_list *out)
{
    const chat_model *m = b->model;
    size_t from = 0;
    for (size_t i = 0; b->marks.count > 0 && i < len; i++) {
        size_t first = mark_at(b, text + i, len - i);
        if (first == 0)
            continue;
        s2a_status status = m->tokenize(m->ctx, text + from, i + first - from, false, out);
        if (status != S2A_OK)
            return status;
        from = i + first;
        i = from - 1;
    }
    return from < len ? m->tokenize(m->ctx, text + from, len - from, false, out) : S2A_OK;
}

/* Tokenises the text, escaped as in a JSON string. */
static s2a_status tokenize_escaped(const builder *b, const char *text, size_t len, token_list *out)
{
    json_t *value = json_stringn(text, len);
    char *json = value ? json_dumps(value, JSON_ENCODE_ANY) : NULL;
    json_decref(value);
    if (!json)
        return S2A_NOMEM;
    s2a_status status = tokenize_plain(b, json + 1, strlen(json) - 2, out);
    free(json);
    return status;
}

/* A piece is a special token's text or its beginning. Split after its first character, it does not
 * become that token. */
static s2a_status tokenize_piece(const builder *b, const chat_piece *piece, token_list *out)
{
    const chat_model *m = b->model;
    size_t first = utf8_length((unsigned char)piece->text[0]);
    first = first == 0 || first > piece->len ? piece->len : first;
    s2a_status status = m->tokenize(m->ctx, piece->text, first, false, out);
    return status == S2A_OK && first < piece->len
               ? m->tokenize(m->ctx, piece->text + first, piece->len - first, false, out)
               : status;
}

static s2a_status tokenize_split(const builder *b, token_list *out)
{
    const chat_model *m = b->model;
    s2a_status status = S2A_OK;
    size_t at = 0;
    for (size_t i = 0; status == S2A_OK && i < b->place_count; i++) {
        const chat_place *p = &b->places[i];
        if (p->start > at)
            status = m->tokenize(m->ctx, b->frame.data + at, p->start - at, true, out);
        at = p->end;
        if (status == S2A_OK && p->index >= b->count && p->index - b->count < m->piece_count)
            status = tokenize_piece(b, &m->pieces[p->index - b->count], out);
        if (status != S2A_OK || p->index >= b->count)
            continue;
        const char *text = b->contents.data + b->ranges[p->index].start;
        size_t len = b->ranges[p->index].len;
        while (p->trim_left && len > 0 && ascii_space(*text)) {
            text++;
            len--;
        }
        while (p->trim_right && len > 0 && ascii_space(text[len - 1]))
            len--;
        status =
            p->escaped ? tokenize_escaped(b, text, len, out) : tokenize_plain(b, text, len, out);
    }
    if (status == S2A_OK && b->frame.len > at)
        status = m->tokenize(m->ctx, b->frame.data + at, b->frame.len - at, true, out);
    return status;
}

/* Adds the beginning-of-sequence token, unless the template has written it. */
static s2a_status add_bos(int32_t bos, token_list *out)
{
    if (bos < 0 || (out->count > 0 && out->items[0] == bos))
        return S2A_OK;
    if (!token_list_reserve(out, 1))
        return S2A_NOMEM;
    memmove(out->items + 1, out->items, out->count * sizeof *out->items);
    out->items[0] = bos;
    out->count++;
    return S2A_OK;
}

s2a_status chat_prompt_tokens(const chat_model *model, const backend_message *messages,
                              size_t count, token_list *out, bool *split, s2a_error *err)
{
    builder b;
    bool whole = false;
    s2a_error fault = { .status = S2A_OK, .position = S2A_NO_POSITION };
    out->count = 0;
    s2a_status status = builder_init(&b, model, messages, count);
    if (status == S2A_OK)
        status = make_frame(&b, &fault);
    if (status == S2A_OK)
        status = read_structure(&b);
    if (status == S2A_OK)
        status = tokenize_whole(&b, out, &whole);
    if (status == S2A_OK && !whole) {
        out->count = 0;
        status = tokenize_split(&b, out);
    }
    if (status == S2A_OK)
        status = add_bos(model->bos, out);
    if (status == S2A_OK && split)
        *split = !whole;
    builder_free(&b);
    if (status == S2A_OK)
        return status;
    if (status == S2A_INPUT) /* render has reported it */
        return status;
    if (fault.status != S2A_OK)
        return error_set(err, status, "%s", fault.message);
    if (status == S2A_NOMEM)
        return error_nomem(err);
    if (status == S2A_LIMIT)
        return error_set(err, status, "the prompt has more than %zu bytes; shorten it",
                         PROMPT_BYTES);
    return error_set(err, status, "the model's tokenizer or chat template failed on the prompt");
}
