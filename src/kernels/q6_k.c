/* Q6_K: (q - 32) * scale, sub-blocks of 16 columns. ggml leaves these weights as they are in the
 * model's file on x86, and multiplies them row by row. */
#include <dlfcn.h>
#include <pthread.h>

#include "kernels/kernels.h"
#include "kernels/panel.h"

typedef struct q6_k { /* ggml's block_q6_K */
    uint8_t low[2][64], high[2][32]; /* [128 columns]: nibbles of 32 columns and of those 64 later;
                                      * two bits of 32 columns, of those 32, 64 and 96 later */
    int8_t scales[16];
    uint16_t d;
} q6_k;

typedef struct q8_k { /* ggml's block_q8_K */
    float d;
    int8_t quants[BLOCK];
    int16_t sums[BLOCK / 16];
} q8_k;

/* As in ggml-cpu-impl.h. */
struct ggml_threadpool;
struct ggml_compute_params {
    int ith, nth;
    size_t wsize;
    void *wdata;
    struct ggml_threadpool *threadpool;
    bool use_ref;
};
int ggml_threadpool_chunk_add(struct ggml_threadpool *pool, int value);

#define MIN_TOKENS 4
#define CHUNKS_PER_THREAD 4

/* ---- unpacking ------------------------------------------------------------------------------ */

/* 32 bytes of each of eight rows: out[i] has the i-th eight bytes of all rows. */
static inline void interleave(const __m256i rows[PANEL_ROWS], __m512i out[4])
{
    __m512i a = _mm512_inserti64x4(_mm512_castsi256_si512(rows[0]), rows[2], 1);
    __m512i b = _mm512_inserti64x4(_mm512_castsi256_si512(rows[1]), rows[3], 1);
    __m512i c = _mm512_inserti64x4(_mm512_castsi256_si512(rows[4]), rows[6], 1);
    __m512i d = _mm512_inserti64x4(_mm512_castsi256_si512(rows[5]), rows[7], 1);
    __m512i ab = _mm512_unpacklo_epi64(a, b), cd = _mm512_unpacklo_epi64(c, d);
    out[0] = _mm512_shuffle_i64x2(ab, cd, 0x88);
    out[2] = _mm512_shuffle_i64x2(ab, cd, 0xdd);
    ab = _mm512_unpackhi_epi64(a, b);
    cd = _mm512_unpackhi_epi64(c, d);
    out[1] = _mm512_shuffle_i64x2(ab, cd, 0x88);
    out[3] = _mm512_shuffle_i64x2(ab, cd, 0xdd);
}

static void unpack_weights(const q6_k *const from[PANEL_ROWS], panel *to)
{
    const __m512i nibble = _mm512_set1_epi8(15), two = _mm512_set1_epi8(0x30);
    for (int half = 0; half < 2; half++) {
        __m256i rows[PANEL_ROWS];
        __m512i first[4], second[4], high[4];
        for (int r = 0; r < PANEL_ROWS; r++)
            rows[r] = _mm256_loadu_si256((const void *)from[r]->low[half]);
        interleave(rows, first);
        for (int r = 0; r < PANEL_ROWS; r++)
            rows[r] = _mm256_loadu_si256((const void *)(from[r]->low[half] + 32));
        interleave(rows, second);
        for (int r = 0; r < PANEL_ROWS; r++)
            rows[r] = _mm256_loadu_si256((const void *)from[r]->high[half]);
        interleave(rows, high);
        for (int i = 0; i < 4; i++) {
            __m512i q[4] = {
                _mm512_or_si512(_mm512_and_si512(first[i], nibble),
                                _mm512_and_si512(_mm512_slli_epi16(high[i], 4), two)),
                _mm512_or_si512(_mm512_and_si512(second[i], nibble),
                                _mm512_and_si512(_mm512_slli_epi16(high[i], 2), two)),
                _mm512_or_si512(_mm512_and_si512(_mm512_srli_epi16(first[i], 4), nibble),
                                _mm512_and_si512(high[i], two)),
                _mm512_or_si512(_mm512_and_si512(_mm512_srli_epi16(second[i], 4), nibble),
                                _mm512_and_si512(_mm512_srli_epi16(high[i], 2), two)),
            };
            for (int k = 0; k < 4; k++)
                _mm512_store_si512(to->weights[half * 16 + k * 4 + i], q[k]);
        }
    }
}

