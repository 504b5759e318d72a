/* kept: results of step 1 that are found again, also after a restart, and never wrong ones. */
#include <dirent.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "backend/backend.h"
#include "base/limits.h"

/* ---- a backend that counts what it is asked ------------------------------------------------- */

typedef struct counting {
    backend base;
    unsigned calls, closed;
    backend_finish finish;
    s2a_status status;
} counting;

static s2a_status count_generate(backend *self, const backend_message *messages, size_t count,
                                 const backend_params *params, const backend_draft *draft,
                                 backend_token_fn on_token, void *ctx, backend_usage *usage,
                                 s2a_error *err)
{
    (void)draft, (void)err, (void)count;
    counting *c = (counting *)self;
    char text[64];
    c->calls++;
    *usage = (backend_usage){ .finish = c->finish,
                              .tokens = { .prompt_tokens = 7, .completion_tokens = 3 } };
    snprintf(text, sizeof text, "%.*s, seed %u", (int)messages[0].len, messages[0].content,
             params->seed);
    if (on_token(ctx, text, 2) != 0 || on_token(ctx, text + 2, strlen(text + 2)) != 0)
        usage->finish = BACKEND_FINISH_CALLER;
    return c->status;
}

static s2a_status count_read(backend *self, const backend_message *messages, size_t count,
                             const backend_piece *pieces, size_t piece_count,
                             const backend_head *head, const backend_params *params, double *told,
                             float *states, backend_usage *usage, s2a_error *err)
{
    (void)messages, (void)count, (void)params, (void)err;
    counting *c = (counting *)self;
    c->calls++;
    *usage = (backend_usage){ .tokens = { .prompt_tokens = 9 } };
    for (size_t i = 0; i < piece_count; i++)
        for (size_t r = 0; r < head->row_count && pieces[i].wanted && told; r++)
            *told++ = (double)c->calls + (double)r / 8;
    if (states)
        states[0] = (float)c->calls;
    return c->status;
}

static backend_capabilities count_capabilities(const backend *self)
{
    (void)self;
    return (backend_capabilities){ .model = "counting", .can_read = true, .hidden_width = 1 };
}

static void count_close(backend *self)
{
    ((counting *)self)->closed++;
}

static const backend_vtable count_vtable = { .generate = count_generate,
                                             .read = count_read,
                                             .capabilities = count_capabilities,
                                             .close = count_close };

static char dir[64];
static counting inner;

static backend *open_kept(const char *identity, uint64_t max_bytes)
{
    backend *b = NULL;
    inner.base.vtable = &count_vtable;
    assert_int_equal(backend_kept_open(&inner.base, dir, identity, max_bytes, &b, NULL), S2A_OK);
    return b;
}

static size_t files(bool remove_all)
{
    DIR *d = opendir(dir);
    assert_non_null(d);
    size_t n = 0;
    for (struct dirent *e; (e = readdir(d));) {
        if (e->d_name[0] == '.')
            continue;
        n++;
        if (remove_all)
            assert_int_equal(unlinkat(dirfd(d), e->d_name, 0), 0);
    }
    closedir(d);
    return n;
}

static int setup(void **state)
{
    (void)state;
    strcpy(dir, "/tmp/s2a-kept-XXXXXX");
    inner = (counting){ .finish = BACKEND_FINISH_STOP };
    return mkdtemp(dir) ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    files(true);
    return rmdir(dir);
}

typedef struct got {
    char text[256];
    size_t len;
    int stop;
} got;

static int take(void *ctx, const char *text, size_t len)
{
    got *g = ctx;
    memcpy(g->text + g->len, text, len);
    g->len += len;
    g->text[g->len] = '\0';
    return g->stop;
}

static backend_usage ask(backend *b, const char *text, uint32_t seed, bool keep, got *g)
{
    backend_message m = { "user", text, strlen(text) };
    backend_params p = { .seed = seed, .keep_result = keep };
    backend_usage usage;
    g->len = 0;
    b->vtable->generate(b, &m, 1, &p, NULL, take, g, &usage, NULL);
    return usage;
}

/* ---- generations
 * ------------------------------------------------------------------------------ */

