/* Q5_0: (q - 16) * d, and Q8_0: q * d, blocks of 32 columns, with activations in ggml's Q8_0. Both
 * are unpacked to unsigned bytes, which are 16 or 128 above the values. The error of this offset
 * depends on the activations alone and is computed once for all weights. */
#include "kernels/product.h"

#define COLUMNS 32
#define STEPS (COLUMNS / 8)
#define DEEP 64 /* blocks unpacked at a time: 40 KiB of two panels */

typedef struct q5_0 {
    uint16_t d;
    uint8_t fifth[4], low[16]; /* low: columns 0 to 15 and 16 to 31 */
} q5_0;

typedef struct q8_0 {
    uint16_t d;
    int8_t quants[COLUMNS];
} q8_0;

/* For one block of activations. */
typedef struct prepared {
    int32_t too_much; /* added to each row's product: -offset * sum of the block */
    float d;
} prepared;

typedef struct small_panel {
    _Alignas(64) uint8_t weights[STEPS][64]; /* [step of eight columns][row * 8 + column] */
    float d[16];                             /* [lane], as in panel.h */
} small_panel;

/* ---- preparing and unpacking --------------------------------------------------------------- */

static void prepare(const product *p)
{
    prepared *to = (prepared *)p->scratch;
    for (int64_t t = 0; t < p->planes * p->tokens; t++) {
        const q8_0 *from = (const q8_0 *)(p->rows + (size_t)t * p->row);
        for (int64_t b = 0; b < p->blocks; b++, from++, to++) {
            __m256i quants = _mm256_loadu_si256((const void *)from->quants);
            __m256i fours =
                _mm256_dpbusd_epi32(_mm256_setzero_si256(), _mm256_set1_epi8(1), quants);
            __m128i sums =
                _mm_add_epi32(_mm256_castsi256_si128(fours), _mm256_extracti128_si256(fours, 1));
            sums = _mm_add_epi32(sums, _mm_shuffle_epi32(sums, 0x4e));
            sums = _mm_add_epi32(sums, _mm_shuffle_epi32(sums, 0xb1));
            *to = (prepared){ .too_much = -p->type->offset * _mm_cvtsi128_si32(sums),
                              .d = _cvtsh_ss(from->d) };
        }
    }
}

static inline __m256i q5_0_bytes(const char *block, float *d)
{
    q5_0 from;
    uint32_t fifth;
    memcpy(&from, block, sizeof from);
    memcpy(&fifth, from.fifth, sizeof fifth);
    *d = _cvtsh_ss(from.d);
    __m128i both = _mm_loadu_si128((const void *)(block + offsetof(q5_0, low)));
    __m128i nibble = _mm_set1_epi8(15);
    __m256i low = _mm256_set_m128i(_mm_and_si128(_mm_srli_epi16(both, 4), nibble),
                                   _mm_and_si128(both, nibble));
    return _mm256_or_si256(low, _mm256_maskz_set1_epi8(fifth, 16));
}

static inline __m256i q8_0_bytes(const char *block, float *d)
{
    uint16_t half;
    memcpy(&half, block, sizeof half);
    *d = _cvtsh_ss(half);
    return _mm256_xor_si256(_mm256_loadu_si256((const void *)(block + offsetof(q8_0, quants))),
                            _mm256_set1_epi8((char)0x80));
}

KERNEL_INLINE void unpack(const char *from, size_t row, int is_q5_0, small_panel *to)
{
    __m256i rows[PANEL_ROWS];
    __m512i steps[STEPS];
    float d[PANEL_ROWS];
    UNROLLED for (int r = 0; r < PANEL_ROWS; r++) rows[r] =
        is_q5_0 ? q5_0_bytes(from + (size_t)r * row, &d[r])
                : q8_0_bytes(from + (size_t)r * row, &d[r]);
    interleave(rows, steps);
    UNROLLED for (int k = 0; k < STEPS; k++) _mm512_store_si512(to->weights[k], steps[k]);
    _mm512_store_ps(to->d, both_lanes(_mm256_loadu_ps(d)));
}

static void unpack_q5_0(const char *block, size_t row, void *panel)
{
    unpack(block, row, 1, panel);
}

