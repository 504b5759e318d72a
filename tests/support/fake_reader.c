#include "fake_reader.h"

#include "base/ascii.h"
#include "base/error.h"
#include "base/fnv.h"

#include <string.h>

static size_t count_words(backend *self, const char *text, size_t len)
{
    (void)self;
    size_t count = 0;
    for (size_t i = 0; i < len; i++)
        count += !ascii_space(text[i]) && (i == 0 || ascii_space(text[i - 1]));
    return count;
}

static void write_down(fake_reader *f, const backend_message *messages, size_t count,
                       const backend_piece *pieces, size_t piece_count)
{
    if (f->seen.len > 0)
        buf_adds(&f->seen, "\n%%\n");
    for (size_t i = 0; i < count; i++) {
        buf_addf(&f->seen, "%s%s| ", i > 0 ? "\n" : "", messages[i].role);
        buf_add(&f->seen, messages[i].content, messages[i].len);
    }
    for (size_t i = 0; i < piece_count; i++) {
        buf_adds(&f->seen, pieces[i].wanted ? "\n+|" : "\n-|");
        buf_add(&f->seen, pieces[i].text, pieces[i].len);
        buf_adds(&f->seen, "|");
    }
}

static s2a_status fake_read(backend *self, const backend_message *messages, size_t count,
                            const backend_piece *pieces, size_t piece_count,
                            const backend_head *head, const backend_params *params, double *told,
                            float *states, backend_usage *usage, s2a_error *err)
{
    (void)params;
    fake_reader *f = (fake_reader *)self;
    uint64_t given = FNV_START;
    size_t tokens = 0;
    f->calls++;
    if (f->look)
        f->look(f->ctx, messages, count, pieces, piece_count);
    if (f->writes)
        write_down(f, messages, count, pieces, piece_count);
    for (size_t i = 0; i < count; i++) {
        given = fnv_add(given, messages[i].role, strlen(messages[i].role) + 1);
        given = fnv_add(given, messages[i].content, messages[i].len);
        tokens += count_words(self, messages[i].content, messages[i].len);
    }
    for (size_t i = 0; i < piece_count; i++) {
        given = fnv_mix(fnv_add(given, pieces[i].text, pieces[i].len), pieces[i].wanted);
        tokens += count_words(self, pieces[i].text, pieces[i].len);
    }
    f->most_tokens = tokens > f->most_tokens ? tokens : f->most_tokens;
    *usage =
        (backend_usage){ .tokens = { .prompt_tokens = tokens, .cached_tokens = 3, .ms = 0.5 } };
    if (f->calls == f->cancel_at)
        s2a_cancel_fire(f->cancel);
    if (f->calls == f->fail_at)
        return error_set(err, S2A_BACKEND, "the fake failed");
    for (size_t i = 0; i < piece_count; i++) {
        if (!pieces[i].wanted)
            continue;
        f->wanted++;
        for (size_t r = 0; told && r < head->row_count; r++)
            told[r] = 1;
        if (told && f->tell)
            f->tell(f->ctx, &pieces[i], fnv_mix(given, i), told, head->row_count);
        if (told)
            told += head->row_count;
        /* of states, the first number of each vector tells piece and place */
        for (size_t k = 0; states && k < 2 * head->layer_count; k++, states += f->can.hidden_width)
            *states = (float)(100 * i + k);
    }
    return S2A_OK;
}

static backend_capabilities capabilities(const backend *self)
{
    return ((const fake_reader *)self)->can;
}

static const backend_vtable vtable = { .read = fake_read,
                                       .count_tokens = count_words,
                                       .capabilities = capabilities };

void fake_reader_init(fake_reader *f, fake_tell tell, void *ctx)
{
    *f = (fake_reader){ .base = { &vtable }, .tell = tell, .ctx = ctx };
    f->can = (backend_capabilities){ .model = "fake", .can_read = true, .counts_tokens = true };
    for (size_t i = 0; i < HEAD_ROWS; i++)
        f->head.scale[i] = 1;
    buf_init(&f->seen, (size_t)64 << 20);
}

void fake_reader_free(fake_reader *f)
{
    buf_free(&f->seen);
}

s2a_engine fake_reader_engine(fake_reader *f, memo *m)
{
    return (s2a_engine){ .backend = &f->base, .head = &f->head, .memo = m };
}
