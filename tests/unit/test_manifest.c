/* The manifest of models, and what a model's name or file stands for in a store. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/limits.h"
#include "cli/manifest.h"
#include "cli/store.h"

#define SHA "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static const char good[] =
    "{\"format\": 1, \"models\": ["
    "{\"name\": \"one\", \"file\": \"one.gguf\", \"bytes\": 5, \"sha256\": \"" SHA "\","
    " \"licence\": \"MIT\", \"role\": \"default\", \"aliases\": [\"1\", \"eins\"],"
    " \"sources\": [{\"type\": \"url\", \"url\": \"https://hub.example/one.gguf\"},"
    " {\"type\": \"wheels\", \"packages\": [\"p1\", \"p2\"], \"version\": \"0.2.0\","
    " \"members\": [\"p1/a.bin\", \"p2/b.bin\"]}]},"
    "{\"name\": \"two\", \"file\": \"Two.gguf\", \"bytes\": 7, \"sha256\": \"" SHA "\","
    " \"licence\": \"Apache-2.0\", \"sources\": [{\"type\": \"url\", \"url\": \"http://h/\"}]}]}";

static manifest *parse_good(void)
{
    manifest *m = NULL;
    s2a_error err = { 0 };
    s2a_status status = manifest_parse(good, sizeof good - 1, "good.json", &m, &err);
    if (status != S2A_OK)
        fail_msg("%s", err.message);
    return m;
}

static void test_good(void **state)
{
    (void)state;
    manifest *m = parse_good();
    assert_int_equal(m->count, 2);
    const manifest_model *one = &m->models[0], *two = &m->models[1];
    assert_string_equal(one->name, "one");
    assert_string_equal(one->file, "one.gguf");
    assert_true(one->bytes == 5);
    assert_string_equal(one->sha256, SHA);
    assert_string_equal(one->licence, "MIT");
    assert_string_equal(one->role, "default");
    assert_int_equal(one->alias_count, 2);
    assert_int_equal(one->source_count, 2);
    assert_int_equal(one->sources[0].kind, MANIFEST_URL);
    assert_string_equal(one->sources[0].url, "https://hub.example/one.gguf");
    assert_int_equal(one->sources[1].kind, MANIFEST_WHEELS);
    assert_int_equal(one->sources[1].part_count, 2);
    assert_string_equal(one->sources[1].packages[1], "p2");
    assert_string_equal(one->sources[1].members[1], "p2/b.bin");
    assert_string_equal(one->sources[1].version, "0.2.0");
    assert_string_equal(two->role, "");
    assert_int_equal(two->alias_count, 0);
    manifest_free(m);
    manifest_free(NULL);
}

/* As many aliases as there may be, and one more; a file as long as it may be, and one
 * byte longer. */
static void test_limits(void **state)
{
    (void)state;
    char path[] = "/tmp/s2a-manifest-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    setenv("S2A_MANIFEST", path, 1);
    for (size_t over = 0; over < 2; over++) {
        manifest *m = NULL;
        s2a_error err = { .status = S2A_OK };
        buf text;
        buf_init(&text, LIMIT_MANIFEST_BYTES);
        buf_adds(&text, "{\"format\": 1, \"models\": [{\"name\": \"one\", \"file\": \"one.gguf\", "
                        "\"bytes\": 5, \"sha256\": \"" SHA
                        "\", \"licence\": \"MIT\", \"aliases\": [\"a\"");
        for (size_t i = 1; i < LIMIT_MANIFEST_ITEMS + over; i++)
            buf_addf(&text, ", \"a%zu\"", i);
        buf_adds(
            &text,
            "], \"sources\": [{\"type\": \"url\", \"url\": \"https://hub.example/one.gguf\"}]}]}");
        s2a_status status = manifest_parse(text.data, text.len, "many.json", &m, &err);
        if ((status == S2A_OK) == over)
            fail_msg("%zu aliases too many: %s", over, err.message);
        manifest_free(m);
        buf_free(&text);
        buf file;
        buf_init(&file, LIMIT_MANIFEST_BYTES + over);
        buf_add(&file, good, sizeof good - 1);
        while (file.len < LIMIT_MANIFEST_BYTES + over)
            buf_adds(&file, " ");
        assert_int_equal(pwrite(fd, file.data, file.len, 0), file.len);
        buf_free(&file);
        assert_int_equal(manifest_load(&m, &err), over ? S2A_LIMIT : S2A_OK);
        manifest_free(m);
    }
    unsetenv("S2A_MANIFEST");
    close(fd);
    unlink(path);
}

