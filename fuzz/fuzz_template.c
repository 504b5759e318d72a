/* Chat templates and prompts: three contents, parted by 0xFF, after a byte that chooses the
 * template and one for the roles. Whatever the contents are, the special tokens are the
 * template's, and the tokens stand for the text that the template makes of them. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "../tests/support/fake_model.h"
#include "backend/llama/chat_template.h"
#include "base/utf8.h"
#include "parts.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define TURNS 3

static void check_text(const char *data, size_t size)
{
    buf system;
    chat_place *places = NULL;
    size_t count = 0, at = 0;
    char *text = bytes_dup(data, size);
    buf_init(&system, size);
    if (!text)
        abort();
    if (!chat_template_default_system(text, &system) && system.len > 0)
        abort();
    buf_free(&system);
    free(text);
    if (!chat_template_places(data, size, &places, &count))
        abort();
    for (size_t i = 0; i < count; i++) {
        if (places[i].start < at || places[i].end <= places[i].start || places[i].end > size)
            abort();
        at = places[i].end;
    }
    free(places);
}

/* What fake_render makes of the turns, NULs included, with a mark before each special token. */
static void expect(const fake_model *m, const backend_message *messages, buf *out)
{
    buf_adds(out, m->bos ? "\1<s>" : "");
    for (size_t i = 0; i < TURNS; i++) {
        bool system = !strcmp(messages[i].role, "system");
        buf clean;
        utf8_stream stream = { .need = 0 };
        buf_init(&clean, (size_t)1 << 24);
        buf_add(&clean, "", 0);
        utf8_stream_add(&stream, messages[i].content, messages[i].len, &clean);
        utf8_stream_end(&stream, &clean);
        const char *from = clean.data, *to = clean.data + clean.len;
        while (m->trims && from < to && ascii_space(*from))
            from++;
        while (m->trims && from < to && ascii_space(to[-1]))
            to--;
        buf_addf(out, "%s\1<|im_start|>%s\n", m->marks ? "\1<tool>" : "",
                 system && m->no_system ? "user" : messages[i].role);
        if (to > from)
            buf_add(out, from, (size_t)(to - from));
        buf_adds(out, "\1<|im_end|>\n");
        buf_free(&clean);
    }
    buf_adds(out, "\1<|im_start|>assistant\n");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const roles[] = { "user", "assistant", "system", "user" };
    if (size < 2)
        return 0;
    check_text((const char *)data + 2, size - 2);
    fake_model fake = {
        .trims = data[0] & 1, .marks = data[0] & 2, .bos = data[0] & 4, .no_system = data[0] & 8
    };
    chat_model model = fake_chat_model(&fake);
    part parts[TURNS];
    backend_message messages[TURNS];
    parts_split(data + 2, size - 2, parts, TURNS);
    for (size_t i = 0; i < TURNS; i++)
        messages[i] = (backend_message){ roles[data[1] >> 2 * i & 3], parts[i].text, parts[i].len };
    token_list tokens = { 0 };
    if (chat_prompt_tokens(&model, messages, TURNS, &tokens, NULL, NULL) != S2A_OK)
        abort();
    buf got, want;
    buf_init(&got, (size_t)1 << 26);
    buf_init(&want, (size_t)1 << 26);
    fake_decode(&fake, &tokens, "\1", "", &got);
    expect(&fake, messages, &want);
    if (got.status != S2A_OK || got.len != want.len || memcmp(got.data, want.data, want.len) != 0)
        abort();
    buf_free(&got);
    buf_free(&want);
    token_list_free(&tokens);
    return 0;
}
