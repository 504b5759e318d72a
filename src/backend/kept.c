#include "backend/backend.h"

#include "base/buf.h"
#include "base/cancel.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/fnv.h"
#include "base/limits.h"
#include "base/outfile.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PATH_SIZE 4096
#define SUFFIX ".s2a"
#define TRIM_EVERY 16 /* files written between checks of their total size */

typedef struct kept {
    backend base;
    backend *inner;
    char *dir, *identity;
    uint64_t max_bytes;
    _Atomic unsigned written;
} kept;

/* A file: this header, the key, and the payload. */
typedef struct head {
    char magic[8];
    uint64_t key_len, payload_len, check; /* check: the payload's FNV-1a */
    uint64_t prompt_tokens, completion_tokens;
} head;

static const char magic[8] = "s2akept1";

/* ---- keys --------------------------------------------------------------------------------- */

static void key_bytes(buf *key, const void *data, size_t len)
{
    uint64_t n = len;
    buf_add(key, (const char *)&n, sizeof n); /* so that different parts give different keys */
    buf_add(key, data, len);
}

static void key_begin(const kept *k, const char *what, const backend_message *messages,
                      size_t count, const backend_params *params, buf *key)
{
    const char *model = k->inner->vtable->capabilities(k->inner).model;
    buf_init(key, LIMIT_KEPT_KEY_BYTES);
    key_bytes(key, what, strlen(what));
    key_bytes(key, k->identity, strlen(k->identity));
    key_bytes(key, model, strlen(model));
    key_bytes(key, &params->temperature, sizeof params->temperature);
    key_bytes(key, &params->top_p, sizeof params->top_p);
    key_bytes(key, &params->seed, sizeof params->seed);
    key_bytes(key, &params->max_tokens, sizeof params->max_tokens);
    for (size_t i = 0; i < count; i++) {
        key_bytes(key, messages[i].role, strlen(messages[i].role));
        key_bytes(key, messages[i].content, messages[i].len);
    }
}

/* ---- files -------------------------------------------------------------------------------- */

static bool file_path(const kept *k, const buf *key, char *path)
{
    int n = snprintf(path, PATH_SIZE, "%s/%016" PRIx64 SUFFIX, k->dir,
                     fnv_add(FNV_START, key->data, key->len));
    return n > 0 && n < PATH_SIZE - 32;
}

static bool read_all(int fd, void *data, size_t len)
{
    char *at = data;
    while (len > 0) {
        ssize_t n = read(fd, at, len);
        if (n <= 0 && !(n < 0 && errno == EINTR))
            return false;
        at += n > 0 ? n : 0;
        len -= n > 0 ? (size_t)n : 0;
    }
    return true;
}

/* The payload, malloc'ed; NULL if the file is not the key's, or is damaged. */
static char *file_read(int fd, const buf *key, head *h)
{
    if (!read_all(fd, h, sizeof *h) || memcmp(h->magic, magic, sizeof magic) != 0 ||
        h->key_len != key->len || h->payload_len > LIMIT_OUTPUT_BYTES)
        return NULL;
    char *of_file = malloc(key->len + 1), *payload = malloc(h->payload_len + 1);
    bool ok = of_file && payload && read_all(fd, of_file, key->len) &&
              memcmp(of_file, key->data, key->len) == 0 && read_all(fd, payload, h->payload_len) &&
              fnv_add(FNV_START, payload, h->payload_len) == h->check;
    free(of_file);
    if (!ok) {
        free(payload);
        return NULL;
    }
    payload[h->payload_len] = '\0';
    return payload;
}

static char *find(const kept *k, const buf *key, head *h)
{
    char path[PATH_SIZE];
    if (key->status != S2A_OK || !file_path(k, key, path))
        return NULL;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return NULL;
    char *payload = file_read(fd, key, h);
    if (payload)
        futimens(fd, NULL); /* the time of the last use, for trim */
    else
        unlink(path);
    close(fd);
    return payload;
}

typedef struct entry {
    char name[64];
    int64_t time;
    uint64_t bytes;
} entry;

static int by_time(const void *a, const void *b)
{
    int64_t x = ((const entry *)a)->time, y = ((const entry *)b)->time;
    return x < y ? -1 : x > y;
}

static bool ours(const char *name)
{
    size_t n = strlen(name);
    return n == 16 + sizeof SUFFIX - 1 && !strcmp(name + 16, SUFFIX);
}

