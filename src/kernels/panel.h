/* Integer products of quantised weights and activations with AVX-512 VNNI, in the place of ggml's:
 * what Q4_K and Q6_K have in common. Not part of the library: each file here goes into the modules
 * libs2a-kernels-*.so (cmake/S2aKernels.cmake), which the embedded engine loads as ggml's backend
 * for processors. Nothing here allocates or keeps state; all functions may run in many threads.
 *
 * Weights of both kinds come in blocks of 256 columns of one row, each in sub-blocks with a small
 * integer scale of their own; activations are ggml's Q8_K: 256 signed bytes, one float for all, and
 * the sums of each 16. A panel is one block of eight rows, unpacked to unsigned bytes. It is made
 * once for all activations of a call and stays in the first cache; a tile then multiplies one or
 * two panels by up to eight rows of activations. In a vector of 16 integers, lanes 2r and 2r + 1
 * belong to row r of the panel (columns 0 to 3 and 4 to 7 of a step of eight), and are added only
 * when all blocks are done. */
#ifndef S2A_KERNELS_PANEL_H
#define S2A_KERNELS_PANEL_H

#include <immintrin.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define BLOCK 256        /* columns, ggml's QK_K */
#define PANEL_ROWS 8
#define PANEL_BLOCKS 6   /* unpacked at a time: two panels' rows of them are 41 KiB */
#define TILE_PANELS 2
#define TILE_TOKENS 8

typedef struct panel {
    _Alignas(64) uint8_t weights[BLOCK / 8][64]; /* [step of eight columns][row * 8 + column] */
    int32_t scales[16][16];                      /* [sub-block][lane] */
    int16_t offsets[4][32]; /* [64 columns][row * 4 + 16 columns]: what the sums of 16 activations
                             * are multiplied by, to be taken from the product */
    float d[16], dmin[16];  /* [lane]: of the product; of the offsets, where they are not integers
                             * of the product's own unit (Q4_K) */
} panel;

/* Where activations are. Row t of a tile: base[t / 4], and (t % 4) times a stride behind it. */
typedef struct activations {
    size_t block;              /* bytes from a block to the next one of the same rows */
    size_t quants, step;       /* of the first eight columns, and from eight to the next eight */
    size_t sums, quarter;      /* of the sums of 16, and from four of them to the next four */
    size_t row, scale_row;     /* from a row to the next: of columns and sums; of the float */
} activations;

#define KERNEL_INLINE static inline __attribute__((always_inline))
#ifdef __clang__
#define UNROLLED _Pragma("clang loop unroll(full)")
#define ROLLED _Pragma("clang loop unroll(disable)")
#else
#define UNROLLED _Pragma("GCC unroll 8")
#define ROLLED _Pragma("GCC unroll 1")
#endif

/* Eight bytes, or a float, to all lanes. */
KERNEL_INLINE __m512i spread8(const char *from)
{
    int64_t bytes;
    memcpy(&bytes, from, sizeof bytes);
    return _mm512_set1_epi64(bytes);
}

KERNEL_INLINE __m512 spread_float(const char *from)
{
    float value;
    memcpy(&value, from, sizeof value);
    return _mm512_set1_ps(value);
}

/* Eight floats to both lanes of their rows. */
KERNEL_INLINE __m512 both_lanes(__m256 rows)
{
    const __m512i twice = _mm512_set_epi32(7, 7, 6, 6, 5, 5, 4, 4, 3, 3, 2, 2, 1, 1, 0, 0);
    return _mm512_permutexvar_ps(twice, _mm512_castps256_ps512(rows));
}

/* The two lanes of each row together, to out, or added to what it has. */
KERNEL_INLINE void store_rows(__m512 lanes, int more, float *out)
{
    const __m512i even = _mm512_set_epi32(0, 0, 0, 0, 0, 0, 0, 0, 14, 12, 10, 8, 6, 4, 2, 0);
    lanes = _mm512_add_ps(lanes, _mm512_permute_ps(lanes, 0xB1));
    __m256 rows = _mm512_castps512_ps256(_mm512_permutexvar_ps(even, lanes));
    if (more)
        rows = _mm256_add_ps(rows, _mm256_loadu_ps(out));
    _mm256_storeu_ps(out, rows);
}

/* 32 bytes of each of eight rows: out[i] has the i-th eight bytes of all rows. */
KERNEL_INLINE void interleave(const __m256i rows[PANEL_ROWS], __m512i out[4])
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

