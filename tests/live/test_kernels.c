/* Products of quantised weights by code of ours (src/kernels/), against the same sums in double
 * precision: all shapes in which they come, and with what is not ours left to ggml. Needs a
 * processor with AVX-512 VNNI and the libllama that scripts/llama.lock pins. */
#include <dlfcn.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include <ggml-alloc.h>
#include <ggml-backend.h>
#include <ggml.h>

#include "backend/llama/library.h"

#define ROUNDING 2e-6 /* of the sum of the terms' sizes: floats are added, thousands at most */

typedef struct q8_k { /* ggml's block_q8_K */
    float d;
    int8_t quants[256];
    int16_t sums[16];
} q8_k;

typedef struct q8_0 { /* ggml's block_q8_0 */
    ggml_fp16_t d;
    int8_t quants[32];
} q8_0;

static ggml_backend_t cpu;
static ggml_backend_buffer_type_t packed;
/* ggml's, to Q8_0 and Q8_K, as it does with activations. */
static void (*quantize_32)(const float *from, void *to, int64_t count);
static void (*quantize_256)(const float *from, void *to, int64_t count);

static uint32_t noise_state;

static float noise(void)
{
    noise_state = noise_state * 1664525u + 1013904223u;
    return (float)(noise_state >> 8) / (float)(1u << 23) - 1;
}

static int setup(void **state)
{
    (void)state;
    char name[64];
    ggml_backend_dev_t device = ggml_backend_dev_by_type(GGML_BACKEND_DEVICE_TYPE_CPU);
    cpu = ggml_backend_dev_init(device, NULL);
    assert_non_null(cpu);
    ggml_backend_dev_get_extra_bufts_t more;
    *(void **)&more = ggml_backend_reg_get_proc_address(ggml_backend_dev_backend_reg(device),
                                                        "ggml_backend_dev_get_extra_bufts");
    assert_non_null(more);
    for (ggml_backend_buffer_type_t *type = more(device); *type; type++)
        if (!strcmp(ggml_backend_buft_name(*type), "CPU_REPACK"))
            packed = *type;
    assert_non_null(packed);
    snprintf(name, sizeof name, "libs2a-kernels-%s.so", library_kernels());
    void *module = dlopen(name, RTLD_NOW | RTLD_NOLOAD);
    assert_non_null(module);
    *(void **)&quantize_32 = dlsym(module, "quantize_row_q8_0");
    *(void **)&quantize_256 = dlsym(module, "quantize_row_q8_K");
    assert_true(quantize_32 && quantize_256);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    ggml_backend_free(cpu);
    return 0;
}

static struct ggml_context *context(void)
{
    struct ggml_init_params how = { .mem_size = (size_t)1 << 20, .no_alloc = true };
    struct ggml_context *ctx = ggml_init(how);
    assert_non_null(ctx);
    return ctx;
}

typedef struct shape {
    enum ggml_type type;
    int64_t columns, rows, tokens, planes;
    int threads;
    float scale; /* of the weights */
} shape;

/* What the product is of: weights as they are after quantising, activations likewise. */
typedef struct problem {
    float *weights, *activations; /* [rows][columns]; [planes * tokens][columns] */
    float *result;                /* [planes * tokens][rows] */
} problem;

static void problem_free(problem *p)
{
    free(p->weights);
    free(p->activations);
    free(p->result);
}

/* Weights in the type, and what they are then. */
static void *make_weights(const shape *s, problem *p)
{
    size_t count = (size_t)(s->rows * s->columns);
    void *quantised = malloc(ggml_row_size(s->type, s->columns) * (size_t)s->rows);
    p->weights = malloc(count * sizeof(float));
    assert_true(quantised && p->weights);
    for (size_t i = 0; i < count; i++) /* another size for each row, and a row of nothing */
        p->weights[i] = i / (size_t)s->columns == 3
                            ? 0
                            : s->scale * noise() * (float)(1 + i / (size_t)s->columns % 5);
    ggml_quantize_chunk(s->type, p->weights, quantised, 0, s->rows, s->columns, NULL);
    ggml_get_type_traits(s->type)->to_float(quantised, p->weights, (int64_t)count);
    return quantised;
}

/* Types whose activations are Q8_0, not Q8_K. */
static bool of_32(enum ggml_type type)
{
    return type == GGML_TYPE_Q5_0 || type == GGML_TYPE_Q8_0;
}