static void unpack(const q6_k *const from[PANEL_ROWS], panel *to)
{
    unpack_weights(from, to);
    __m256i rows[PANEL_ROWS];
    float d[PANEL_ROWS];
    for (int r = 0; r < PANEL_ROWS; r++) {
        rows[r] = _mm256_cvtepi8_epi16(_mm_loadu_si128((const void *)from[r]->scales));
        d[r] = _cvtsh_ss(from[r]->d);
    }
    __m512i scales[4]; /* [64 columns]: four of 16 bits for each row */
    interleave(rows, scales);
    /* The i-th of a row's four to the upper halves of its two lanes. */
    const __m512i lanes = _mm512_broadcast_i32x4(
        _mm_set_epi8(9, 8, -1, -1, 9, 8, -1, -1, 1, 0, -1, -1, 1, 0, -1, -1));
    const __m512i next = _mm512_broadcast_i32x4(
        _mm_set_epi8(2, 2, 0, 0, 2, 2, 0, 0, 2, 2, 0, 0, 2, 2, 0, 0));
    for (int k = 0; k < 4; k++) {
        _mm512_store_si512(to->offsets[k], _mm512_slli_epi16(scales[k], 5));
        __m512i which = lanes;
        for (int i = 0; i < 4; i++) {
            __m512i upper = _mm512_shuffle_epi8(scales[k], which);
            _mm512_store_si512(to->scales[4 * k + i], _mm512_srai_epi32(upper, 16));
            which = _mm512_add_epi8(which, next);
        }
    }
    _mm512_store_ps(to->d, both_lanes(_mm256_loadu_ps(d)));
}

/* ---- the product ---------------------------------------------------------------------------- */

typedef void tile_function(size_t blocks, const panel *const *weights, const char *rows,
                           size_t row, int more, float *out, size_t out_row);

#define TILE(name, panels, tokens)                                                             \
    __attribute__((noinline)) static void name(size_t blocks, const panel *const *weights,     \
                                               const char *rows, size_t row, int more,         \
                                               float *out, size_t out_row)                     \
    {                                                                                          \
        const activations at = { .block = sizeof(q8_k),                                        \
                                 .quants = offsetof(q8_k, quants),                             \
                                 .step = 8,                                                    \
                                 .sums = offsetof(q8_k, sums),                                 \
                                 .quarter = 8,                                                 \
                                 .row = row,                                                   \
                                 .scale_row = row };                                           \
        const char *const base[2] = { rows, rows + 4 * row };                                  \
        tile(panels, tokens, 16, &at, blocks, weights, base, more, out, out_row);              \
    }
TILE(one_by_one, 1, 1)
TILE(one_by_two, 1, 2)
TILE(one_by_four, 1, 4)
TILE(one_by_eight, 1, 8)
TILE(two_by_one, 2, 1)
TILE(two_by_two, 2, 2)
TILE(two_by_four, 2, 4)
TILE(two_by_eight, 2, 8)

/* [panels - 1][log2 of tokens] */
static tile_function *const tiles[TILE_PANELS][4] = {
    { one_by_one, one_by_two, one_by_four, one_by_eight },
    { two_by_one, two_by_two, two_by_four, two_by_eight },
};