static void unpack_q8_0(const char *block, size_t row, void *panel)
{
    unpack(block, row, 0, panel);
}

/* ---- the product ---------------------------------------------------------------------------- */

/* Like tile in panel.h. x: the first block of each token, row bytes apart; its prepared blocks are
 * all_blocks apart. */
KERNEL_INLINE void small_tile(const int panels, const int tokens, int64_t blocks,
                              const small_panel *const *weights, const char *x, size_t row,
                              const prepared *of_x, int64_t all_blocks, int more, float *out,
                              size_t out_row)
{
    __m512 sum[TILE_PANELS * TILE_TOKENS];
    UNROLLED for (int i = 0; i < panels * tokens; i++) sum[i] = _mm512_setzero_ps();
    ROLLED for (int64_t b = 0; b < blocks; b++)
    {
        __m512i w[TILE_PANELS][STEPS];
        __m512 d[TILE_PANELS];
        UNROLLED for (int g = 0; g < panels; g++)
        {
            d[g] = *(const __m512 *)weights[g][b].d;
            UNROLLED for (int k = 0; k < STEPS; k++) w[g][k] =
                *(const __m512i *)weights[g][b].weights[k];
        }
        UNROLLED for (int t = 0; t < tokens; t++)
        {
            const char *quants =
                x + (size_t)t * row + (size_t)b * sizeof(q8_0) + offsetof(q8_0, quants);
            const prepared *ready = of_x + t * all_blocks + b;
            __m512i dot[TILE_PANELS];
            UNROLLED for (int g = 0; g < panels; g++) /* once for the two lanes of a row */
                dot[g] = _mm512_maskz_set1_epi32(0x5555, ready->too_much);
            UNROLLED for (int k = 0; k < STEPS; k++)
            {
                __m512i y = spread8(quants + 8 * k);
                UNROLLED for (int g = 0; g < panels; g++) dot[g] =
                    _mm512_dpbusd_epi32(dot[g], w[g][k], y);
            }
            UNROLLED for (int g = 0; g < panels; g++) sum[t * panels + g] =
                _mm512_fmadd_ps(_mm512_mul_ps(_mm512_cvtepi32_ps(dot[g]), d[g]),
                                _mm512_set1_ps(ready->d), sum[t * panels + g]);
        }
    }
    UNROLLED for (int t = 0; t < tokens; t++) UNROLLED for (int g = 0; g < panels; g++)
        store_rows(sum[t * panels + g], more, out + (size_t)t * out_row + g * PANEL_ROWS);
}

#define TILE(name, panels, tokens)                                                                 \
    static void name(const product *p, int64_t blocks, const void *const *unpacked, int64_t token, \
                     int64_t block, int more, float *out)                                          \
    {                                                                                              \
        const char *x = p->rows + (size_t)token * p->row + (size_t)block * sizeof(q8_0);           \
        const prepared *of_x = (const prepared *)p->scratch + token * p->blocks + block;           \
        const small_panel *const weights[TILE_PANELS] = { unpacked[0], unpacked[1] };              \
        small_tile(panels, tokens, blocks, weights, x, p->row, of_x, p->blocks, more, out,         \
                   p->out_row / sizeof(float));                                                    \
    }
EACH_TILE(TILE)

const product_type product_q5_0 = {
    .type = GGML_TYPE_Q5_0,
    .columns = COLUMNS,
    .weight_block = sizeof(q5_0),
    .row_block = sizeof(q8_0),
    .panel = sizeof(small_panel),
    .deep = DEEP,
    .offset = 16,
    .scratch = sizeof(prepared),
    .prepare = prepare,
    .unpack = unpack_q5_0,
    .tiles = TILE_TABLE,
};

const product_type product_q8_0 = {
    .type = GGML_TYPE_Q8_0,
    .columns = COLUMNS,
    .weight_block = sizeof(q8_0),
    .row_block = sizeof(q8_0),
    .panel = sizeof(small_panel),
    .deep = DEEP,
    .offset = 128,
    .scratch = sizeof(prepared),
    .prepare = prepare,
    .unpack = unpack_q8_0,
    .tiles = TILE_TABLE,
};
_Static_assert(DEEP * sizeof(small_panel) <= UNPACKED, "panels of Q5_0 and Q8_0 are larger");