static float *make_activations(const shape *s, problem *p)
{
    size_t count = (size_t)(s->planes * s->tokens * s->columns);
    float *given = malloc(count * sizeof *given);
    p->activations = malloc(count * sizeof *p->activations);
    void *blocks = malloc(count / 32 * sizeof(q8_0) + count / 256 * sizeof(q8_k));
    assert_true(given && p->activations && blocks);
    for (size_t i = 0; i < count; i++)
        given[i] = i / (size_t)s->columns == 1 ? 0 : noise() * (i % 97 == 0 ? 40 : 1);
    if (of_32(s->type)) {
        const q8_0 *x = blocks;
        quantize_32(given, blocks, (int64_t)count);
        for (size_t i = 0; i < count; i++)
            p->activations[i] = ggml_fp16_to_fp32(x[i / 32].d) * (float)x[i / 32].quants[i % 32];
    } else {
        const q8_k *x = blocks;
        quantize_256(given, blocks, (int64_t)count);
        for (size_t i = 0; i < count; i++)
            p->activations[i] = x[i / 256].d * (float)x[i / 256].quants[i % 256];
    }
    free(blocks);
    return given;
}

static void multiply(const shape *s, problem *p)
{
    struct ggml_context *of_weights = context(), *of_rest = context();
    struct ggml_tensor *w = ggml_new_tensor_2d(of_weights, s->type, s->columns, s->rows);
    struct ggml_tensor *x =
        ggml_new_tensor_3d(of_rest, GGML_TYPE_F32, s->columns, s->tokens, s->planes);
    struct ggml_tensor *y = ggml_mul_mat(of_rest, w, x);
    struct ggml_cgraph *graph = ggml_new_graph(of_rest);
    ggml_build_forward_expand(graph, y);
    ggml_backend_buffer_t b1 = s->type == GGML_TYPE_Q4_K
                                   ? ggml_backend_alloc_ctx_tensors_from_buft(of_weights, packed)
                                   : ggml_backend_alloc_ctx_tensors(of_weights, cpu);
    ggml_backend_buffer_t b2 = ggml_backend_alloc_ctx_tensors(of_rest, cpu);
    assert_true(b1 && b2);
    void *quantised = make_weights(s, p);
    ggml_backend_tensor_set(w, quantised, 0, ggml_nbytes(w));
    free(quantised);
    float *given = make_activations(s, p);
    ggml_backend_tensor_set(x, given, 0, ggml_nbytes(x));
    free(given);
    ggml_backend_set_n_threads_t threads;
    *(void **)&threads = ggml_backend_reg_get_proc_address(
        ggml_backend_dev_backend_reg(ggml_backend_get_device(cpu)), "ggml_backend_set_n_threads");
    threads(cpu, s->threads);
    assert_int_equal(ggml_backend_graph_compute(cpu, graph), GGML_STATUS_SUCCESS);
    p->result = malloc(ggml_nbytes(y));
    assert_non_null(p->result);
    ggml_backend_tensor_get(y, p->result, 0, ggml_nbytes(y));
    ggml_backend_buffer_free(b1);
    ggml_backend_buffer_free(b2);
    ggml_free(of_weights);
    ggml_free(of_rest);
}

/* The largest difference from the sums in double precision, in shares of the terms' sizes. */
static double worst(const shape *s)
{
    problem p;
    noise_state = 1;
    multiply(s, &p);
    double most = 0;
    for (int64_t t = 0; t < s->planes * s->tokens; t++)
        for (int64_t r = 0; r < s->rows; r++) {
            const float *w = p.weights + r * s->columns, *x = p.activations + t * s->columns;
            double sum = 0, size = 0;
            for (int64_t c = 0; c < s->columns; c++) {
                sum += (double)w[c] * (double)x[c];
                size += fabs((double)w[c] * (double)x[c]);
            }
            double off = fabs((double)p.result[t * s->rows + r] - sum);
            assert_true(size > 0 || off == 0);
            if (size > 0 && off / size > most)
                most = off / size;
        }
    problem_free(&p);
    return most;
}

static const enum ggml_type ours[] = { GGML_TYPE_Q4_K, GGML_TYPE_Q5_0, GGML_TYPE_Q6_K,
                                       GGML_TYPE_Q8_0 };

/* Fours and what is left over, one panel and several, all blocks at once and in parts. */
static void test_shapes(void **state)
{
    (void)state;
    static const int64_t columns[] = { 32, 256, 896, 1536, 1792, 3328 };
    static const int64_t rows[] = { 8, 16, 40 };
    for (size_t t = 0; t < sizeof ours / sizeof *ours; t++)
        for (size_t c = 0; c < sizeof columns / sizeof *columns; c++)
            for (size_t r = 0; r < sizeof rows / sizeof *rows; r++)
                for (int64_t tokens = 1; tokens <= 21; tokens++) {
                    shape s = { .type = ours[t],
                                .columns = columns[c],
                                .rows = rows[r],
                                .tokens = tokens,
                                .planes = 1,
                                .threads = 1,
                                .scale = 1 };
                    if (!of_32(s.type) && s.columns % 256 != 0)
                        continue;
                    double off = worst(&s);
                    if (off > ROUNDING)
                        fail_msg("%s, %d columns, %d rows, %d tokens: off by %g",
                                 ggml_type_name(s.type), (int)s.columns, (int)s.rows, (int)tokens,
                                 off);
                }
}