/* One or two panels by all rows of activations. */
static void multiply(const struct ggml_compute_params *params, struct ggml_tensor *dst, int64_t p,
                     int wide)
{
    const struct ggml_tensor *weights = dst->src[0], *rows = dst->src[1];
    const int64_t blocks = weights->ne[0] / BLOCK, tokens = rows->ne[1];
    const size_t row = (size_t)blocks * sizeof(q8_k);
    panel unpacked[TILE_PANELS][PANEL_BLOCKS];
    const panel *const both[TILE_PANELS] = { unpacked[0], unpacked[1] };
    for (int64_t b = 0; b < blocks; b += PANEL_BLOCKS) {
        int64_t deep = blocks - b < PANEL_BLOCKS ? blocks - b : PANEL_BLOCKS;
        for (int g = 0; g < wide; g++)
            for (int64_t i = 0; i < deep; i++) {
                const q6_k *from[PANEL_ROWS];
                for (int r = 0; r < PANEL_ROWS; r++)
                    from[r] = (const q6_k *)((const char *)weights->data +
                                             (size_t)((p + g) * PANEL_ROWS + r) * weights->nb[1]) +
                              b + i;
                unpack(from, &unpacked[g][i]);
            }
        for (int64_t z = 0; z < rows->ne[2]; z++)
            for (int64_t t = 0; t < tokens;) {
                int log2 = tokens - t >= 8 ? 3 : tokens - t >= 4 ? 2 : tokens - t >= 2 ? 1 : 0;
                const char *x = (const char *)params->wdata + (size_t)(z * tokens + t) * row +
                                (size_t)b * sizeof(q8_k);
                float *out = (float *)((char *)dst->data + (size_t)z * dst->nb[2] +
                                       (size_t)t * dst->nb[1]) +
                             p * PANEL_ROWS;
                tiles[wide - 1][log2]((size_t)deep, both, x, row, b > 0, out,
                                      dst->nb[1] / sizeof(float));
                t += 1 << log2;
            }
    }
}

/* ---- in ggml's place ------------------------------------------------------------------------ */

static bool is_ours(const struct ggml_tensor *dst)
{
    const struct ggml_tensor *weights = dst->src[0], *rows = dst->src[1];
    return weights->type == GGML_TYPE_Q6_K && rows->type == GGML_TYPE_F32 &&
           weights->ne[0] % BLOCK == 0 && weights->ne[1] % PANEL_ROWS == 0 && weights->ne[2] == 1 &&
           weights->ne[3] == 1 && rows->ne[3] == 1 && rows->ne[1] >= MIN_TOKENS;
}

static struct {
    bool (*supports)(const struct ggml_tensor *dst);
    size_t (*scratch_size)(const struct ggml_tensor *dst);
    void (*forward)(const struct ggml_compute_params *params, struct ggml_tensor *dst);
} ggml;

static void *after_this(const char *name)
{
    return dlsym(RTLD_NEXT, name);
}

/* ISO C has no cast from an object's pointer to a function's; POSIX says that it works this way. */
static void find_ggml(void)
{
    *(void **)&ggml.supports = after_this("ggml_cpu_iqp_supports_mul_mat");
    *(void **)&ggml.scratch_size = after_this("ggml_cpu_iqp_scratch_size");
    *(void **)&ggml.forward = after_this("ggml_compute_forward_mul_mat_iqp");
}

static bool have_ggml(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, find_ggml);
    return ggml.supports && ggml.scratch_size && ggml.forward;
}

bool ggml_cpu_iqp_supports_mul_mat(const struct ggml_tensor *dst)
{
    return is_ours(dst) || (have_ggml() && ggml.supports(dst));
}

/* Panels of ours are on the stack. */
size_t ggml_cpu_iqp_scratch_size(const struct ggml_tensor *dst)
{
    return have_ggml() && !is_ours(dst) ? ggml.scratch_size(dst) : 0;
}

void ggml_compute_forward_mul_mat_iqp(const struct ggml_compute_params *params,
                                      struct ggml_tensor *dst)
{
    if (!is_ours(dst)) {
        ggml.forward(params, dst);
        return;
    }
    const int64_t panels = dst->src[0]->ne[1] / PANEL_ROWS, nth = params->nth;
    const int64_t share = (panels + nth * CHUNKS_PER_THREAD - 1) / (nth * CHUNKS_PER_THREAD);
    const int64_t chunk = share + share % TILE_PANELS;
    /* The caller has given each thread its first chunk, its own number, and counts from there. */
    for (int64_t c = params->ith; c * chunk < panels;
         c = ggml_threadpool_chunk_add(params->threadpool, 1)) {
        int64_t end = (c + 1) * chunk < panels ? (c + 1) * chunk : panels;
        for (int64_t p = c * chunk; p < end; p += TILE_PANELS)
            multiply(params, dst, p, end - p >= TILE_PANELS ? TILE_PANELS : 1);
    }
}