static void test_generate(void **state)
{
    (void)state;
    backend *b = open_kept("file 1", 1 << 20);
    got g = { .stop = 0 };
    backend_usage usage = ask(b, "a text", 1, true, &g);
    assert_string_equal(g.text, "a text, seed 1");
    assert_int_equal(usage.tokens.completion_tokens, 3);
    usage = ask(b, "a text", 1, true, &g);
    assert_string_equal(g.text, "a text, seed 1");
    assert_int_equal(inner.calls, 1);
    assert_int_equal(usage.tokens.prompt_tokens, 7);
    assert_int_equal(usage.tokens.cached_tokens, 7);
    assert_int_equal(usage.tokens.completion_tokens, 0);
    ask(b, "a text", 2, true, &g); /* another seed, another text, another model: others */
    assert_string_equal(g.text, "a text, seed 2");
    ask(b, "a text2", 1, true, &g);
    assert_string_equal(g.text, "a text2, seed 1");
    assert_int_equal(inner.calls, 3);
    b->vtable->close(b);
    assert_int_equal(inner.closed, 1);

    b = open_kept("file 1", 1 << 20); /* another process */
    ask(b, "a text", 1, true, &g);
    assert_int_equal(inner.calls, 3);
    b->vtable->close(b);
    b = open_kept("file 2", 1 << 20);
    ask(b, "a text", 1, true, &g);
    assert_int_equal(inner.calls, 4);
    b->vtable->close(b);
}

static void test_not_kept(void **state)
{
    (void)state;
    backend *b = open_kept("x", 1 << 20);
    got g = { .stop = 0 };
    ask(b, "answer", 0, false, &g); /* step 2 */
    inner.finish = BACKEND_FINISH_LENGTH;
    ask(b, "cut", 0, true, &g);
    inner.finish = BACKEND_FINISH_STOP;
    inner.status = S2A_BACKEND;
    ask(b, "failed", 0, true, &g);
    inner.status = S2A_OK;
    g.stop = 1;
    ask(b, "stopped", 0, true, &g);
    assert_int_equal(files(false), 0);
    g.stop = 0;
    ask(b, "whole", 0, true, &g);
    assert_int_equal(files(false), 1);
    g.stop = 1;
    backend_usage usage = ask(b, "whole", 0, true, &g);
    assert_int_equal(usage.finish, BACKEND_FINISH_CALLER);
    b->vtable->close(b);
}

/* A prompt whose key is as long as LIMIT_KEPT_KEY_BYTES is kept, one byte more is not. */
static void test_key_bytes(void **state)
{
    (void)state;
    backend *b = open_kept("x", 8 << 20);
    got g = { .stop = 0 };
    const backend_params p = { .seed = 0 };
    /* nine parts with their lengths: all but the text */
    size_t others = 9 * sizeof(uint64_t) +
                    strlen("generate"
                           "x"
                           "counting"
                           "user") +
                    sizeof p.temperature + sizeof p.top_p + sizeof p.seed + sizeof p.max_tokens;
    for (size_t extra = 0; extra < 2; extra++) {
        size_t len = LIMIT_KEPT_KEY_BYTES - others + extra;
        char *text = malloc(len + 1);
        assert_non_null(text);
        memset(text, 'a', len);
        text[len] = '\0';
        inner.calls = 0;
        ask(b, text, 0, true, &g);
        ask(b, text, 0, true, &g);
        assert_int_equal(inner.calls, extra ? 2 : 1);
        free(text);
    }
    assert_int_equal(files(false), 1);
    b->vtable->close(b);
}

static void only_file(char path[512])
{
    DIR *d = opendir(dir);
    assert_non_null(d);
    for (struct dirent *e; (e = readdir(d));)
        if (e->d_name[0] != '.')
            snprintf(path, 512, "%s/%s", dir, e->d_name);
    closedir(d);
}