/* Of so many tokens that are left, the largest tile's: 8, 4, 2 or 1. */
static inline int tile_log2(int64_t left)
{
    return left >= 8 ? 3 : left >= 4 ? 2 : left >= 2 ? 1 : 0;
}

/* out[panel][row of activations], lane by lane, for constant panels <= TILE_PANELS and tokens <=
 * TILE_TOKENS: the compiler must see them, so that all of this stays in registers. With sub-blocks
 * of 32 columns (Q4_K) the offsets have a float of their own, with 16 (Q6_K) they do not. more: is
 * added to what out has. */
KERNEL_INLINE void tile(const int panels, const int tokens, const int sub_block,
                        const activations *const at, size_t blocks, const panel *const *weights,
                        const char *const *base, int more, float *out, size_t out_row)
{
    const int steps = sub_block / 8;
    __m512 sum[TILE_PANELS * TILE_TOKENS];
    UNROLLED for (int i = 0; i < panels * tokens; i++)
        sum[i] = _mm512_setzero_ps();
    for (size_t b = 0; b < blocks; b++) {
        __m512i product[TILE_PANELS * TILE_TOKENS];
        const panel *p[TILE_PANELS];
        UNROLLED for (int g = 0; g < panels; g++)
            p[g] = weights[g] + b;
        UNROLLED for (int t = 0; t < tokens; t++) {
            const char *x = base[t / 4] + b * at->block + (size_t)(t % 4) * at->row + at->sums;
            __m512 d = spread_float(base[t / 4] + b * at->block + (size_t)(t % 4) * at->scale_row);
            __m512i offset[TILE_PANELS];
            UNROLLED for (int g = 0; g < panels; g++)
                offset[g] = _mm512_setzero_si512();
            UNROLLED for (int k = 0; k < 4; k++) {
                __m512i sums = spread8(x + (size_t)k * at->quarter);
                UNROLLED for (int g = 0; g < panels; g++)
                    offset[g] = _mm512_dpwssd_epi32(offset[g], sums,
                                                    *(const __m512i *)p[g]->offsets[k]);
            }
            UNROLLED for (int g = 0; g < panels; g++) {
                product[t * panels + g] = _mm512_setzero_si512();
                if (sub_block == 16)
                    product[t * panels + g] = _mm512_sub_epi32(product[t * panels + g], offset[g]);
                else
                    sum[t * panels + g] = _mm512_fnmadd_ps(
                        _mm512_cvtepi32_ps(offset[g]),
                        _mm512_mul_ps(d, *(const __m512 *)p[g]->dmin),
                        sum[t * panels + g]);
            }
        }
        ROLLED for (int s = 0; s < BLOCK / sub_block; s++) {
            __m512i w[TILE_PANELS][4], scale[TILE_PANELS];
            UNROLLED for (int g = 0; g < panels; g++) {
                scale[g] = *(const __m512i *)p[g]->scales[s];
                UNROLLED for (int k = 0; k < steps; k++)
                    w[g][k] = *(const __m512i *)p[g]->weights[s * steps + k];
            }
            UNROLLED for (int t = 0; t < tokens; t++) {
                const char *x = base[t / 4] + b * at->block + (size_t)(t % 4) * at->row + at->quants;
                __m512i dot[TILE_PANELS];
                UNROLLED for (int g = 0; g < panels; g++)
                    dot[g] = _mm512_setzero_si512();
                UNROLLED for (int k = 0; k < steps; k++) {
                    __m512i y = spread8(x + (size_t)(s * steps + k) * at->step);
                    UNROLLED for (int g = 0; g < panels; g++)
                        dot[g] = _mm512_dpbusd_epi32(dot[g], w[g][k], y);
                }
                UNROLLED for (int g = 0; g < panels; g++)
                    product[t * panels + g] = _mm512_add_epi32(product[t * panels + g],
                                                               _mm512_mullo_epi32(dot[g], scale[g]));
            }
        }
        UNROLLED for (int t = 0; t < tokens; t++) {
            __m512 d = spread_float(base[t / 4] + b * at->block + (size_t)(t % 4) * at->scale_row);
            UNROLLED for (int g = 0; g < panels; g++)
                sum[t * panels + g] = _mm512_fmadd_ps(
                    _mm512_cvtepi32_ps(product[t * panels + g]),
                    _mm512_mul_ps(d, *(const __m512 *)p[g]->d),
                    sum[t * panels + g]);
        }
    }
    UNROLLED for (int t = 0; t < tokens; t++)
        UNROLLED for (int g = 0; g < panels; g++)
            store_rows(sum[t * panels + g], more, out + (size_t)t * out_row + g * PANEL_ROWS);
}

#endif
