/* A product as hooks.c hands it to the types that it knows. */
#ifndef S2A_KERNELS_PRODUCT_H
#define S2A_KERNELS_PRODUCT_H

#include <ggml.h>
#include <stddef.h>
#include <stdint.h>

typedef struct product product;

/* A type of weights, which lie as in the model's file. */
typedef struct product_type {
    enum ggml_type type;
    int64_t columns;  /* of a block */
    size_t row_block; /* bytes of a block of activations, which ggml has quantised for the type */
    size_t scratch;   /* bytes that prepare needs for each of these */
    void (*prepare)(const product *p); /* by each thread, into its scratch; NULL = nothing to do */
    /* One or two panels of eight rows, from panel first on, by all tokens. */
    void (*multiply)(const product *p, int64_t first, int panels);
} product_type;

struct product {
    const product_type *type;
    int64_t blocks, tokens, planes; /* of a row; of a plane of activations */
    const char *weights, *rows;     /* rows: [planes][tokens] */
    char *out, *scratch;            /* out: [planes][tokens][rows of weights], floats */
    size_t weights_row, row, out_row, out_plane; /* bytes */
};

extern const product_type product_q5_0, product_q6_k, product_q8_0;

#endif
