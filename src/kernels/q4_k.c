/* Q4_K: q * scale - min, sub-blocks of 32 columns with six bits for each. ggml has packed these
 * weights already, eight rows to a block (repack.cpp); only the product is ours. */
#include <string.h>

#include "kernels/kernels.h"
#include "kernels/panel.h"

typedef struct q4_k_rows { /* ggml's block_q4_Kx8 */
    uint16_t d[PANEL_ROWS], dmin[PANEL_ROWS];
    uint8_t scales[8][12];  /* [sub-block]: six bits of scale and min of eight rows */
    uint8_t quants[16][64]; /* [step]: low nibbles of one sub-block, high ones of the next */
} q4_k_rows;

typedef struct q8_k_rows { /* ggml's block_q8_Kx4 */
    float d[4];
    int8_t quants[BLOCK / 8][4][8]; /* [step][row] */
    int16_t sums[4][4][4];          /* [64 columns][row][16 columns] */
} q8_k_rows;

static const activations four_rows = {
    .block = sizeof(q8_k_rows),
    .quants = offsetof(q8_k_rows, quants),
    .step = 32,
    .sums = offsetof(q8_k_rows, sums),
    .quarter = 32,
    .row = 8,
    .scale_row = sizeof(float),
};

/* The scales and mins of a sub-block's eight rows, a byte each. */
static inline void scales_of(const uint8_t packed[12], __m128i *scales, __m128i *mins)
{
    uint32_t low_scales, low_mins, high;
    memcpy(&low_scales, packed, 4);
    memcpy(&low_mins, packed + 4, 4);
    memcpy(&high, packed + 8, 4);
    uint32_t s = (high & 0x0f0f0f0fU) | ((low_scales >> 2) & 0x30303030U);
    uint32_t m = ((high >> 4) & 0x0f0f0f0fU) | ((low_mins >> 2) & 0x30303030U);
    *scales = _mm_cvtsi64_si128((int64_t)((low_scales & 0x3f3f3f3fU) | (uint64_t)s << 32));
    *mins = _mm_cvtsi64_si128((int64_t)((low_mins & 0x3f3f3f3fU) | (uint64_t)m << 32));
}

static void unpack(const q4_k_rows *from, panel *to)
{
    const __m512i nibble = _mm512_set1_epi8(15);
    for (int i = 0; i < 16; i++) {
        __m512i both = _mm512_loadu_si512(from->quants[i]);
        int step = i / 4 * 8 + i % 4;
        _mm512_store_si512(to->weights[step], _mm512_and_si512(both, nibble));
        _mm512_store_si512(to->weights[step + 4],
                           _mm512_and_si512(_mm512_srli_epi16(both, 4), nibble));
    }
    for (int k = 0; k < 4; k++) {
        __m128i scales[2], mins[2];
        for (int i = 0; i < 2; i++) {
            scales_of(from->scales[2 * k + i], &scales[i], &mins[i]);
            _mm512_store_si512(to->scales[2 * k + i],
                               _mm512_cvtepu8_epi32(_mm_unpacklo_epi8(scales[i], scales[i])));
        }
        __m512i offsets = _mm512_cvtepu8_epi32(_mm_unpacklo_epi8(mins[0], mins[1]));
        offsets = _mm512_or_si512(offsets, _mm512_slli_epi32(offsets, 16));
        _mm512_store_si512(to->offsets[k], offsets);
    }
    _mm512_store_ps(to->d, both_lanes(_mm256_cvtph_ps(_mm_loadu_si128((const void *)from->d))));
    _mm512_store_ps(to->dmin,
                    both_lanes(_mm256_cvtph_ps(_mm_loadu_si128((const void *)from->dmin))));
}

typedef void tile_function(size_t blocks, const panel *const *weights, const char *const *base,
                           int more, float *out, size_t out_row);

#define TILE(name, panels, tokens)                                                            \
    __attribute__((noinline)) static void name(size_t blocks, const panel *const *weights,    \
                                               const char *const *base, int more, float *out, \
                                               size_t out_row)                                \
    {                                                                                         \
        tile(panels, tokens, 32, &four_rows, blocks, weights, base, more, out, out_row);      \
    }
TILE(one_by_four, 1, 4)
TILE(one_by_eight, 1, 8)
TILE(two_by_four, 2, 4)
TILE(two_by_eight, 2, 8)

/* [panels - 1][tokens / 4 - 1] */
static tile_function *const tiles[TILE_PANELS][2] = { { one_by_four, one_by_eight },
                                                      { two_by_four, two_by_eight } };

void ggml_gemm_q4_K_8x8_q8_K(int columns, float *restrict out, size_t out_row,
                             const void *restrict weights, const void *restrict rows, int tokens,
                             int out_columns)
{
    const size_t blocks = (size_t)columns / BLOCK, panels = (size_t)out_columns / PANEL_ROWS;
    const size_t fours = (size_t)tokens / 4;
    const q4_k_rows *w = weights;
    const q8_k_rows *x = rows;
    panel unpacked[TILE_PANELS][PANEL_BLOCKS];
    const panel *const both[TILE_PANELS] = { unpacked[0], unpacked[1] };
    for (size_t p = 0, wide; p < panels; p += wide) {
        wide = panels - p >= 2 ? 2 : 1;
        for (size_t b = 0; b < blocks; b += PANEL_BLOCKS) {
            size_t deep = blocks - b < PANEL_BLOCKS ? blocks - b : PANEL_BLOCKS;
            for (size_t g = 0; g < wide; g++)
                for (size_t i = 0; i < deep; i++)
                    unpack(&w[(p + g) * blocks + b + i], &unpacked[g][i]);
            for (size_t t = 0, high; t < fours; t += high) {
                high = fours - t >= 2 ? 2 : 1;
                const char *base[2] = { (const char *)&x[t * blocks + b],
                                        (const char *)&x[(t + high - 1) * blocks + b] };
                tiles[wide - 1][high - 1](deep, both, base, b > 0,
                                          out + t * 4 * out_row + p * PANEL_ROWS, out_row);
            }
        }
    }
}