static void test_find(void **state)
{
    (void)state;
    manifest *m = parse_good();
    assert_ptr_equal(manifest_find(m, "one"), &m->models[0]);
    assert_ptr_equal(manifest_find(m, "EINS"), &m->models[0]);
    assert_ptr_equal(manifest_find(m, "two.gguf"), &m->models[1]);
    assert_ptr_equal(manifest_find(m, NULL), &m->models[0]);
    assert_null(manifest_find(m, "three"));
    assert_null(manifest_find(m, ""));
    manifest_free(m);
}

static void test_builtin(void **state)
{
    (void)state;
    manifest *m = NULL;
    s2a_error err = { 0 };
    unsetenv("S2A_MANIFEST");
    if (manifest_load(&m, &err) != S2A_OK)
        fail_msg("%s", err.message);
    assert_non_null(manifest_find(m, NULL));
    assert_ptr_equal(manifest_find(m, "1.5b"), manifest_find(m, NULL));
    const manifest_model *test = manifest_find(m, "smollm2-135m-instruct");
    assert_non_null(test);
    assert_string_equal(test->role, "test");
    manifest_free(m);
}

/* The good manifest with its first find replaced, and what the message must hold. */
static const struct {
    const char *find, *with, *want;
} broken[] = {
    { "}]}]}", "}]}]", "line 1" },
    { "{\"format\"", "[\"format\"", "line 1" },
    { "\"format\": 1", "\"format\": 2", "format: must be 1" },
    { "\"format\": 1, ", "", "format: must be 1" },
    { "\"models\": [", "\"models\": [], \"more\": [", "more: unknown field" },
    { "\"name\": \"one\", ", "", "models[0]: name: is missing" },
    { "\"name\": \"one\"", "\"name\": 1", "models[0]: name: must be letters" },
    { "\"name\": \"one\"", "\"name\": \"-one\"", "name: must be letters" },
    { "\"name\": \"one\"", "\"name\": \"a/b\"", "name: must be letters" },
    { "\"name\": \"one\"", "\"name\": \"x.GGUF\"", "name: must be letters" },
    { "\"name\": \"one\"", "\"name\": \"one\", \"name\": \"uno\"", "duplicate" },
    { "\"name\": \"two\"", "\"name\": \"One\"", "models[1] (One): name: is taken" },
    { "\"name\": \"two\"", "\"name\": \"eins\"", "models[1] (eins): name: is taken" },
    { "\"one.gguf\"", "\"../one.gguf\"", "models[0] (one): file: must be a plain file name" },
    { "\"one.gguf\"", "\".one.gguf\"", "file: must be a plain file name" },
    { "\"one.gguf\"", "\"one.bin\"", "file: must be a plain file name" },
    { "\"Two.gguf\"", "\"one.gguf\"", "file: is taken" },
    { "\"bytes\": 5, ", "", "models[0] (one): bytes: is missing" },
    { "\"bytes\": 5", "\"bytes\": 0", "bytes: must be a whole number above 0" },
    { "\"bytes\": 5", "\"bytes\": 5.5", "bytes: must be a whole number above 0" },
    { "\"bytes\": 5", "\"bytes\": \"5\"", "bytes: must be a whole number above 0" },
    { "\"bytes\": 5", "\"bytes\": 99999999999999999999", "integer" },
    { "\"0123", "\"123", "sha256: must be 64 lower-case hex digits" },
    { "\"0123456789a", "\"0123456789A", "sha256: must be 64 lower-case hex digits" },
    { " \"licence\": \"MIT\",", "", "licence: is missing" },
    { "\"licence\": \"MIT\"", "\"license\": \"MIT\"", "license: unknown field" },
    { "\"licence\": \"MIT\"", "\"licence\": \"MIT\", \"select\": {}",
      "models[0]: select: unknown field" },
    { "\"role\": \"default\"", "\"role\": \"best\"", "role: must be" },
    { "\"licence\": \"Apache-2.0\",", "\"licence\": \"MIT\", \"role\": \"default\",",
      "models[1] (two): role: an earlier model is the default" },
    { "\"aliases\": [\"1\", \"eins\"]", "\"aliases\": \"1\"", "aliases: must be an array" },
    { "\"aliases\": [\"1\", \"eins\"]", "\"aliases\": [1]", "aliases: must hold" },
    { "\"licence\": \"Apache-2.0\",", "\"licence\": \"MIT\", \"aliases\": [\"Eins\"],",
      "aliases: one is taken" },
    { "\"sources\": [{\"type\": \"url\", \"url\": \"http://h/\"}]", "\"sources\": []",
      "models[1] (two): sources: must not be empty" },
    { ", \"sources\": [{\"type\": \"url\", \"url\": \"http://h/\"}]", "",
      "models[1] (two): sources: is missing" },
    { "{\"type\": \"url\", \"url\": \"http://h/\"}", "\"http://h/\"",
      "models[1] (two): sources[0]: must be an object" },
    { "\"type\": \"url\"", "\"type\": \"ftp\"", "sources[0]: type: must be" },
    { "\"type\": \"url\", ", "", "sources[0]: type: is missing" },
    { "https://hub", "file://hub", "sources[0]: url: must be an http or https URL" },
    { "\"url\": \"http://h/\"", "\"url\": \"http://h/\", \"version\": \"1\"",
      "version: unknown field" },
    { "\"p2\"]", "\"p2\", \"p3\"]", "models[0] (one): sources[1]: members: must be as many" },
    { "\"p2\"]", "\"--index-url=x\"]", "packages: must hold package names" },
    { "[\"p1\", \"p2\"]", "[]", "packages: must not be empty" },
    { "\"0.2.0\"", "\"0.2.0 ; x\"", "version: must be a version" },
    { "\"p2/b.bin\"", "\"/etc/x\"", "members: must hold paths" },
};

