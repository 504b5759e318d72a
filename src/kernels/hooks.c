/* ggml asks for each product whether it unpacks the type of its weights for many tokens at once
 * (iqp.h, its IQ types). These functions answer for our types, and pass all other products to
 * ggml's. */
#include <dlfcn.h>
#include <pthread.h>

#include "kernels/kernels.h"
#include "kernels/product.h"

/* As in ggml-cpu-impl.h. */
struct ggml_compute_params {
    int ith, nth;
    size_t wsize;
    void *wdata;
    struct ggml_threadpool *threadpool;
    bool use_ref;
};
int ggml_threadpool_chunk_add(struct ggml_threadpool *pool, int value);

#define MIN_TOKENS 2
#define CHUNKS_PER_THREAD 4

/* Our type of the product's weights; NULL = ggml computes the product. */
static const product_type *type_of(const struct ggml_tensor *dst)
{
    static const product_type *const types[] = { &product_q5_0, &product_q6_k, &product_q8_0 };
    const struct ggml_tensor *weights = dst->src[0], *rows = dst->src[1];
    if (dst->op != GGML_OP_MUL_MAT || rows->type != GGML_TYPE_F32 || rows->ne[1] < MIN_TOKENS ||
        rows->ne[3] != 1 || weights->ne[1] % PANEL_ROWS != 0 || weights->ne[2] != 1 ||
        weights->ne[3] != 1)
        return NULL;
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (weights->type == types[i]->type && weights->ne[0] % types[i]->columns == 0)
            return types[i];
    return NULL;
}

static size_t whole_lines(size_t bytes)
{
    return (bytes + 63) / 64 * 64;
}

/* Multiplies one or two panels of eight rows, from panel `first` on, by all tokens. */
static void multiply(const product *p, int64_t first, int panels)
{
    const product_type *type = p->type;
    _Alignas(64) char unpacked[TILE_PANELS][UNPACKED];
    const void *const both[TILE_PANELS] = { unpacked[0], unpacked[1] };
    for (int64_t b = 0; b < p->blocks; b += type->deep) {
        int64_t deep = p->blocks - b < type->deep ? p->blocks - b : type->deep;
        for (int g = 0; g < panels; g++)
            for (int64_t i = 0; i < deep; i++)
                type->unpack(p->weights + (size_t)((first + g) * PANEL_ROWS) * p->weights_row +
                                 (size_t)(b + i) * type->weight_block,
                             p->weights_row, unpacked[g] + (size_t)i * type->panel);
        for (int64_t t = 0; t < p->planes * p->tokens;) {
            int64_t left = p->tokens - t % p->tokens;
            int log2 = left >= 8 ? 3 : left >= 4 ? 2 : left >= 2 ? 1 : 0;
            float *out = (float *)(p->out + (size_t)(t / p->tokens) * p->out_plane +
                                   (size_t)(t % p->tokens) * p->out_row);
            type->tiles[panels - 1][log2](p, deep, both, t, b, b > 0, out + first * PANEL_ROWS);
            t += 1 << log2;
        }
    }
}

static void forward(const product_type *type, const struct ggml_compute_params *params,
                    struct ggml_tensor *dst)
{
    const struct ggml_tensor *weights = dst->src[0], *rows = dst->src[1];
    product p = {
        .type = type,
        .blocks = weights->ne[0] / type->columns,
        .tokens = rows->ne[1],
        .planes = rows->ne[2],
        .weights = weights->data,
        .weights_row = weights->nb[1],
        .rows = params->wdata,
        .row = (size_t)(weights->ne[0] / type->columns) * type->row_block,
        .out = dst->data,
        .out_row = dst->nb[1],
        .out_plane = dst->nb[2],
    };
    if (type->prepare) {
        size_t all = whole_lines(p.row * (size_t)(p.tokens * p.planes));
        p.scratch =
            (char *)params->wdata + all + (size_t)params->ith * ggml_cpu_iqp_scratch_size(dst);
        type->prepare(&p);
    }
    const int64_t panels = weights->ne[1] / PANEL_ROWS, nth = params->nth;
    const int64_t share = (panels + nth * CHUNKS_PER_THREAD - 1) / (nth * CHUNKS_PER_THREAD);
    const int64_t chunk = share + share % TILE_PANELS;
    /* A thread's first chunk is its number. ggml has set the counter for the next ones. */
    for (int64_t c = params->ith; c * chunk < panels;
         c = ggml_threadpool_chunk_add(params->threadpool, 1)) {
        int64_t end = (c + 1) * chunk < panels ? (c + 1) * chunk : panels;
        for (int64_t first = c * chunk; first < end; first += TILE_PANELS)
            multiply(&p, first, end - first >= TILE_PANELS ? TILE_PANELS : 1);
    }
}

/* ---- instead of ggml's functions ------------------------------------------------------------ */

static struct {
    bool (*supports)(const struct ggml_tensor *dst);
    size_t (*scratch_size)(const struct ggml_tensor *dst);
    void (*forward)(const struct ggml_compute_params *params, struct ggml_tensor *dst);
} ggml;

/* ISO C has no cast from an object's pointer to a function's; POSIX says that it works this way. */
static void find_ggml(void)
{
    *(void **)&ggml.supports = dlsym(RTLD_NEXT, "ggml_cpu_iqp_supports_mul_mat");
    *(void **)&ggml.scratch_size = dlsym(RTLD_NEXT, "ggml_cpu_iqp_scratch_size");
    *(void **)&ggml.forward = dlsym(RTLD_NEXT, "ggml_compute_forward_mul_mat_iqp");
}

static bool have_ggml(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, find_ggml);
    return ggml.supports && ggml.scratch_size && ggml.forward;
}

bool ggml_cpu_iqp_supports_mul_mat(const struct ggml_tensor *dst)
{
    return type_of(dst) || (have_ggml() && ggml.supports(dst));
}

size_t ggml_cpu_iqp_scratch_size(const struct ggml_tensor *dst)
{
    const product_type *type = type_of(dst);
    if (!type)
        return have_ggml() ? ggml.scratch_size(dst) : 0;
    const struct ggml_tensor *rows = dst->src[1];
    return whole_lines(type->scratch *
                       (size_t)(rows->ne[0] / type->columns * rows->ne[1] * rows->ne[2]));
}

void ggml_compute_forward_mul_mat_iqp(const struct ggml_compute_params *params,
                                      struct ggml_tensor *dst)
{
    const product_type *type = type_of(dst);
    if (type)
        forward(type, params, dst);
    else
        ggml.forward(params, dst);
}
