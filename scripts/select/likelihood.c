/* How likely a text is after another: for scripts/select/likelihood.py.
 *
 *   likelihood MODEL.gguf LIBRARY_DIR < LINES
 *
 * Lines are JSON: {"before": text, "text": text}, special tokens by their names. Each answer is a line
 * {"logprob": sum over the tokens of text, "tokens": how many}. What a line's tokens have in common with
 * the last one's is not decoded again. */
#include <jansson.h>
#include <llama.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MAX_TOKENS = 4096, MAX_BYTES = 1 << 20 };

typedef struct reader {
    struct llama_context *ctx;
    const struct llama_vocab *vocab;
    struct llama_batch batch;
    llama_token held[MAX_TOKENS], now[MAX_TOKENS];
    int held_count;
} reader;

static void quiet(enum ggml_log_level level, const char *text, void *ctx)
{
    (void)ctx;
    if (level == GGML_LOG_LEVEL_ERROR)
        fputs(text, stderr);
}

static double logprob(const float *row, int vocab_size, llama_token token)
{
    double most = row[0], sum = 0;
    for (int i = 1; i < vocab_size; i++)
        most = fmax(most, row[i]);
    for (int i = 0; i < vocab_size; i++)
        sum += exp(row[i] - most);
    return row[token] - most - log(sum);
}

/* The tokens of now from `from` on, given those before; false when libllama fails. */
static bool read_tokens(reader *r, int count, int from, double *sum)
{
    int same = 0, vocab_size = llama_vocab_n_tokens(r->vocab);
    while (same < r->held_count && same < from - 1 && r->held[same] == r->now[same])
        same++; /* the row before the first token of the text is wanted once more */
    llama_memory_seq_rm(llama_get_memory(r->ctx), 0, same, -1);
    r->batch.n_tokens = 0;
    for (int i = same; i < count; i++) {
        int n = r->batch.n_tokens++;
        r->batch.token[n] = r->now[i];
        r->batch.pos[n] = i;
        r->batch.n_seq_id[n] = 1;
        r->batch.seq_id[n][0] = 0;
        r->batch.logits[n] = i >= from - 1 && i + 1 < count;
    }
    if (llama_decode(r->ctx, r->batch) != 0)
        return false;
    *sum = 0;
    for (int i = from; i < count; i++)
        *sum += logprob(llama_get_logits_ith(r->ctx, i - 1 - same), vocab_size, r->now[i]);
    memcpy(r->held, r->now, (size_t)count * sizeof *r->now);
    r->held_count = count;
    return true;
}

static int line_read(reader *r, const char *line)
{
    json_t *root = json_loads(line, 0, NULL);
    const char *before = json_string_value(json_object_get(root, "before"));
    const char *text = json_string_value(json_object_get(root, "text"));
    int from = -1, count = -1;
    double sum = 0;
    if (before && text)
        from = llama_tokenize(r->vocab, before, (int)strlen(before), r->now, MAX_TOKENS, false, true);
    if (from > 0)
        count = llama_tokenize(r->vocab, text, (int)strlen(text), r->now + from, MAX_TOKENS - from, false, false);
    json_decref(root);
    if (count <= 0 || !read_tokens(r, from + count, from, &sum)) {
        fprintf(stderr, "likelihood: cannot read %.60s\n", line);
        return 1;
    }
    printf("{\"logprob\": %.6f, \"tokens\": %d}\n", sum, count);
    fflush(stdout);
    return 0;
}

int main(int argc, char **argv)
{
    static char line[MAX_BYTES];
    static reader r;
    if (argc != 3)
        return 2;
    llama_log_set(quiet, NULL);
    ggml_backend_load_all_from_path(argv[2]);
    struct llama_model *model = llama_model_load_from_file(argv[1], llama_model_default_params());
    struct llama_context_params params = llama_context_default_params();
    params.n_ctx = params.n_batch = params.n_ubatch = params.n_outputs_max = MAX_TOKENS;
    params.n_threads = params.n_threads_batch = (int)sysconf(_SC_NPROCESSORS_ONLN);
    r.ctx = model ? llama_init_from_model(model, params) : NULL;
    if (!r.ctx)
        return 1;
    r.vocab = llama_model_get_vocab(model);
    r.batch = llama_batch_init(MAX_TOKENS, 0, 1);
    int failed = 0;
    while (!failed && fgets(line, sizeof line, stdin))
        failed = line_read(&r, line);
    llama_batch_free(r.batch);
    llama_free(r.ctx);
    llama_model_free(model);
    return failed;
}