static void test_broken(void **state)
{
    (void)state;
    int failed = 0;
    for (size_t i = 0; i < sizeof broken / sizeof broken[0]; i++) {
        const char *at = strstr(good, broken[i].find);
        assert_non_null(at);
        char text[2048];
        int n = snprintf(text, sizeof text, "%.*s%s%s", (int)(at - good), good, broken[i].with,
                         at + strlen(broken[i].find));
        assert_in_range(n, 1, sizeof text - 1);
        manifest *m = (manifest *)1;
        s2a_error err = { 0 };
        s2a_status status = manifest_parse(text, (size_t)n, "bad.json", &m, &err);
        if (status != S2A_INPUT || m || !strstr(err.message, broken[i].want) ||
            !strstr(err.message, "manifest bad.json: ")) {
            failed++;
            print_error("%s -> %s: status %d, message '%s', wanted '%s'\n", broken[i].find,
                        broken[i].with, (int)status, err.message, broken[i].want);
        }
    }
    assert_int_equal(failed, 0);
}

/* A truncated manifest is never one, and never more than an error. */
static void test_truncated(void **state)
{
    (void)state;
    for (size_t len = 0; len < sizeof good - 1; len++) {
        manifest *m;
        assert_int_equal(manifest_parse(good, len, "cut.json", &m, NULL), S2A_INPUT);
        assert_null(m);
    }
}

/* ---- the store -------------------------------------------------------------------------- */

static char *write_file(const char *dir, const char *name, const char *text)
{
    char *path = store_path(dir, name, "");
    assert_non_null(path);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fputs(text, f);
    fclose(f);
    return path;
}

static void expect_resolved(const manifest *m, const char *dir, const char *name, const char *want)
{
    char *path = NULL;
    s2a_error err = { 0 };
    if (store_resolve_in(m, dir, name, &path, &err) != S2A_OK)
        fail_msg("%s: %s", name, err.message);
    assert_string_equal(path, want);
    free(path);
}

static void expect_unavailable(const manifest *m, const char *dir, const char *name,
                               const char *want)
{
    char *path = (char *)1;
    s2a_error err = { 0 };
    assert_int_equal(store_resolve_in(m, dir, name, &path, &err), S2A_UNAVAILABLE);
    assert_null(path);
    if (!strstr(err.message, want))
        fail_msg("%s: '%s' lacks '%s'", name ? name : "(default)", err.message, want);
}