/* A file with any one byte changed, or cut anywhere, is not believed. */
static void test_damaged(void **state)
{
    (void)state;
    backend *b = open_kept("x", 1 << 20);
    got g = { .stop = 0 };
    char path[512], bytes[4096];
    ask(b, "a text", 1, true, &g);
    only_file(path);
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    FILE *f = fopen(path, "rb");
    size_t len = fread(bytes, 1, sizeof bytes, f);
    fclose(f);
    assert_in_range(len, 60, 1000);
    unsigned calls = inner.calls, tried = 0;
    for (size_t i = 0; i < 2 * len; i++) {
        bool cut = i >= len;
        bool usage_only = !cut && i >= 32 && i < 48; /* numbers for people: not in the sum */
        if (usage_only)
            continue;
        char wrong[4096];
        memcpy(wrong, bytes, len);
        if (!cut)
            wrong[i] = (char)(wrong[i] ^ 1);
        f = fopen(path, "wb");
        assert_int_equal(fwrite(wrong, 1, cut ? i - len : len, f), cut ? i - len : len);
        fclose(f);
        ask(b, "a text", 1, true, &g);
        assert_string_equal(g.text, "a text, seed 1");
        tried++;
        if (inner.calls != calls + tried)
            fail_msg("%s at byte %zu was believed", cut ? "cut" : "changed", i % len);
    }
    ask(b, "a text", 1, true, &g); /* and made anew */
    assert_int_equal(inner.calls, calls + tried);
    b->vtable->close(b);
}

static void test_bound(void **state)
{
    (void)state;
    backend *b = open_kept("x", 4000);
    got g = { .stop = 0 };
    for (uint32_t i = 0; i < 200; i++)
        ask(b, "a text", i, true, &g);
    size_t n = files(false);
    assert_in_range(n, 4, 45); /* some 150 bytes each, and up to 16 more until the next look */
    unsigned calls = inner.calls;
    ask(b, "a text", 199, true, &g);
    assert_int_equal(inner.calls, calls); /* the newest is there */
    b->vtable->close(b);
}

static void test_no_directory(void **state)
{
    (void)state;
    backend *b = open_kept("x", 4000);
    char moved[80];
    snprintf(moved, sizeof moved, "%s-moved", dir);
    assert_int_equal(rename(dir, moved), 0);
    got g = { .stop = 0 };
    ask(b, "a text", 1, true, &g);
    assert_string_equal(g.text, "a text, seed 1");
    ask(b, "a text", 1, true, &g);
    assert_int_equal(inner.calls, 2);
    assert_int_equal(rename(moved, dir), 0);
    b->vtable->close(b);
}

/* What determines a result beyond a megabyte is not kept, and not an error. */
static void test_long(void **state)
{
    (void)state;
    backend *b = open_kept("x", 1 << 30);
    size_t len = 2 << 20;
    char *text = malloc(len + 1);
    assert_non_null(text);
    memset(text, 'a', len);
    text[len] = '\0';
    backend_message m = { "user", text, len };
    backend_params p = { .keep_result = true };
    backend_usage usage;
    double told = 0;
    backend_piece piece = { "a", 1, true };
    backend_head head = { .row_count = 1 };
    for (int i = 0; i < 2; i++)
        assert_int_equal(b->vtable->read(b, &m, 1, &piece, 1, &head, &p, &told, NULL, &usage, NULL),
                         S2A_OK);
    assert_int_equal(inner.calls, 2);
    assert_int_equal(files(false), 0);
    free(text);
    b->vtable->close(b);
}

/* ---- readings
 * --------------------------------------------------------------------------------- */

typedef struct asked {
    backend_message messages[2];
    size_t count;
    backend_piece pieces[3];
    size_t piece_count;
    backend_head head;
} asked;

static const asked whole = { { { "system", "s", 1 }, { "user", "text", 4 } },
                             2,
                             { { "The ", 4, false }, { "one.", 4, true }, { " two.", 5, true } },
                             3,
                             { .row_count = 2, .id = 7 } };

/* The call that answered it; its figures are told[4]. */
static unsigned read_by(backend *b, const asked *a, double *told, backend_usage *usage)
{
    backend_params p = { .keep_result = true };
    assert_int_equal(b->vtable->read(b, a->messages, a->count, a->pieces, a->piece_count, &a->head,
                                     &p, told, NULL, usage, NULL),
                     S2A_OK);
    return (unsigned)told[0];
}

