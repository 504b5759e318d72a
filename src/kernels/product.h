/* A product as hooks.c hands it to the types that it knows. */
#ifndef S2A_KERNELS_PRODUCT_H
#define S2A_KERNELS_PRODUCT_H

#include "kernels/simd.h"

#include <ggml.h>
#include <stddef.h>
#include <stdint.h>

typedef struct product product;

/* One or two panels, as many of their blocks from block on, by a tile's tokens from token on (of all
 * planes'). more: to be added to what out has. */
typedef void tile_function(const product *p, int64_t blocks, const void *const *panels,
                           int64_t token, int64_t block, int more, float *out);

/* A type of weights, which lie as in the model's file. */
typedef struct product_type {
    enum ggml_type type;
    int64_t columns;     /* of a block */
    size_t weight_block; /* bytes of it */
    size_t row_block;    /* bytes of a block of activations, as ggml has quantised them for the type */
    size_t panel;        /* bytes of a panel, which begins a cache line */
    int64_t deep;        /* blocks that are unpacked at a time: deep panels are UNPACKED at most */
    int offset;          /* of unpacked weights over what they are worth, for prepare */
    size_t scratch;      /* bytes that prepare needs for each block of activations */
    void (*prepare)(const product *p); /* by each thread, into its scratch; NULL = nothing to do */
    void (*unpack)(const char *block, size_t row, void *panel); /* eight rows, row bytes apart */
    tile_function *tiles[TILE_PANELS][4];
} product_type;

#define UNPACKED 20736u /* bytes, of one panel's row */

struct product {
    const product_type *type;
    int64_t blocks, tokens, planes; /* of a row; of a plane of activations */
    const char *weights, *rows;     /* rows: [planes][tokens] */
    char *out, *scratch;            /* out: [planes][tokens][rows of weights], floats */
    size_t weights_row, row, out_row, out_plane; /* bytes */
};

extern const product_type product_q5_0, product_q6_k, product_q8_0;

#endif