/* If the files have more than max_bytes, deletes the oldest until 90 % of that remain. */
static void trim(const kept *k)
{
    char path[PATH_SIZE];
    entry *all = NULL;
    size_t count = 0, cap = 0;
    uint64_t bytes = 0;
    DIR *dir = opendir(k->dir);
    for (struct dirent *e; dir && (e = readdir(dir));) {
        struct stat st;
        if (!ours(e->d_name) || fstatat(dirfd(dir), e->d_name, &st, AT_SYMLINK_NOFOLLOW) != 0)
            continue;
        if (!array_reserve((void **)&all, &cap, count + 1, sizeof *all))
            break;
        snprintf(all[count].name, sizeof all[count].name, "%.60s", e->d_name);
        all[count].time = (int64_t)st.st_mtim.tv_sec * 1000 + st.st_mtim.tv_nsec / 1000000;
        all[count++].bytes = (uint64_t)st.st_size;
        bytes += (uint64_t)st.st_size;
    }
    if (dir)
        closedir(dir);
    if (bytes > k->max_bytes) {
        qsort(all, count, sizeof *all, by_time);
        for (size_t i = 0; i < count && bytes > k->max_bytes / 10 * 9; i++) {
            int n = snprintf(path, sizeof path, "%s/%s", k->dir, all[i].name);
            if (n > 0 && n < PATH_SIZE)
                unlink(path);
            bytes -= all[i].bytes;
        }
    }
    free(all);
}

static void keep(kept *k, const buf *key, const void *payload, size_t len, const s2a_usage *usage)
{
    char path[PATH_SIZE];
    if (key->status != S2A_OK || !file_path(k, key, path))
        return;
    head h = { .key_len = key->len,
               .payload_len = len,
               .check = fnv_add(FNV_START, payload, len),
               .prompt_tokens = usage->prompt_tokens,
               .completion_tokens = usage->completion_tokens };
    memcpy(h.magic, magic, sizeof magic);
    buf file;
    buf_init(&file, sizeof h + key->len + len);
    buf_add(&file, (const char *)&h, sizeof h);
    buf_add(&file, key->data, key->len);
    buf_add(&file, payload, len);
    if (file.status == S2A_OK)
        outfile_write_cache(path, file.data, file.len, NULL);
    buf_free(&file);
    if (++k->written % TRIM_EVERY == 1)
        trim(k);
}

/* The usage of a cached result: the prompt's tokens are cached, none are generated. */
static void usage_of(const head *h, double start, backend_usage *usage)
{
    *usage = (backend_usage){ .finish = BACKEND_FINISH_STOP };
    usage->tokens.prompt_tokens = usage->tokens.cached_tokens = h->prompt_tokens;
    usage->tokens.ms = clock_ms() - start;
}

/* The figures of a cached read, len bytes. False if there are none. */
static bool figures_find(const kept *k, const buf *key, void *out, size_t len, double start,
                         backend_usage *usage)
{
    head h;
    char *payload = find(k, key, &h);
    bool found = payload && h.payload_len == len;
    if (found) {
        memcpy(out, payload, len);
        usage_of(&h, start, usage);
    }
    free(payload);
    return found;
}

/* ---- the vtable --------------------------------------------------------------------------- */

typedef struct collecting {
    buf text;
    backend_token_fn on_token;
    void *ctx;
} collecting;

static int collect(void *ctx, const char *text, size_t len)
{
    collecting *c = ctx;
    buf_add(&c->text, text, len);
    return c->on_token ? c->on_token(c->ctx, text, len) : 0;
}

static s2a_status kept_generate(backend *self, const backend_message *messages, size_t count,
                                const backend_params *params, const backend_draft *draft,
                                backend_token_fn on_token, void *on_token_ctx, backend_usage *usage,
                                s2a_error *err)
{
    kept *k = (kept *)self;
    /* Parameters that are not in the key are step 2's, whose results are not cached. */
    bool other = params->chat_fields || params->message_fields || params->stop_count > 0 ||
                 params->on_logprob || params->bias_count > 0 || params->top_k > 0 ||
                 params->min_p > 0 || params->frequency_penalty != 0 ||
                 params->presence_penalty != 0;
    if (!params->keep_result || other || cancel_fired(params->cancel))
        return k->inner->vtable->generate(k->inner, messages, count, params, draft, on_token,
                                          on_token_ctx, usage, err);
    double start = clock_ms();
    head h;
    buf key;
    key_begin(k, "generate", messages, count, params, &key);
    char *payload = find(k, &key, &h);
    s2a_status status = S2A_OK;
    if (payload) {
        usage_of(&h, start, usage);
        if (h.payload_len > 0 && on_token && on_token(on_token_ctx, payload, h.payload_len) != 0)
            usage->finish = BACKEND_FINISH_CALLER;
    } else {
        collecting c = { .on_token = on_token, .ctx = on_token_ctx };
        buf_init(&c.text, LIMIT_OUTPUT_BYTES);
        status = k->inner->vtable->generate(k->inner, messages, count, params, draft, collect, &c,
                                            usage, err);
        if (status == S2A_OK && usage->finish == BACKEND_FINISH_STOP && c.text.status == S2A_OK)
            keep(k, &key, c.text.data ? c.text.data : "", c.text.len, &usage->tokens);
        buf_free(&c.text);
    }
    free(payload);
    buf_free(&key);
    return status;
}

