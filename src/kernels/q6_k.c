/* Q6_K: (q - 32) * scale, sub-blocks of 16 columns. ggml leaves these weights as they are in the
 * model's file on x86, and multiplies them row by row. */
#include "kernels/panel.h"
#include "kernels/product.h"

typedef struct q6_k {                /* ggml's block_q6_K */
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

/* ---- unpacking ------------------------------------------------------------------------------ */

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

static void unpack(const char *block, size_t row, void *panel_of_rows)
{
    const q6_k *from[PANEL_ROWS];
    panel *to = panel_of_rows;
    for (size_t r = 0; r < PANEL_ROWS; r++)
        from[r] = (const q6_k *)(block + r * row);
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
    const __m512i next =
        _mm512_broadcast_i32x4(_mm_set_epi8(2, 2, 0, 0, 2, 2, 0, 0, 2, 2, 0, 0, 2, 2, 0, 0));
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

#define TILE(name, panels, tokens)                                                                 \
    static void name(const product *p, int64_t blocks, const void *const *unpacked, int64_t token, \
                     int64_t block, int more, float *out)                                          \
    {                                                                                              \
        const activations at = { .block = sizeof(q8_k),                                            \
                                 .quants = offsetof(q8_k, quants),                                 \
                                 .step = 8,                                                        \
                                 .sums = offsetof(q8_k, sums),                                     \
                                 .quarter = 8,                                                     \
                                 .row = p->row,                                                    \
                                 .scale_row = p->row };                                            \
        const char *x = p->rows + (size_t)token * p->row + (size_t)block * sizeof(q8_k);           \
        const char *const base[2] = { x, x + 4 * p->row };                                         \
        const panel *const weights[TILE_PANELS] = { unpacked[0], unpacked[1] };                    \
        tile(panels, tokens, 16, &at, (size_t)blocks, weights, base, more, out,                    \
             p->out_row / sizeof(float));                                                          \
    }
EACH_TILE(TILE)

const product_type product_q6_k = {
    .type = GGML_TYPE_Q6_K,
    .columns = BLOCK,
    .weight_block = sizeof(q6_k),
    .row_block = sizeof(q8_k),
    .panel = sizeof(panel),
    .deep = PANEL_BLOCKS,
    .unpack = unpack,
    .tiles = TILE_TABLE,
};
_Static_assert(PANEL_BLOCKS * sizeof(panel) <= UNPACKED, "panels of Q6_K are larger");
