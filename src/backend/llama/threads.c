/* The engine's threads for prefill (read) and generation (write): their pool and their number,
 * which is measured when a model is first loaded on a machine. */
#include "backend/llama/embedded.h"
#include "backend/llama/tune.h"
#include "base/clock.h"
#include "base/fnv.h"

#include <inttypes.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define READ_ROWS 32   /* of one decode; with more the cost of a row changes little */
#define WRITE_ROWS 4   /* in one decode each */
#define ROUNDS 2       /* the faster one counts */
#define MEASURE_MS 4e3 /* after this no other number is tried */

typedef struct ggml_threadpool *(*pool_new_fn)(struct ggml_threadpool_params *params);
typedef void (*pool_free_fn)(struct ggml_threadpool *pool);

/* Both are in ggml's library for this processor, which is loaded at run time. */
static void *pool_function(const char *name)
{
    ggml_backend_dev_t cpu = ggml_backend_dev_by_type(GGML_BACKEND_DEVICE_TYPE_CPU);
    return ggml_backend_reg_get_proc_address(ggml_backend_dev_backend_reg(cpu), name);
}

void threads_open(embedded *e, struct llama_context *ctx, const tuning *t)
{
    uint32_t most = t->read_threads > t->write_threads ? t->read_threads : t->write_threads;
    pool_new_fn new = (pool_new_fn)pool_function("ggml_threadpool_new");
    struct ggml_threadpool_params params = ggml_threadpool_params_default((int)most);
    if (new &&pool_function("ggml_threadpool_free") && most > 1)
        e->threads = new (&params);
    llama_set_n_threads(ctx, (int32_t)t->write_threads, (int32_t)t->read_threads);
    if (e->threads)
        llama_attach_threadpool(ctx, e->threads, NULL);
}

void threads_close(embedded *e)
{
    if (e->threads)
        ((pool_free_fn)pool_function("ggml_threadpool_free"))(e->threads);
    e->threads = NULL;
}

static uint32_t cores(void)
{
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) == 0 && CPU_COUNT(&set) > 0)
        return (uint32_t)CPU_COUNT(&set);
    long online = sysconf(_SC_NPROCESSORS_ONLN);
    return online > 0 ? (uint32_t)online : 1;
}

/* ---- measuring ------------------------------------------------------------------------------- */

/* Milliseconds of decoding that many rows from position from on; negative on failure. */
static double decode_ms(embedded *e, struct llama_context *ctx, size_t from, size_t rows)
{
    e->batch.n_tokens = (int32_t)rows;
    for (size_t i = 0; i < rows; i++) {
        size_t at = from + i;
        e->batch.token[i] = (llama_token)(at * 7919 % (size_t)llama_vocab_n_tokens(e->vocab));
        e->batch.pos[i] = (llama_pos)at;
        e->batch.n_seq_id[i] = 1;
        e->batch.seq_id[i][0] = 0;
        e->batch.logits[i] = i + 1 == rows;
    }
    double start = clock_ms();
    int32_t rc = llama_decode(ctx, e->batch);
    llama_synchronize(ctx);
    return rc == 0 ? clock_ms() - start : -1;
}

static bool round_time(embedded *e, struct llama_context *ctx, tune_time *out)
{
    llama_memory_clear(llama_get_memory(ctx), false);
    out->read_ms = decode_ms(e, ctx, 0, READ_ROWS);
    out->write_ms = 0;
    for (size_t i = 0; out->read_ms >= 0 && i < WRITE_ROWS; i++) {
        double ms = decode_ms(e, ctx, READ_ROWS + i, 1);
        if (ms < 0)
            return false;
        out->write_ms += ms;
    }
    return out->read_ms >= 0;
}

