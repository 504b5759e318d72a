/* A prompt file of any bytes, filled with any values: file, input, context and question, parted by
 * 0xFF. The file is read as --prompts does, so there is one on disk. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/limits.h"
#include "core/prompt.h"
#include "parts.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char dir[] = "/tmp/s2a-fuzz-XXXXXX";
static char path[64];

static void clean(void)
{
    unlink(path);
    rmdir(dir);
}

static void write_prompt(const part *text)
{
    if (!path[0]) {
        if (!mkdtemp(dir))
            abort();
        snprintf(path, sizeof path, "%s/answer-plain.txt", dir);
        atexit(clean);
    }
    FILE *file = fopen(path, "wb");
    if (!file || fwrite(text->text, 1, text->len, file) != text->len || fclose(file) != 0)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    part p[4];
    prompt_set set;
    s2a_error err = { .status = S2A_OK };
    parts_split(data, size, p, 4);
    write_prompt(&p[0]);
    s2a_status status = prompt_set_load(dir, &set, &err);
    if (status != S2A_OK) {
        if (status != err.status || (status != S2A_PROMPT && status != S2A_LIMIT) ||
            (err.position != S2A_NO_POSITION && err.position >= p[0].len))
            abort();
        return 0;
    }
    buf out;
    buf_init(&out, LIMIT_INPUT_BYTES);
    prompt_values values = { p[1].text, p[2].text, p[3].text, p[1].len, p[2].len, p[3].len };
    bool braces = false;
    for (size_t i = 1; i < 4; i++)
        braces |= memchr(p[i].text, '{', p[i].len) != NULL;
    prompt_render(&set, PROMPT_ANSWER_PLAIN, &values, &out);
    buf_add(&out, "", 0);
    /* The file has no "{{" but its placeholders, and all of those are filled. */
    if (out.status == S2A_OK && !braces && out.len >= 2 && memmem(out.data, out.len, "{{", 2))
        abort();
    /* Both placeholders are there: what they stand for must be in the output. */
    for (size_t i = 2; i < 4 && out.status == S2A_OK; i++)
        if (p[i].len > 0 && !memmem(out.data, out.len, p[i].text, p[i].len))
            abort();
    buf_free(&out);
    prompt_set_free(&set);
    return 0;
}
