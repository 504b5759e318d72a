/* Building blocks of all kernels. src/kernels/ is not part of the library: it is built into the
 * modules libs2a-kernels-*.so (cmake/S2aKernels.cmake), which the embedded engine loads as ggml's
 * CPU backend. Nothing there allocates memory; only barrier.c and hooks.c keep state. All functions
 * may run in many threads.
 *
 * Weights come in blocks of some columns of one row. A panel is one block of eight rows, unpacked
 * to unsigned bytes, once for all activations of a call; it stays in the first-level cache. A tile
 * multiplies one or two panels by up to eight rows of activations (tokens). In a vector of 16
 * integers, lanes 2r and 2r + 1 belong to row r of the panel (columns 0 to 3 and 4 to 7 of a step
 * of eight); they are added when all blocks are done. */
#ifndef S2A_KERNELS_SIMD_H
#define S2A_KERNELS_SIMD_H

#include <immintrin.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define PANEL_ROWS 8
#define TILE_PANELS 2
#define TILE_TOKENS 8

#define KERNEL_INLINE static inline __attribute__((always_inline))
#ifdef __clang__
#define UNROLLED _Pragma("clang loop unroll(full)")
#define ROLLED _Pragma("clang loop unroll(disable)")
#elif defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define UNROLLED /* sanitizers may change the loop so that gcc warns about the pragma */
#define ROLLED
#else
#define UNROLLED _Pragma("GCC unroll 8")
#define ROLLED _Pragma("GCC unroll 1")
#endif

/* Copies eight bytes, or a float, to all lanes. */
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

/* Copies eight floats to both lanes of their rows. */
KERNEL_INLINE __m512 both_lanes(__m256 rows)
{
    const __m512i twice = _mm512_set_epi32(7, 7, 6, 6, 5, 5, 4, 4, 3, 3, 2, 2, 1, 1, 0, 0);
    return _mm512_permutexvar_ps(twice, _mm512_castps256_ps512(rows));
}

/* Adds the two lanes of each row and stores the sums in out; more: adds them to out. */
KERNEL_INLINE void store_rows(__m512 lanes, int more, float *out)
{
    const __m512i even = _mm512_set_epi32(0, 0, 0, 0, 0, 0, 0, 0, 14, 12, 10, 8, 6, 4, 2, 0);
    lanes = _mm512_add_ps(lanes, _mm512_permute_ps(lanes, 0xB1));
    __m256 rows = _mm512_castps512_ps256(_mm512_permutexvar_ps(even, lanes));
    if (more)
        rows = _mm256_add_ps(rows, _mm256_loadu_ps(out));
    _mm256_storeu_ps(out, rows);
}

/* Interleaves 32 bytes of each of eight rows: out[i] has the i-th eight bytes of all rows. */
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

/* X(name, panels, tokens) for each size of a tile, and the table of these functions:
 * [panels - 1][log2 of tokens]. */
#define EACH_TILE(X)      \
    X(one_by_one, 1, 1)   \
    X(one_by_two, 1, 2)   \
    X(one_by_four, 1, 4)  \
    X(one_by_eight, 1, 8) \
    X(two_by_one, 2, 1)   \
    X(two_by_two, 2, 2)   \
    X(two_by_four, 2, 4)  \
    X(two_by_eight, 2, 8)
#define TILE_TABLE                                                 \
    {                                                              \
        { one_by_one, one_by_two, one_by_four, one_by_eight },     \
            { two_by_one, two_by_two, two_by_four, two_by_eight }, \
    }

#endif