static void test_threads_and_planes(void **state)
{
    (void)state;
    for (size_t t = 0; t < sizeof ours / sizeof *ours; t++)
        for (int threads = 1; threads <= 5; threads += 2)
            for (int64_t planes = 1; planes <= 3; planes++) {
                shape s = { .type = ours[t],
                            .columns = 512,
                            .rows = 264,
                            .tokens = 13,
                            .planes = planes,
                            .threads = threads,
                            .scale = 1 };
                assert_true(worst(&s) <= ROUNDING);
            }
}

/* More threads than processors, which wait for each other while some of them do not run. */
static void test_more_threads_than_processors(void **state)
{
    (void)state;
    shape s = { .type = GGML_TYPE_Q6_K,
                .columns = 256,
                .rows = 64,
                .tokens = 8,
                .planes = 1,
                .threads = 1,
                .scale = 1 };
    problem alone, p;
    noise_state = 3;
    multiply(&s, &alone);
    for (s.threads = 2; s.threads <= 24; s.threads++) {
        noise_state = 3;
        multiply(&s, &p);
        assert_memory_equal(p.result, alone.result, 8 * 64 * sizeof(float));
        problem_free(&p);
    }
    problem_free(&alone);
}

/* Weights so small and so large that a block's own scale is at the ends of a half float. */
static void test_sizes(void **state)
{
    (void)state;
    static const float scales[] = { 1e-3f, 1, 1e3f, 1e5f };
    for (size_t t = 0; t < sizeof ours / sizeof *ours; t++)
        for (size_t i = 0; i < sizeof scales / sizeof *scales; i++) {
            shape s = { .type = ours[t],
                        .columns = 512,
                        .rows = 16,
                        .tokens = 8,
                        .planes = 1,
                        .threads = 1,
                        .scale = scales[i] };
            assert_true(worst(&s) <= ROUNDING);
        }
}

/* With or without neighbours in its step a token has the same product, to the last bit, unless it
 * is one of the last three of Q4_K, which ggml multiplies one by one. */
static void test_neighbours(void **state)
{
    (void)state;
    for (size_t t = 0; t < sizeof ours / sizeof *ours; t++) {
        shape many = { .type = ours[t],
                       .columns = 1792,
                       .rows = 16,
                       .tokens = 24,
                       .planes = 1,
                       .threads = 1,
                       .scale = 1 };
        shape few = many;
        few.tokens = 4;
        problem a, b;
        noise_state = 7;
        multiply(&many, &a);
        noise_state = 7; /* the same weights, and the first four rows */
        multiply(&few, &b);
        assert_memory_equal(a.result, b.result, 4 * 16 * sizeof(float));
        problem_free(&a);
        problem_free(&b);
    }
}

/* What shares ggml's functions with Q6_K, or is none of ours. */
static void test_others(void **state)
{
    (void)state;
    static const enum ggml_type others[] = { GGML_TYPE_IQ3_S, GGML_TYPE_IQ4_XS, GGML_TYPE_Q5_K };
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        for (int64_t tokens = 1; tokens <= 17; tokens += 8) {
            shape s = { .type = others[i],
                        .columns = 512,
                        .rows = 16,
                        .tokens = tokens,
                        .planes = 1,
                        .threads = 2,
                        .scale = 1 };
            assert_true(worst(&s) <= ROUNDING);
        }
    shape odd = { .type = GGML_TYPE_Q6_K,
                  .columns = 512,
                  .rows = 13,
                  .tokens = 9,
                  .planes = 1,
                  .threads = 2,
                  .scale = 1 };
    assert_true(worst(&odd) <= ROUNDING);
}

/* In a process of its own, for what is loaded stays. */
static bool loads_without(void)
{
    pid_t child = fork();
    if (child == 0) {
        s2a_error err;
        bool ok = library_load(NULL, false, &err) == S2A_OK && !library_kernels() &&
                  library_load(NULL, true, &err) == S2A_OK && !library_kernels();
        _exit(ok ? 0 : 1);
    }
    int status = 1;
    return child > 0 && waitpid(child, &status, 0) == child && status == 0;
}

int main(void)
{
    s2a_error err;
    if (!loads_without()) {
        fprintf(stderr, "without kernels: not loaded, or with kernels\n");
        return 1;
    }
    if (library_load(NULL, true, &err) != S2A_OK) {
        fprintf(stderr, "%s\n", err.message);
        return 1;
    }
    if (!library_kernels()) {
        fprintf(stderr, "no kernels for this processor or this libllama\n");
        return 77; /* ctest: skipped */
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shapes),
        cmocka_unit_test(test_threads_and_planes),
        cmocka_unit_test(test_more_threads_than_processors),
        cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_neighbours),
        cmocka_unit_test(test_others),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