static void test_resolve(void **state)
{
    (void)state;
    char dir[] = "/tmp/s2a-store-XXXXXX";
    assert_non_null(mkdtemp(dir));
    manifest *m = parse_good();

    expect_unavailable(m, dir, "one", "model one is not here: run `s2a pull one`");
    expect_unavailable(m, dir, "eins", "model eins is not here: run `s2a pull eins`");
    expect_unavailable(m, dir, NULL, "model one is not here: run `s2a pull one`");
    expect_unavailable(m, dir, "three", "model three: unknown name");
    expect_unavailable(m, dir, "none/x", "model none/x: No such file or directory");
    expect_unavailable(m, dir, "none.gguf", "model none.gguf: No such file or directory");
    expect_unavailable(m, dir, dir, "is a directory");

    char *part = write_file(dir, "one.gguf.part", "123");
    expect_unavailable(m, dir, "one", "only partly here: run `s2a pull one`");
    unlink(part);
    char *one = write_file(dir, "one.gguf", "1234");
    expect_unavailable(m, dir, "one", "only partly here");
    free(write_file(dir, "one.gguf", "12345"));
    expect_resolved(m, dir, "one", one);
    expect_resolved(m, dir, "1", one);
    expect_resolved(m, dir, NULL, one);
    expect_resolved(m, dir, "ONE.gguf", one); /* not a file here, but the name of one there */

    char *own = write_file(dir, "own", "x");
    expect_resolved(m, dir, own, own); /* any file, when the name has a '/' */
    expect_unavailable(m, dir, "own", "unknown name");

    unlink(own);
    unlink(one);
    rmdir(dir);
    free(own);
    free(one);
    free(part);
    manifest_free(m);
}

static void test_verified(void **state)
{
    (void)state;
    char dir[] = "/tmp/s2a-store-XXXXXX";
    assert_non_null(mkdtemp(dir));
    manifest *m = parse_good();
    char *one = write_file(dir, "one.gguf", "12345");
    char *note = store_path(dir, "one.gguf", ".ok");
    assert_non_null(note);
    assert_false(store_is_verified(one, &m->models[0]));
    store_set_verified(one, &m->models[0], "wheels");
    assert_true(store_is_verified(one, &m->models[0]));
    char source[STORE_SOURCE_SIZE];
    store_source(one, &m->models[0], source);
    assert_string_equal(source, "wheels");
    store_set_verified(one, &m->models[0], NULL);
    store_source(one, &m->models[0], source);
    assert_string_equal(source, "wheels");
    /* A note of an earlier version says nothing of the source; one that was changed neither. */
    static const char *const others[] = { "", "url\x1b[31m\n", "urls\n", "wheels+url, and more\n" };
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        char text[300] = "";
        FILE *f = fopen(note, "r+");
        assert_non_null(f);
        assert_non_null(fgets(text, sizeof text, f));
        fseek(f, (long)strlen(text), SEEK_SET);
        fputs(others[i], f);
        fflush(f);
        assert_int_equal(ftruncate(fileno(f), (off_t)(strlen(text) + strlen(others[i]))), 0);
        fclose(f);
        assert_true(store_is_verified(one, &m->models[0]));
        store_source(one, &m->models[0], source);
        assert_string_equal(source, "");
    }
    /* Of another size, it is another file. */
    free(write_file(dir, "one.gguf", "123456"));
    assert_false(store_is_verified(one, &m->models[0]));
    unlink(one);
    assert_false(store_is_verified(one, &m->models[0]));
    unlink(note);
    rmdir(dir);
    free(note);
    free(one);
    manifest_free(m);
}

static void expect_dir(const char *want)
{
    s2a_error err = { 0 };
    char *dir = store_dir(&err);
    if (want)
        assert_string_equal(dir, want);
    else
        assert_null(dir);
    free(dir);
}

static void test_dir(void **state)
{
    (void)state;
    setenv("HOME", "/home/u", 1);
    setenv("XDG_DATA_HOME", "/data", 1);
    setenv("S2A_MODELS", "/models", 1);
    expect_dir("/models");
    setenv("S2A_MODELS", "", 1);
    expect_dir("/data/s2a/models");
    unsetenv("XDG_DATA_HOME");
    expect_dir("/home/u/.local/share/s2a/models");
    unsetenv("HOME");
    expect_dir(NULL);
    assert_int_equal(chdir("/"), 0);
    setenv("S2A_MODELS", "models", 1);
    s2a_error err = { 0 };
    char *dir = store_dir(&err);
    assert_non_null(dir);
    assert_true(dir[0] == '/');
    free(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good),    cmocka_unit_test(test_limits),
        cmocka_unit_test(test_find),    cmocka_unit_test(test_builtin),
        cmocka_unit_test(test_broken),  cmocka_unit_test(test_truncated),
        cmocka_unit_test(test_resolve), cmocka_unit_test(test_verified),
        cmocka_unit_test(test_dir),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