static void test_read(void **state)
{
    (void)state;
    backend *b = open_kept("x", 1 << 20);
    backend_usage usage;
    double first[6], again[6];
    assert_true(b->vtable->capabilities(b).can_read);
    assert_int_equal(read_by(b, &whole, first, &usage), 1);
    assert_int_equal(usage.tokens.cached_tokens, 0);
    assert_int_equal(read_by(b, &whole, again, &usage), 1);
    assert_int_equal(inner.calls, 1);
    assert_memory_equal(first, again, 4 * sizeof *first);
    assert_true(first[1] == 1.125 && first[2] == 1 && first[3] == 1.125);
    assert_int_equal(usage.tokens.prompt_tokens, 9);
    assert_int_equal(usage.tokens.cached_tokens, 9);
    b->vtable->close(b);
    b = open_kept("x", 1 << 20); /* another process */
    assert_int_equal(read_by(b, &whole, again, &usage), 1);
    assert_memory_equal(first, again, 4 * sizeof *first);
    b->vtable->close(b);
    b = open_kept("y", 1 << 20); /* another model */
    assert_int_equal(read_by(b, &whole, again, &usage), 2);
    b->vtable->close(b);
}

/* All that a reading depends on, one after the other; and each is found again. */
static void test_read_others(void **state)
{
    (void)state;
    backend *b = open_kept("x", 1 << 20);
    asked a[9];
    for (size_t i = 0; i < 9; i++)
        a[i] = whole;
    a[1].head.id = 8;
    a[2].head.row_count = 3;
    a[3].pieces[2].text = " TWO.";
    a[4].pieces[1].wanted = false;
    a[5].pieces[0].wanted = true;
    a[6].messages[0].content = "S";
    a[7].piece_count = 2;
    a[8].pieces[0] = (backend_piece){ "The o", 5, false }; /* the same text, cut elsewhere */
    a[8].pieces[1] = (backend_piece){ "ne.", 3, true };
    double told[9];
    backend_usage usage;
    for (unsigned round = 0; round < 2; round++)
        for (unsigned i = 0; i < 9; i++)
            if (read_by(b, &a[i], told, &usage) != i + 1)
                fail_msg("round %u: reading %u was taken for %g", round, i + 1, told[0]);
    assert_int_equal(inner.calls, 9);
    assert_int_equal(files(false), 9);
    b->vtable->close(b);
}

/* States are handed on and not kept, nor is a reading that failed; a backend that cannot read has
 * none behind it either. */
static void test_read_not_kept(void **state)
{
    (void)state;
    backend *b = open_kept("x", 1 << 20);
    backend_params p = { .keep_result = true };
    backend_usage usage;
    float states[1] = { 0 };
    double told[4];
    for (unsigned i = 1; i <= 2; i++) {
        assert_int_equal(b->vtable->read(b, whole.messages, 2, whole.pieces, 3, &whole.head, &p,
                                         NULL, states, &usage, NULL),
                         S2A_OK);
        assert_true(states[0] == (float)i);
    }
    inner.status = S2A_BACKEND;
    assert_int_equal(b->vtable->read(b, whole.messages, 2, whole.pieces, 3, &whole.head, &p, told,
                                     NULL, &usage, NULL),
                     S2A_BACKEND);
    inner.status = S2A_OK;
    p.keep_result = false;
    assert_int_equal(b->vtable->read(b, whole.messages, 2, whole.pieces, 3, &whole.head, &p, told,
                                     NULL, &usage, NULL),
                     S2A_OK);
    assert_int_equal(inner.calls, 4);
    assert_int_equal(files(false), 0);
    static backend_vtable without;
    without = count_vtable;
    without.read = NULL;
    inner.base.vtable = &without;
    assert_false(b->vtable->capabilities(b).can_read);
    b->vtable->close(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_generate, setup, teardown),
        cmocka_unit_test_setup_teardown(test_not_kept, setup, teardown),
        cmocka_unit_test_setup_teardown(test_damaged, setup, teardown),
        cmocka_unit_test_setup_teardown(test_bound, setup, teardown),
        cmocka_unit_test_setup_teardown(test_no_directory, setup, teardown),
        cmocka_unit_test_setup_teardown(test_long, setup, teardown),
        cmocka_unit_test_setup_teardown(test_key_bytes, setup, teardown),
        cmocka_unit_test_setup_teardown(test_read, setup, teardown),
        cmocka_unit_test_setup_teardown(test_read_others, setup, teardown),
        cmocka_unit_test_setup_teardown(test_read_not_kept, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
