#include "core/prompt.h"

#include "base/error.h"
#include "base/infile.h"
#include "base/limits.h"
#include "base/utf8.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static const struct {
    const char *file, *needs;
} prompt_files[PROMPT_COUNT] = {
#define PROMPT_ROW(name, file, needs) { file, needs },
    PROMPT_MAP(PROMPT_ROW)
#undef PROMPT_ROW
};

static const struct {
    const char *text;
    char key;
} placeholders[] = { { "{{input}}", 'I' }, { "{{context}}", 'C' }, { "{{question}}", 'Q' } };

#define PLACEHOLDERS (sizeof placeholders / sizeof placeholders[0])

/* The key of the placeholder that starts at text, its length in *size; 0 when there is none. */
static char placeholder_at(const char *text, size_t len, size_t *size)
{
    for (size_t i = 0; i < PLACEHOLDERS; i++) {
        size_t n = strlen(placeholders[i].text);
        if (len >= n && !memcmp(text, placeholders[i].text, n)) {
            *size = n;
            return placeholders[i].key;
        }
    }
    return 0;
}

static s2a_status prompt_check(const char *where, const char *text, size_t len, const char *needs,
                               s2a_error *err)
{
    size_t valid = utf8_valid_prefix(text, len);
    if (valid < len)
        return error_set_at(err, S2A_PROMPT, valid, "%s: not UTF-8 at byte %zu; save it as UTF-8",
                            where, valid);
    bool seen[PLACEHOLDERS] = { false };
    for (size_t i = 0; i + 1 < len; i++) {
        if (text[i] != '{' || text[i + 1] != '{')
            continue;
        size_t size = 0;
        char key = placeholder_at(text + i, len - i, &size);
        if (!key)
            return error_set_at(err, S2A_PROMPT, i,
                                "%s: unknown placeholder at byte %zu; use {{input}}, {{context}} "
                                "or {{question}}",
                                where, i);
        for (size_t k = 0; k < PLACEHOLDERS; k++)
            seen[k] |= placeholders[k].key == key;
        i += size - 1;
    }
    for (size_t k = 0; k < PLACEHOLDERS; k++)
        if (strchr(needs, placeholders[k].key) && !seen[k])
            return error_set(err, S2A_PROMPT, "%s: %s is missing; add it where that text belongs",
                             where, placeholders[k].text);
    return S2A_OK;
}

/* *text stays NULL when the directory has no such file. */
static s2a_status prompt_file_read(const char *path, char **text, size_t *len, s2a_error *err)
{
    s2a_status status = infile_read(path, LIMIT_PROMPT_FILE_BYTES,
                                    "check the file and its permissions", text, len, err);
    if (status == S2A_IO && errno == ENOENT)
        return S2A_OK;
    if (status == S2A_OK && *len > 0 && (*text)[*len - 1] == '\n')
        (*text)[--*len] = '\0';
    return status;
}

static s2a_status prompt_load_one(const char *dir, prompt_id id, prompt_set *set, s2a_error *err)
{
    const char *name = prompt_files[id].file;
    if (dir) {
        buf path;
        buf_init(&path, 4096);
        buf_addf(&path, "%s/%s.txt", dir, name);
        if (path.status != S2A_OK) {
            s2a_status failed = path.status;
            buf_free(&path);
            return error_set(err, failed, "%.80s...: the path of the prompts is too long", dir);
        }
        s2a_status status = prompt_file_read(path.data, &set->text[id], &set->len[id], err);
        if (status == S2A_OK && set->text[id])
            status =
                prompt_check(path.data, set->text[id], set->len[id], prompt_files[id].needs, err);
        buf_free(&path);
        if (status != S2A_OK || set->text[id])
            return status;
    }
    for (size_t i = 0; i < prompts_builtin_count; i++) {
        if (strcmp(prompts_builtin[i].name, name) != 0)
            continue;
        size_t len = prompts_builtin[i].len;
        if (len > 0 && prompts_builtin[i].text[len - 1] == '\n')
            len--;
        set->text[id] = bytes_dup(prompts_builtin[i].text, len);
        set->len[id] = len;
        return set->text[id] ? S2A_OK : error_nomem(err);
    }
    return error_set(err, S2A_INTERNAL, "built-in prompt %s is missing from this build", name);
}

s2a_status prompt_set_load(const char *dir, prompt_set *set, s2a_error *err)
{
    *set = (prompt_set){ 0 };
    struct stat info;
    if (dir && stat(dir, &info) != 0)
        return error_set(err, S2A_IO, "%s: %s; name the directory of your prompt files", dir,
                         strerror(errno));
    if (dir && !S_ISDIR(info.st_mode))
        return error_set(err, S2A_IO,
                         "%s: not a directory; name the directory of your prompt "
                         "files",
                         dir);
    for (prompt_id id = 0; id < PROMPT_COUNT; id++) {
        s2a_status status = prompt_load_one(dir, id, set, err);
        if (status != S2A_OK) {
            prompt_set_free(set);
            return status;
        }
    }
    return S2A_OK;
}

void prompt_set_free(prompt_set *set)
{
    for (size_t i = 0; i < PROMPT_COUNT; i++)
        free(set->text[i]);
    *set = (prompt_set){ 0 };
}

static void value_of(const prompt_values *values, char key, const char **text, size_t *len)
{
    switch (key) {
    case 'I':
        *text = values->input;
        *len = values->input_len;
        break;
    case 'C':
        *text = values->context;
        *len = values->context_len;
        break;
    default:
        *text = values->question;
        *len = values->question_len;
        break;
    }
    if (!*text)
        *len = 0;
}

static bool line_is_empty(const char *line, size_t len, const prompt_values *values)
{
    bool any = false;
    for (size_t i = 0; i < len; i++) {
        size_t size = 0;
        char key = placeholder_at(line + i, len - i, &size);
        if (!key)
            continue;
        const char *text = NULL;
        size_t text_len = 0;
        value_of(values, key, &text, &text_len);
        if (text_len > 0)
            return false;
        any = true;
    }
    return any;
}

static void line_render(const char *line, size_t len, const prompt_values *values, buf *out)
{
    size_t from = 0;
    for (size_t i = 0; i < len; i++) {
        size_t size = 0;
        char key = placeholder_at(line + i, len - i, &size);
        if (!key)
            continue;
        const char *text = NULL;
        size_t text_len = 0;
        value_of(values, key, &text, &text_len);
        buf_add(out, line + from, i - from);
        if (text_len > 0)
            buf_add(out, text, text_len);
        from = i + size;
        i = from - 1;
    }
    buf_add(out, line + from, len - from);
}

void prompt_render(const prompt_set *set, prompt_id id, const prompt_values *values, buf *out)
{
    if (id == PROMPT_NONE) {
        if (values->input_len > 0)
            buf_add(out, values->input, values->input_len);
        return;
    }
    const char *text = set->text[id];
    size_t len = set->len[id];
    for (size_t i = 0; i < len;) {
        const char *newline = memchr(text + i, '\n', len - i);
        size_t end = newline ? (size_t)(newline - text) + 1 : len;
        if (line_is_empty(text + i, end - i, values)) {
            while (end < len && text[end] == '\n')
                end++;
        } else {
            line_render(text + i, end - i, values, out);
        }
        i = end;
    }
}
