/* The state of what comes before every text in mode select (an instruction and examples), kept in a
 * file: a process that asks once would otherwise spend most of its time on it. libllama writes and
 * reads the file; its tokens are compared, so that a stale file is found out. libllama may abort on
 * a damaged one, so a seal is put behind what it wrote, and looked at before it reads. Nothing here is
 * an error: without a file the tokens are decoded. */
#include "backend/llama/embedded.h"
#include "core/fnv.h"

#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PATH_SIZE 4096

/* The last bytes of a file. */
typedef struct seal {
    char magic[8];
    uint64_t sum; /* of all before it */
} seal;

static const char seal_magic[8] = "s2akv\0\0\1";

bool judge_cache_init(embedded *e, const char *dir, const char *model_path)
{
    struct stat info;
    if (!dir || stat(model_path, &info) != 0)
        return true;
    int64_t facts[] = { info.st_size, info.st_mtim.tv_sec, info.st_mtim.tv_nsec,
                        (int64_t)info.st_ino, (int64_t)llama_model_size(e->model),
                        llama_model_n_layer(e->model) };
    e->cache_id = fnv_add(FNV_START, facts, sizeof facts);
    e->cache_dir = bytes_dup(dir, strlen(dir));
    return e->cache_dir != NULL;
}

static bool file_path(const embedded *e, const int32_t *tokens, size_t count, uint32_t depth,
                      char *path)
{
    uint64_t of_tokens = fnv_add(e->cache_id, tokens, count * sizeof *tokens);
    if (depth > 0)
        of_tokens = fnv_add(of_tokens, &depth, sizeof depth);
    int n = snprintf(path, PATH_SIZE, "%s/%016" PRIx64 "-%016" PRIx64 ".kv", e->cache_dir,
                     e->cache_id, of_tokens);
    return n > 0 && n < PATH_SIZE - 32;
}

/* FNV-1a over words of 64 bits, for a byte at a time takes ten times as long; what is left over at the
 * end counts bytewise. */
static uint64_t sum_add(uint64_t h, const unsigned char *data, size_t len)
{
    size_t i = 0;
    for (; i + sizeof h <= len; i += sizeof h) {
        uint64_t word;
        memcpy(&word, data + i, sizeof word);
        h = fnv_mix(h, word);
    }
    return fnv_add(h, data + i, len - i);
}

/* Of the first len bytes of a file. */
static bool file_sum(FILE *file, long len, uint64_t *out)
{
    enum { CHUNK = 1 << 16 };
    unsigned char *chunk = malloc(CHUNK);
    bool ok = chunk && fseek(file, 0, SEEK_SET) == 0;
    *out = FNV_START;
    while (ok && len > 0) {
        size_t want = len < CHUNK ? (size_t)len : CHUNK;
        ok = fread(chunk, 1, want, file) == want;
        if (ok)
            *out = sum_add(*out, chunk, want);
        len -= (long)want;
    }
    free(chunk);
    return ok;
}

static bool seal_put(const char *path)
{
    seal s = { .sum = 0 };
    memcpy(s.magic, seal_magic, sizeof s.magic);
    FILE *file = fopen(path, "r+b");
    bool ok = file && fseek(file, 0, SEEK_END) == 0 && file_sum(file, ftell(file), &s.sum) &&
              fseek(file, 0, SEEK_END) == 0 && fwrite(&s, sizeof s, 1, file) == 1;
    if (file)
        ok &= fclose(file) == 0;
    return ok;
}

static bool seal_holds(const char *path)
{
    seal s;
    uint64_t sum;
    FILE *file = fopen(path, "rb");
    long len = file && fseek(file, 0, SEEK_END) == 0 ? ftell(file) - (long)sizeof s : -1;
    bool ok = len > 0 && fseek(file, len, SEEK_SET) == 0 && fread(&s, sizeof s, 1, file) == 1 &&
              memcmp(s.magic, seal_magic, sizeof s.magic) == 0 && file_sum(file, len, &sum) &&
              sum == s.sum;
    if (file)
        fclose(file);
    return ok;
}

bool judge_cache_load(const embedded *e, struct llama_context *ctx, const int32_t *tokens,
                      size_t count, uint32_t depth)
{
    char path[PATH_SIZE];
    size_t found = 0;
    if (!e->cache_dir || !file_path(e, tokens, count, depth, path) || access(path, R_OK) != 0)
        return false;
    int32_t *of_file = malloc((count + 1) * sizeof *of_file);
    bool ok = of_file && seal_holds(path) &&
              llama_state_seq_load_file(ctx, path, 0, of_file, count + 1, &found) > 0 &&
              found == count && memcmp(of_file, tokens, count * sizeof *tokens) == 0 &&
              llama_memory_seq_pos_max(llama_get_memory(ctx), 0) == (llama_pos)count - 1;
    free(of_file);
    if (!ok) {
        llama_memory_clear(llama_get_memory(ctx), false);
        unlink(path);
    }
    return ok;
}

/* Files of this model with other tokens: earlier prompts. The newest of them stays, for there are two
 * sets of examples, those of preset untrusted and those of the others. */
static void remove_others(const embedded *e, const char *keep)
{
    char prefix[24], path[PATH_SIZE], newest[PATH_SIZE] = "";
    struct timespec of_newest = { 0 };
    snprintf(prefix, sizeof prefix, "%016" PRIx64 "-", e->cache_id);
    DIR *dir = opendir(e->cache_dir);
    for (struct dirent *entry; dir && (entry = readdir(dir));) {
        struct stat info;
        if (strncmp(entry->d_name, prefix, strlen(prefix)) != 0 || !strcmp(entry->d_name, keep))
            continue;
        int n = snprintf(path, sizeof path, "%s/%s", e->cache_dir, entry->d_name);
        if (n <= 0 || n >= PATH_SIZE || stat(path, &info) != 0)
            continue;
        bool newer = info.st_mtim.tv_sec > of_newest.tv_sec ||
                     (info.st_mtim.tv_sec == of_newest.tv_sec &&
                      info.st_mtim.tv_nsec > of_newest.tv_nsec);
        if (newer) {
            if (*newest)
                unlink(newest);
            memcpy(newest, path, sizeof newest);
            of_newest = info.st_mtim;
        } else {
            unlink(path);
        }
    }
    if (dir)
        closedir(dir);
}

void judge_cache_save(const embedded *e, struct llama_context *ctx, const int32_t *tokens,
                      size_t count, uint32_t depth)
{
    char path[PATH_SIZE], partial[PATH_SIZE];
    if (!e->cache_dir || !file_path(e, tokens, count, depth, path))
        return;
    snprintf(partial, sizeof partial, "%.*s.%ld", PATH_SIZE - 32, path, (long)getpid());
    bool ok = llama_state_seq_save_file(ctx, partial, 0, tokens, count) > 0;
    if (ok && seal_put(partial) && rename(partial, path) == 0)
        remove_others(e, strrchr(path, '/') + 1);
    else
        unlink(partial);
}
