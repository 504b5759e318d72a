/* A chat_model for tests and fuzz targets: a ChatML template, and a tokenizer that knows a few
 * special tokens and takes everything else byte by byte, so that tokens can be turned back. */
#ifndef TESTS_FAKE_MODEL_H
#define TESTS_FAKE_MODEL_H

#include <string.h>

#include "backend/llama/chat_prompt.h"
#include "base/ascii.h"

typedef struct fake_model {
    bool trims;     /* the template trims contents */
    bool marks;     /* it writes <tool>, a TOKEN_MARK, before each turn */
    bool bos;       /* it begins with <s> */
    bool no_system; /* it leaves system and tool turns out */
    bool one_turn;  /* it leaves all turns but the last out */
    s2a_status render_fails, tokenize_fails;
    size_t renders;
} fake_model;

enum {
    FAKE_START = 1,
    FAKE_END,
    FAKE_EOT,
    FAKE_BOS,
    FAKE_BANG_END,
    FAKE_TOOL,
    FAKE_BREAK,
    FAKE_TAIL,
    FAKE_BYTE /* and the byte's value */
};

/* FAKE_BANG_END and FAKE_TAIL are what a content that ends in "!" or "?" makes with the marker
 * behind it, FAKE_BREAK a word that a content and the template may share. */
static const struct {
    const char *text;
    token_kind kind;
} fake_tokens[FAKE_BYTE] = {
    [FAKE_START] = { "<|im_start|>", TOKEN_CONTROL },
    [FAKE_END] = { "<|im_end|>", TOKEN_CONTROL },
    [FAKE_EOT] = { "<|endoftext|>", TOKEN_CONTROL },
    [FAKE_BOS] = { "<s>", TOKEN_CONTROL },
    [FAKE_BANG_END] = { "!<|im_end|>", TOKEN_CONTROL },
    [FAKE_TOOL] = { "<tool>", TOKEN_MARK },
    [FAKE_BREAK] = { "\n\n", TOKEN_TEXT },
    [FAKE_TAIL] = { "?<|im_end|>", TOKEN_TEXT },
};

static inline s2a_status fake_render(void *ctx, const chat_turn *turns, size_t count, buf *out)
{
    fake_model *m = ctx;
    m->renders++;
    if (m->render_fails != S2A_OK)
        return m->render_fails;
    buf_adds(out, m->bos ? "<s>" : "");
    for (size_t i = m->one_turn && count > 0 ? count - 1 : 0; i < count; i++) {
        const char *content = turns[i].content, *end = content + strlen(content);
        if (m->no_system && strcmp(turns[i].role, "user") && strcmp(turns[i].role, "assistant"))
            continue;
        while (m->trims && content < end && ascii_space(*content))
            content++;
        while (m->trims && content < end && ascii_space(end[-1]))
            end--;
        buf_addf(out, "%s<|im_start|>%s\n", m->marks ? "<tool>" : "", turns[i].role);
        buf_add(out, content, (size_t)(end - content));
        buf_adds(out, "<|im_end|>\n");
    }
    buf_adds(out, "<|im_start|>assistant\n");
    return out->status;
}

static inline s2a_status fake_tokenize(void *ctx, const char *text, size_t len, bool special,
                                       token_list *out)
{
    const fake_model *m = ctx;
    if (m->tokenize_fails != S2A_OK)
        return m->tokenize_fails;
    if (!token_list_reserve(out, len))
        return S2A_NOMEM;
    for (size_t i = 0; i < len;) {
        int32_t token = FAKE_BYTE + (unsigned char)text[i];
        size_t size = 1;
        for (int32_t t = 1; t < FAKE_BYTE; t++) {
            size_t n = strlen(fake_tokens[t].text);
            if ((fake_tokens[t].kind != TOKEN_CONTROL || special) && n <= len - i &&
                !memcmp(text + i, fake_tokens[t].text, n)) {
                token = t;
                size = n;
                break;
            }
        }
        out->items[out->count++] = token;
        i += size;
    }
    return S2A_OK;
}

static inline token_kind fake_kind(void *ctx, int32_t token)
{
    (void)ctx;
    return token < FAKE_BYTE ? fake_tokens[token].kind : TOKEN_TEXT;
}

static inline void fake_text(void *ctx, int32_t token, char *out, size_t size)
{
    (void)ctx;
    const char *text = token < FAKE_BYTE ? fake_tokens[token].text : "";
    size_t n = strlen(text) < size ? strlen(text) : size - 1;
    memcpy(out, text, n);
    out[n] = '\0';
}

static inline chat_model fake_chat_model(fake_model *m)
{
    return (chat_model){ .ctx = m,
                         .render = fake_render,
                         .tokenize = fake_tokenize,
                         .kind = fake_kind,
                         .text = fake_text,
                         .bos = -1 };
}

/* The text that the tokens stand for. open and close go around those that are special: control
 * tokens, and <tool> where the template has it. */
static inline void fake_decode(const fake_model *m, const token_list *tokens, const char *open,
                               const char *close, buf *out)
{
    for (size_t i = 0; i < tokens->count; i++) {
        int32_t t = tokens->items[i];
        char byte = (char)(t - FAKE_BYTE);
        bool special = t < FAKE_BYTE && (fake_tokens[t].kind == TOKEN_CONTROL ||
                                         (fake_tokens[t].kind == TOKEN_MARK && m->marks));
        if (t >= FAKE_BYTE) {
            buf_add(out, &byte, 1);
            continue;
        }
        buf_adds(out, special ? open : "");
        buf_adds(out, fake_tokens[t].text);
        buf_adds(out, special ? close : "");
    }
    buf_add(out, "", 0);
}

#endif
