/* Model files that are no models, or not whole: each is refused with one line that names the file
 * and says what to do, and nothing worse happens. All are made here, from a copy of the test
 * model. */
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

#include "base/clock.h"
#include "live.h"
#include "llama_inspect.h"

#define HEAD_BYTES ((size_t)4 << 20) /* of the copy; the metadata is in them */

static char dir[256], copy[300], other[300];
static char head[HEAD_BYTES];
static off_t copy_size;
static int copy_fd = -1;

static int setup(void **state)
{
    (void)state;
    const char *tmp = getenv("TMPDIR");
    snprintf(dir, sizeof dir, "%s/s2a-live-XXXXXX", tmp && *tmp ? tmp : "/tmp");
    if (!mkdtemp(dir))
        return -1;
    snprintf(copy, sizeof copy, "%s/copy.gguf", dir);
    snprintf(other, sizeof other, "%s/other.gguf", dir);
    int from = open(live_model(), O_RDONLY | O_CLOEXEC);
    copy_fd = open(copy, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (from < 0 || copy_fd < 0)
        return -1;
    static char block[1 << 20];
    ssize_t n;
    while ((n = read(from, block, sizeof block)) > 0) {
        if (write(copy_fd, block, (size_t)n) != n)
            return -1;
        copy_size += n;
    }
    close(from);
    return n == 0 && pread(copy_fd, head, sizeof head, 0) == (ssize_t)sizeof head ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    close(copy_fd);
    unlink(copy);
    unlink(other);
    return rmdir(dir);
}

static s2a_status open_file(const char *path, s2a_engine **engine, s2a_error *err)
{
    s2a_engine_options options = live_options(256);
    options.model = path;
    memset(err, 0, sizeof *err);
    return s2a_engine_open(&options, engine, err);
}

/* word: what the message must say, beside the file's path; NULL = nothing in particular. */
static void refused(const char *path, const char *word)
{
    s2a_engine *engine = (s2a_engine *)head;
    s2a_error err;
    double start = clock_ms();
    s2a_status status = open_file(path, &engine, &err);
    if (status != S2A_MODEL || err.status != S2A_MODEL)
        fail_msg("%s, not S2A_MODEL: %s", s2a_status_name(status), err.message);
    assert_null(engine);
    assert_true(clock_ms() - start < 10000);
    if (strncmp(err.message, path, strlen(path)) != 0 || strchr(err.message, '\n') ||
        !strchr(err.message, ';') || (word && !strstr(err.message, word)))
        fail_msg("expected the path and \"%s\": %s", word ? word : "", err.message);
}

static void write_other(const char *bytes, size_t len)
{
    int fd = open(other, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, bytes, len), (ssize_t)len);
    close(fd);
}

/* ---- no model at all ------------------------------------------------------------------------ */

static void test_no_model(void **state)
{
    (void)state;
    static const char text[] = "Dear diary,\ntoday I learned what a model file is not.\n";
    refused(other, "No such file");
    refused("/dev/null", "not a regular file");
    refused(dir, "directory");
    write_other("", 0);
    refused(other, "empty file");
    write_other(text, sizeof text - 1);
    refused(other, "not a GGUF file");
    write_other("GGU", 3);
    refused(other, "not a GGUF file");
    write_other("GGML----------------------------", 32); /* what came before GGUF */
    refused(other, "not a GGUF file");
    unlink(other);
    assert_int_equal(mkfifo(other, 0600), 0); /* and it does not wait for a writer */
    refused(other, "not a regular file");
    unlink(other);
    assert_int_equal(symlink("other.gguf", other), 0); /* to itself */
    refused(other, "symbolic links");
    unlink(other);
}

/* ---- the beginning of a model --------------------------------------------------------------- */

static void test_cut_head(void **state)
{
    (void)state;
    static const size_t lengths[] = { 4, 5, 8, 16, 23, 24, 25, 40, 100, 1000, 65536, HEAD_BYTES };
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        write_other(head, lengths[i]);
        refused(other, "cannot load the model");
    }
}

/* Where a text is in the head; it must be there. */
static size_t find(const char *text, size_t from)
{
    const char *at = memmem(head + from, sizeof head - from, text, strlen(text));
    if (!at)
        fail_msg("the model has no \"%s\"", text);
    return (size_t)(at - head);
}

static void patch(size_t at, const void *bytes, size_t len)
{
    assert_int_equal(pwrite(copy_fd, bytes, len, (off_t)at), (ssize_t)len);
}

static void unpatch(size_t at, size_t len)
{
    patch(at, head + at, len);
}

/* A whole file with a few bytes changed. */
static void test_broken_header(void **state)
{
    (void)state;
    static const unsigned char ones[8] = { 255, 255, 255, 255, 255, 255, 255, 255 };
    static const unsigned char zeros[8] = { 0 };
    static const unsigned char big[8] = { 0, 0, 0, 0, 0, 0, 0, 0x40 }; /* 2^62 */
    static const struct {
        const char *what;
        size_t at;
        const unsigned char *bytes;
        size_t len;
    } cases[] = {
        { "version", 4, ones, 4 },          { "version 0", 4, zeros, 4 },
        { "tensors", 8, ones, 8 },          { "tensors 2^62", 8, big, 8 },
        { "no tensors", 8, zeros, 8 },      { "keys", 16, ones, 8 },
        { "keys 2^62", 16, big, 8 },        { "no keys", 16, zeros, 8 },
        { "length of a key", 24, ones, 8 }, { "length of a key 2^62", 24, big, 8 },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        patch(cases[i].at, cases[i].bytes, cases[i].len);
        print_message("%s\n", cases[i].what);
        refused(copy, "cannot load the model");
        unpatch(cases[i].at, cases[i].len);
    }
}