static s2a_status kept_read(backend *self, const backend_message *messages, size_t count,
                            const backend_piece *pieces, size_t piece_count, const backend_head *by,
                            const backend_params *params, double *told, float *states,
                            backend_usage *usage, s2a_error *err)
{
    kept *k = (kept *)self;
    const backend_vtable *inner = k->inner->vtable;
    if (!params->keep_result || !told || cancel_fired(params->cancel))
        return inner->read(k->inner, messages, count, pieces, piece_count, by, params, told, states,
                           usage, err);
    double start = clock_ms();
    size_t wanted = 0;
    buf key;
    key_begin(k, "read", messages, count, params, &key);
    for (size_t i = 0; i < piece_count; i++) {
        key_bytes(&key, pieces[i].text, pieces[i].len);
        key_bytes(&key, &pieces[i].wanted, sizeof pieces[i].wanted);
        wanted += pieces[i].wanted;
    }
    key_bytes(&key, &by->id, sizeof by->id);
    key_bytes(&key, &by->row_count, sizeof by->row_count);
    size_t len = wanted * by->row_count * sizeof *told;
    s2a_status status = S2A_OK;
    if (!figures_find(k, &key, told, len, start, usage)) {
        status = inner->read(k->inner, messages, count, pieces, piece_count, by, params, told, NULL,
                             usage, err);
        if (status == S2A_OK)
            keep(k, &key, told, len, &usage->tokens);
    }
    buf_free(&key);
    return status;
}

static size_t kept_count_tokens(backend *self, const char *text, size_t len)
{
    kept *k = (kept *)self;
    return k->inner->vtable->count_tokens(k->inner, text, len);
}

static s2a_status kept_count_prompt(backend *self, const backend_message *messages, size_t count,
                                    const backend_params *params, size_t *tokens, s2a_error *err)
{
    kept *k = (kept *)self;
    const backend_vtable *inner = k->inner->vtable;
    if (!inner->count_prompt)
        return error_set(err, S2A_UNSUPPORTED, "this backend cannot count the tokens of a prompt");
    return inner->count_prompt(k->inner, messages, count, params, tokens, err);
}

static backend_capabilities kept_capabilities(const backend *self)
{
    const kept *k = (const kept *)self;
    backend_capabilities of = k->inner->vtable->capabilities(k->inner);
    of.can_read = of.can_read && k->inner->vtable->read;
    return of;
}

static void kept_close(backend *self)
{
    kept *k = (kept *)self;
    if (k->inner)
        k->inner->vtable->close(k->inner);
    free(k->identity);
    free(k->dir);
    free(k);
}

static const backend_vtable kept_vtable = {
    .generate = kept_generate,
    .count_tokens = kept_count_tokens,
    .count_prompt = kept_count_prompt,
    .read = kept_read,
    .capabilities = kept_capabilities,
    .close = kept_close,
};

s2a_status backend_kept_open(backend *inner, const char *dir, const char *identity,
                             uint64_t max_bytes, backend **out, s2a_error *err)
{
    *out = NULL;
    kept *k = calloc(1, sizeof *k);
    if (!k) {
        inner->vtable->close(inner);
        return error_nomem(err);
    }
    *k = (kept){ .base = { &kept_vtable }, .inner = inner, .max_bytes = max_bytes };
    k->dir = bytes_dup(dir, strlen(dir));
    k->identity = bytes_dup(identity, strlen(identity));
    if (!k->dir || !k->identity) {
        kept_close(&k->base);
        return error_nomem(err);
    }
    *out = &k->base;
    return S2A_OK;
}