static bool time_of(embedded *e, struct llama_context *ctx, uint32_t threads, tune_time *out)
{
    bool ok = true;
    llama_set_n_threads(ctx, (int32_t)threads, (int32_t)threads);
    for (int i = 0; ok && i < ROUNDS; i++) {
        tune_time once = { .threads = threads };
        ok = round_time(e, ctx, &once);
        if (i == 0)
            *out = once;
        out->read_ms = once.read_ms < out->read_ms ? once.read_ms : out->read_ms;
        out->write_ms = once.write_ms < out->write_ms ? once.write_ms : out->write_ms;
    }
    return ok;
}

/* Returns how many numbers were tried; 0 if measuring failed or other processes disturbed it. All
 * use one pool, whose other threads sleep. */
static size_t measure(embedded *e, struct llama_context *ctx, uint32_t most,
                      tune_time times[TUNE_CANDIDATES])
{
    uint32_t threads[TUNE_CANDIDATES];
    size_t count = tune_candidates(most, threads), done = 0;
    tune_use before, after;
    threads_open(e, ctx, &(tuning){ most, most });
    if (!llama_get_memory(ctx) || decode_ms(e, ctx, 0, 2) < 0 ||
        !tune_use_now(&before)) /* that decode loaded the file's pages */
        return 0;
    double start = clock_ms();
    while (done < count && tune_goes_on(times, done) && clock_ms() - start < MEASURE_MS)
        if (!time_of(e, ctx, threads[done], &times[done]))
            return 0;
        else
            done++;
    return tune_use_now(&after) && !tune_was_disturbed(&before, &after) ? done : 0;
}

/* The path of the file for this machine, model and libllama; false if there is no directory for it,
 * or the path is too long. */
static bool file_path(const embedded *e, const char *cpu, uint32_t most, char path[PATH_MAX])
{
    const char *built = llama_print_system_info();
    uint64_t id = fnv_add(e->cache_id, &most, sizeof most);
    id = fnv_add(fnv_add(id, cpu, strlen(cpu)), built, strlen(built));
    int n = e->cache_dir
                ? snprintf(path, PATH_MAX, "%s/threads-%016" PRIx64 ".json", e->cache_dir, id)
                : 0;
    return n > 0 && n < PATH_MAX;
}

static void say(const embedded *e, const tuning *t, const char *how)
{
    char line[128];
    snprintf(line, sizeof line, "threads: %u for prefill, %u for generation (%s)", t->read_threads,
             t->write_threads, how);
    if (e->log)
        e->log(e->log_ctx, 2, line);
}

tuning threads_choose(embedded *e, const s2a_engine_options *options,
                      const struct llama_context_params *params)
{
    char path[PATH_MAX];
    tune_time times[TUNE_CANDIDATES];
    uint32_t most = options->threads ? options->threads : cores();
    if (most > GGML_MAX_N_THREADS)
        most = GGML_MAX_N_THREADS;
    tuning all = { most, most }, t = all;
    const char *cpu =
        ggml_backend_dev_description(ggml_backend_dev_by_type(GGML_BACKEND_DEVICE_TYPE_CPU));
    bool gpu = options->gpu_layers != 0 && llama_supports_gpu_offload();
    if (options->threads || most == 1 || gpu || !file_path(e, cpu, most, path))
        return all;
    if (tune_load(path, most, &t)) {
        say(e, &t, "as measured before on this machine");
        return t;
    }
    struct llama_context_params small = *params;
    small.n_ctx = small.n_batch = small.n_ubatch = 2 * READ_ROWS;
    struct llama_context *ctx = llama_init_from_model(e->model, small);
    size_t tried = ctx ? measure(e, ctx, most, times) : 0;
    if (ctx)
        llama_free(ctx);
    threads_close(e); /* after the context, which uses the pool */
    if (tried == 0) {
        say(e, &all, "all cores: the machine was too busy to measure");
        return all;
    }
    t = tune_choose(times, tried);
    tune_save(path, cpu, most, times, tried, &t);
    say(e, &t, "measured now, once for this machine and model");
    return t;
}