static void test_broken_metadata(void **state)
{
    (void)state;
    static const unsigned char type[4] = { 200 };
    size_t at = find("general.architecture", 0) + strlen("general.architecture");
    patch(at, type, 4); /* no type of value that there is */
    refused(copy, "cannot load the model");
    unpatch(at, 4);
    at = find("llama", at);
    patch(at, "lxxma", 5);
    refused(copy, "unknown model architecture: 'lxxma'");
    unpatch(at, 5);
    at = find("tokenizer.ggml.model", 0);
    patch(at, "t", 1);
    patch(at + 1, "O", 1);
    refused(copy, "cannot load the model");
    unpatch(at, 2);
    at = find("token_embd.weight", 0);
    patch(at, "token_embx", 10);
    refused(copy, "cannot load the model");
    unpatch(at, 10);
}

/* ---- the chat template ---------------------------------------------------------------------- */

static void test_chat_template(void **state)
{
    (void)state;
    size_t key = find("tokenizer.chat_template", 0), at = find("trained by Hugging Face", key);
    patch(key, "tokenizer.chat_tempLate", strlen("tokenizer.chat_template"));
    refused(copy, "no chat template; use an instruct or chat model");
    unpatch(key, strlen("tokenizer.chat_template"));
    /* Markers of no family that libllama knows. */
    size_t marks[16], count = 0;
    for (size_t i = find("<|im_start|>", key); count < 16 && i < key + 2000; i++)
        if (!memcmp(head + i, "<|im_start|>", 12) || !memcmp(head + i, "<|im_end|>", 10))
            marks[count++] = i + 3;
    for (size_t i = 0; i < count; i++)
        patch(marks[i], "XY", 2);
    refused(copy, "libllama does not know its chat template");
    for (size_t i = 0; i < count; i++)
        unpatch(marks[i], 2);
    /* What the file says is what the model reads. */
    patch(at, "trained by a few people", strlen("trained by Hugging Face"));
    s2a_engine *engine = NULL;
    s2a_error err;
    if (open_file(copy, &engine, &err) != S2A_OK)
        fail_msg("%s", err.message);
    backend_message message = { "user", "Hi", 2 };
    token_list tokens = { 0 };
    buf text;
    buf_init(&text, 4096);
    backend *b = live_backend(engine);
    assert_int_equal(llama_inspect_prompt(b, &message, 1, &tokens, NULL, NULL), S2A_OK);
    assert_int_equal(llama_inspect_text(b, &tokens, &text), S2A_OK);
    assert_string_equal(text.data,
                        "<|im_start|>system\nYou are a helpful AI assistant named SmolLM, trained "
                        "by a few people<|im_end|>\n<|im_start|>user\nHi<|im_end|>\n"
                        "<|im_start|>assistant\n");
    token_list_free(&tokens);
    buf_free(&text);
    s2a_engine_close(engine);
    unpatch(at, strlen("trained by Hugging Face"));
}

/* ---- cut weights ---------------------------------------------------------------------------- */

/* First of all, the copy is good; last of all, as nothing brings back what is cut. */
static void test_cut_in_half(void **state)
{
    (void)state;
    s2a_engine *engine = NULL;
    s2a_error err;
    if (open_file(copy, &engine, &err) != S2A_OK)
        fail_msg("%s", err.message);
    s2a_engine_close(engine);
    assert_int_equal(ftruncate(copy_fd, copy_size - 1), 0);
    refused(copy, "incomplete");
    assert_int_equal(ftruncate(copy_fd, copy_size / 2), 0);
    refused(copy, "incomplete");
    assert_int_equal(ftruncate(copy_fd, copy_size), 0); /* zeros: a download that was planned */
    patch(0, "\0\0\0\0", 4);
    refused(copy, "not a GGUF file");
}

/* KiB of the file that are in this process's memory, -1 when it is not mapped. */
static long mapped_kib(const char *path)
{
    FILE *maps = fopen("/proc/self/smaps", "r");
    char line[1024];
    bool inside = false;
    long sum = -1, kib;
    assert_non_null(maps);
    while (fgets(line, sizeof line, maps)) {
        if (strstr(line, path)) {
            inside = true;
            sum = sum < 0 ? 0 : sum;
        } else if (inside && sscanf(line, "Rss: %ld kB", &kib) == 1) {
            sum += kib;
            inside = false;
        }
    }
    fclose(maps);
    return sum;
}

/* Once a model is loaded its file takes no memory, and is still read where it is needed. */
static void test_pages_let_go(void **state)
{
    (void)state;
    s2a_engine *engine = NULL;
    s2a_error err;
    if (open_file(copy, &engine, &err) != S2A_OK)
        fail_msg("%s", err.message);
    long kib = mapped_kib(copy);
    assert_true(kib < 4096);
    live_run run;
    live_check_talk(live_backend(engine), 0, &run);
    if (kib >= 0) /* it is mapped: the embeddings of the words at least are read from there */
        assert_true(mapped_kib(copy) > 0);
    s2a_engine_close(engine);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pages_let_go), /* before the copy is damaged */
        cmocka_unit_test(test_no_model),      cmocka_unit_test(test_cut_head),
        cmocka_unit_test(test_broken_header), cmocka_unit_test(test_broken_metadata),
        cmocka_unit_test(test_chat_template), cmocka_unit_test(test_cut_in_half),
    };
    if (!live_model())
        return 77; /* ctest: skipped */
    return cmocka_run_group_tests(tests, setup, teardown);
}
