/* A matrix product as hooks.c passes it to a type's functions. */
#ifndef S2A_KERNELS_PRODUCT_H
#define S2A_KERNELS_PRODUCT_H

#include "kernels/simd.h"

#include <ggml.h>
#include <stddef.h>
#include <stdint.h>

typedef struct product product;

/* Multiplies one or two panels (blocks blocks from block on) by a tile's tokens, from token on
 * (counted over all planes). more: add to out. */
typedef void tile_function(const product *p, int64_t blocks, const void *const *panels,
                           int64_t token, int64_t block, int more, float *out);

/* A type of weights, in the layout of the model's file. */
typedef struct product_type {
    enum ggml_type type;
    int64_t columns;     /* columns of a block */
    size_t weight_block; /* bytes of a block */
    size_t row_block;    /* bytes of a block of activations, as ggml quantises them for the type */
    size_t panel;        /* bytes of a panel, which starts at a cache line */
    int64_t deep;        /* blocks unpacked at a time; deep panels have at most UNPACKED bytes */
    int offset;          /* unpacked weight minus its value, for prepare */
    size_t scratch;      /* bytes that prepare needs for each block of activations */
    void (*prepare)(const product *p); /* called by each thread, fills its scratch; NULL = none */
    void (*unpack)(const char *block, size_t row, void *panel); /* eight rows, row bytes apart */
    tile_function *tiles[TILE_PANELS][4];
} product_type;

#define UNPACKED 20736u /* bytes of the panels of one row of blocks */

struct product {
    const product_type *type;
    int64_t blocks, tokens, planes; /* blocks of a row; tokens of a plane of activations */
    const char *weights, *rows;     /* rows: [planes][tokens] */
    char *out, *scratch;            /* out: [planes][tokens][rows of weights], floats */
    size_t weights_row, row, out_row, out_plane; /* bytes */
};

extern const product_type product_q5_0, product_q6_k, product_q8_0;

#endif
