/* Replacements for ggml's functions of the same names, in the version that scripts/llama.lock pins.
 * ggml calls them because the dynamic loader searches our module before ggml's library
 * (cmake/S2aKernels.cmake). The files that need ggml's private structures repeat them, as that
 * version has them.
 *
 * Results differ from ggml's only by the rounding of float sums: products within a block of 256
 * columns are integers in both. */
#ifndef S2A_KERNELS_H
#define S2A_KERNELS_H

#include <ggml.h>
#include <stdbool.h>
#include <stddef.h>

struct ggml_compute_params;

/* out[tokens][out_columns] = rows[tokens][columns] * weights[out_columns][columns]^T. weights are
 * block_q4_Kx8, rows block_q8_Kx4; columns is a multiple of 256, out_columns of 8, tokens of 4.
 * out_row is the distance from one token's output to the next, in floats. */
void ggml_gemm_q4_K_8x8_q8_K(int columns, float *restrict out, size_t out_row,
                             const void *restrict weights, const void *restrict rows, int tokens,
                             int out_columns);

/* ggml calls these three for each matrix product, to unpack weights of its IQ types for many tokens
 * at once (iqp.h). Ours handle Q5_0, Q6_K and Q8_0 too, from two tokens on, and pass all other
 * products on to ggml's functions. */
bool ggml_cpu_iqp_supports_mul_mat(const struct ggml_tensor *dst);
size_t ggml_cpu_iqp_scratch_size(const struct ggml_tensor *dst);
void ggml_compute_forward_mul_mat_iqp(const struct ggml_compute_params *params,
                                      struct ggml_tensor *dst);

/* Waits until all threads of the pool have called it. */
struct ggml_threadpool;
void ggml_barrier(struct ggml_threadpool *pool);

#endif
