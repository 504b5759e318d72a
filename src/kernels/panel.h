/* Q4_K and Q6_K: blocks of 256 columns, in sub-blocks that each have a small integer scale.
 * Activations are ggml's Q8_K: 256 signed bytes, one float for all, and the sums of each 16. */
#ifndef S2A_KERNELS_PANEL_H
#define S2A_KERNELS_PANEL_H

#include "kernels/simd.h"

#define BLOCK 256      /* columns, ggml's QK_K */
#define PANEL_BLOCKS 6 /* unpacked at a time: 41 KiB for two panels */

typedef struct panel {
    _Alignas(64) uint8_t weights[BLOCK / 8][64]; /* [step of eight columns][row * 8 + column] */
    int32_t scales[16][16];                      /* [sub-block][lane] */
    int16_t offsets[4][32]; /* [64 columns][row * 4 + 16 columns]: factors for the sums of 16
                             * activations; these products are subtracted from the result */
    float d[16], dmin[16];  /* [lane]: scale of the product; scale of the offsets, if they have
                             * another one (Q4_K) */
} panel;

/* The layout of activations, in bytes. Row t of a tile begins at base[t / 4] + (t % 4) * row. */
typedef struct activations {
    size_t block;          /* distance from one block of the same rows to the next */
    size_t quants, step;   /* offset of the first eight columns; distance to the next eight */
    size_t sums, quarter;  /* offset of the sums of 16; distance from four sums to the next */
    size_t row, scale_row; /* distance between rows: of columns and sums; of the float */
} activations;

/* out[panel][row of activations], lane by lane. panels <= TILE_PANELS and tokens <= TILE_TOKENS
 * must be constants, so that the compiler keeps everything in registers. With sub-blocks of 32
 * columns (Q4_K) the offsets have their own float; with 16 (Q6_K) they do not. more: add to out. */
KERNEL_INLINE void tile(const int panels, const int tokens, const int sub_block,
                        const activations *const at, size_t blocks, const panel *const *weights,
                        const char *const *base, int more, float *out, size_t out_row)
{
    const int steps = sub_block / 8;
    __m512 sum[TILE_PANELS * TILE_TOKENS];
    UNROLLED for (int i = 0; i < panels * tokens; i++) sum[i] = _mm512_setzero_ps();
    for (size_t b = 0; b < blocks; b++) {
        __m512i product[TILE_PANELS * TILE_TOKENS];
        const panel *p[TILE_PANELS];
        UNROLLED for (int g = 0; g < panels; g++) p[g] = weights[g] + b;
        UNROLLED for (int t = 0; t < tokens; t++)
        {
            const char *x = base[t / 4] + b * at->block + (size_t)(t % 4) * at->row + at->sums;
            __m512 d = spread_float(base[t / 4] + b * at->block + (size_t)(t % 4) * at->scale_row);
            __m512i offset[TILE_PANELS];
            UNROLLED for (int g = 0; g < panels; g++) offset[g] = _mm512_setzero_si512();
            UNROLLED for (int k = 0; k < 4; k++)
            {
                __m512i sums = spread8(x + (size_t)k * at->quarter);
                UNROLLED for (int g = 0; g < panels; g++) offset[g] =
                    _mm512_dpwssd_epi32(offset[g], sums, *(const __m512i *)p[g]->offsets[k]);
            }
            UNROLLED for (int g = 0; g < panels; g++)
            {
                product[t * panels + g] = _mm512_setzero_si512();
                if (sub_block == 16)
                    product[t * panels + g] = _mm512_sub_epi32(product[t * panels + g], offset[g]);
                else
                    sum[t * panels + g] = _mm512_fnmadd_ps(
                        _mm512_cvtepi32_ps(offset[g]),
                        _mm512_mul_ps(d, *(const __m512 *)p[g]->dmin), sum[t * panels + g]);
            }
        }
        ROLLED for (int s = 0; s < BLOCK / sub_block; s++)
        {
            __m512i w[TILE_PANELS][4], scale[TILE_PANELS];
            UNROLLED for (int g = 0; g < panels; g++)
            {
                scale[g] = *(const __m512i *)p[g]->scales[s];
                UNROLLED for (int k = 0; k < steps; k++) w[g][k] =
                    *(const __m512i *)p[g]->weights[s * steps + k];
            }
            UNROLLED for (int t = 0; t < tokens; t++)
            {
                const char *x =
                    base[t / 4] + b * at->block + (size_t)(t % 4) * at->row + at->quants;
                __m512i dot[TILE_PANELS];
                UNROLLED for (int g = 0; g < panels; g++) dot[g] = _mm512_setzero_si512();
                UNROLLED for (int k = 0; k < steps; k++)
                {
                    __m512i y = spread8(x + (size_t)(s * steps + k) * at->step);
                    UNROLLED for (int g = 0; g < panels; g++) dot[g] =
                        _mm512_dpbusd_epi32(dot[g], w[g][k], y);
                }
                UNROLLED for (int g = 0; g < panels; g++) product[t * panels + g] =
                    _mm512_add_epi32(product[t * panels + g], _mm512_mullo_epi32(dot[g], scale[g]));
            }
        }
        UNROLLED for (int t = 0; t < tokens; t++)
        {
            __m512 d = spread_float(base[t / 4] + b * at->block + (size_t)(t % 4) * at->scale_row);
            UNROLLED for (int g = 0; g < panels; g++) sum[t * panels + g] =
                _mm512_fmadd_ps(_mm512_cvtepi32_ps(product[t * panels + g]),
                                _mm512_mul_ps(d, *(const __m512 *)p[g]->d), sum[t * panels + g]);
        }
    }
    UNROLLED for (int t = 0; t < tokens; t++) UNROLLED for (int g = 0; g < panels; g++)
        store_rows(sum[t * panels + g], more, out + (size_t)t * out_row + g * PANEL_ROWS);
}

#endif
