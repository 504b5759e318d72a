/* Heads: a file says what was written, whatever is wrong with one is said, and none judges for
 * another model. */
#include <fcntl.h>
#include <locale.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/limits.h"
#include "core/head.h"
#include "fake_reader.h"
#include "scripted.h"

/* ---- a head to write ------------------------------------------------------------------------ */

#define WIDTH 5
#define LAYERS 2
#define ROW (LAYERS * 2 * WIDTH)

#define UNITS 3 /* hidden ones: two of the form again, one of apart */
#define MAPS (HEAD_ROWS + UNITS)

static float maps[MAPS * ROW];
/* What each map is of: rows and, behind those of a form, its hidden units. */
static const int map_row[MAPS] = { 0, 1, 2, -1, -1, 3, 4, -1 };

static uint32_t random_next(uint32_t *seed)
{
    *seed = *seed * 1664525u + 1013904223u;
    return *seed >> 8;
}

/* Rows of different sizes, one of them all 0. */
static judge_head head_made(uint32_t seed)
{
    judge_head h = { .model = "A model 1.5B",
                     .weights_id = UINT64_C(0xfedcba9876543210),
                     .layers = { 3, 17 },
                     .layer_count = LAYERS,
                     .width = WIDTH,
                     .thresholds = { -1.25, 0.5, -1e6, 1e-3 },
                     .second = { -0.25, 0.5, 7, 1e-3 },
                     .maps = maps };
    h.unit_count[HEAD_AGAIN] = 2;
    h.unit_count[HEAD_APART] = 1;
    for (size_t r = 0; r < HEAD_ROWS; r++) {
        h.offset[r] = (double)(random_next(&seed) % 1000) / 77 - 5;
        h.scale[r] = 0.25 * (double)(r + 1);
    }
    for (size_t k = 0; k < UNITS; k++) {
        head_unit *u = k < 2 ? &h.units[HEAD_AGAIN][k] : &h.units[HEAD_APART][0];
        u->offset = (double)k - 1;
        u->scale = 0.5 * (double)(k + 1);
        for (size_t i = 0; i < (k < 2 ? 3u : 2u); i++)
            u->mix[i] = (double)(random_next(&seed) % 1000) / 500 - 1;
    }
    for (size_t m = 0; m < MAPS; m++)
        for (size_t i = 0; i < ROW; i++)
            maps[m * ROW + i] = m == 2 ? 0
                                       : (float)((double)(random_next(&seed) % 20001) - 10000) *
                                             (float)pow(10, (double)m - 5);
    return h;
}

/* What a map's numbers are multiplied with. */
static double scale_of(const judge_head *h, size_t map)
{
    return map_row[map] >= 0 ? h->scale[map_row[map]]
           : map < MAPS - 1  ? h->units[HEAD_AGAIN][map - 3].scale
                             : h->units[HEAD_APART][0].scale;
}

static buf written(const judge_head *h)
{
    buf out;
    buf_init(&out, LIMIT_HEAD_FILE_BYTES);
    head_write(h, &out);
    assert_int_equal(out.status, S2A_OK);
    return out;
}

static judge_head *read_back(const buf *bytes)
{
    judge_head *h = NULL;
    s2a_error err;
    if (head_read("f", bytes->data, bytes->len, &h, &err) != S2A_OK)
        fail_msg("%s", err.message);
    return h;
}

/* ---- writing and reading
 * ---------------------------------------------------------------------- */

/* All that is in it; each number within half of what the 16 bits of its row are worth. */
static void test_round(void **state)
{
    (void)state;
    for (uint32_t seed = 1; seed < 50; seed++) {
        judge_head h = head_made(seed);
        buf bytes = written(&h);
        judge_head *back = read_back(&bytes);
        assert_string_equal(back->model, h.model);
        assert_true(back->weights_id == h.weights_id && back->width == WIDTH &&
                    back->layer_count == LAYERS);
        assert_true(back->layers[0] == 3 && back->layers[1] == 17);
        assert_true(back->thresholds.automatic == -1.25 && back->thresholds.opinion == 0.5 &&
                    back->thresholds.relevance == -1e6 && back->thresholds.untrusted == 1e-3);
        assert_memory_equal(&back->second, &h.second, sizeof h.second);
        for (size_t r = 0; r < HEAD_ROWS; r++)
            assert_true(fabs(back->offset[r] - h.offset[r]) <= 1e-8 * fabs(h.offset[r]));
        assert_true(back->unit_count[HEAD_AGAIN] == 2 && back->unit_count[HEAD_APART] == 1);
        for (size_t k = 0; k < UNITS; k++) {
            const head_unit *was = &h.units[k / 2][k % 2], *is = &back->units[k / 2][k % 2];
            assert_true(fabs(was->offset - is->offset) <= 1e-8);
            for (size_t i = 0; i < HEAD_FORM_ROWS_MAX; i++)
                assert_true(fabs(was->mix[i] - is->mix[i]) <= 1e-8);
        }
        for (size_t m = 0; m < MAPS; m++) {
            double most = 0;
            for (size_t i = 0; i < ROW; i++)
                most = fmax(most, fabs((double)maps[m * ROW + i]));
            for (size_t i = 0; i < ROW; i++) {
                double was = scale_of(&h, m) * (double)maps[m * ROW + i];
                double is = scale_of(back, m) * (double)back->maps[m * ROW + i];
                if (fabs(was - is) > scale_of(&h, m) * most / 32767 * 0.5001)
                    fail_msg("map %zu, number %zu: %g became %g", m, i, was, is);
            }
        }
        head_free(back);
        buf_free(&bytes);
    }
}

/* What was read is written as it was. */
static void test_again(void **state)
{
    (void)state;
    judge_head h = head_made(7);
    buf first = written(&h);
    judge_head *back = read_back(&first), *other = NULL;
    buf second = written(back);
    assert_int_equal(first.len, second.len);
    assert_memory_equal(first.data, second.data, first.len);
    assert_true(back->id != 0);
    other = read_back(&second);
    assert_true(other->id == back->id);
    head_free(other);
    second.data[second.len - 1] ^= 1; /* one number is another head */
    other = read_back(&second);
    assert_true(other->id != back->id);
    head_free(other);
    head_free(back);
    buf_free(&first);
    buf_free(&second);
    head_free(NULL);
}

static bool comma(const char *name)
{
    return setlocale(LC_NUMERIC, name) && localeconv()->decimal_point[0] == ',';
}

/* Where the program writes 1,5 a file still says 1.5. */
static void test_comma(void **state)
{
    (void)state;
    char dir[] = "/tmp/s2a-locale-XXXXXX", command[256];
    assert_non_null(mkdtemp(dir));
    bool there = comma("de_DE.UTF-8") || comma("fr_FR.UTF-8");
    if (!there) {
        snprintf(command, sizeof command, "localedef -i de_DE -f UTF-8 %s/de_DE.UTF-8 >%s/log 2>&1",
                 dir, dir);
        setenv("LOCPATH", dir, 1);
        there = system(command) == 0 && comma("de_DE.UTF-8");
    }
    if (there) {
        char text[16];
        judge_head h = head_made(7);
        buf bytes = written(&h);
        judge_head *back = read_back(&bytes);
        assert_true(back->thresholds.automatic == -1.25 &&
                    memmem(bytes.data, bytes.len, "auto -1.25 ", 11));
        snprintf(text, sizeof text, "%.1f", 1.5);
        assert_string_equal(text, "1,5"); /* the program's own is as it was */
        head_free(back);
        buf_free(&bytes);
    }
    setlocale(LC_NUMERIC, "C");
    unsetenv("LOCPATH");
    snprintf(command, sizeof command, "rm -r %s", dir);
    assert_int_equal(system(command), 0);
    if (!there)
        skip();
}

/* What reads it finds in the name of a model no line of its own. */
static void test_names(void **state)
{
    (void)state;
    static const char *const names[][2] = { { "", "" },
                                            { "Q\nweights 0", "Q weights 0" },
                                            { "Q\twen\x01", "Q wen " },
                                            { "caf\xc3\xa9", "caf\xc3\xa9" } };
    judge_head h = head_made(1);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        strcpy(h.model, names[i][0]);
        buf bytes = written(&h);
        judge_head *back = read_back(&bytes);
        assert_string_equal(back->model, names[i][1]);
        head_free(back);
        buf_free(&bytes);
    }
    memset(h.model, 'x', sizeof h.model - 1); /* as long as there is room for */
    h.model[sizeof h.model - 1] = '\0';
    buf bytes = written(&h);
    judge_head *back = read_back(&bytes);
    assert_string_equal(back->model, h.model);
    head_free(back);
    buf_free(&bytes);
}

/* ---- what is wrong with a
 * file ---------------------------------------------------------------- */

#define GOOD                                                                     \
    "s2a-head 1\nmodel m\nweights 00000000000000ff\nwidth 2\nlayers 1 4\n"       \
    "border auto -1 opinion -2.5 relevance 0 untrusted 1e-3\n"                   \
    "row again-unrelated offset 1 scale 2\nrow again-opinion offset 1 scale 2\n" \
    "row again-asked offset 1 scale 2\nrow apart-support offset 1 scale 2\n"     \
    "row apart-order offset -1 scale 0.5\n\n"
#define NUMBERS (HEAD_ROWS * 2 * 2 * 2 * 2) /* bytes */

static const struct {
    const char *find, *with, *says;
} broken[] = {
    { "s2a-head 1", "s2a-head 2", "does not begin with" },
    { "s2a-head 1\n", "s2a-head 1 \n", "does not begin with" },
    { "s2a-head 1\n", "\ns2a-head 1\n", "does not begin with" },
    { "model m\n", "", "no line \"model\"" },
    { "model m", "model", "no line \"model\"" },
    { "model m", "Model m", "no line \"model\"" },
    { "weights 00000000000000ff\n", "", "no line \"weights\"" },
    { "weights 00000000000000ff", "weights xyz", "no line \"weights\"" },
    { "weights 00000000000000ff", "weights 00000000000000ff and so on", "no line \"weights\"" },
    { "weights 00000000000000ff", "weights -1", "no line \"weights\"" },
    { "weights 00000000000000ff", "weights 1000000000000000000ff", "no line \"weights\"" },
    { "width 2\n", "", "no line \"width\"" },
    { "width 2", "width 0", "no line \"width\"" },
    { "width 2", "width -2", "no line \"width\"" },
    { "width 2", "width 2.5", "no line \"width\"" },
    { "width 2", "width 2 2", "no line \"width\"" },
    { "width 2", "width nan", "no line \"width\"" },
    { "width 2", "width inf", "no line \"width\"" },
    { "width 2", "width 65537", "no line \"width\"" },
    { "width 2", "width 3", "its numbers are cut off, or too many" },
    { "width 2", "width 1", "its numbers are cut off, or too many" },
    { "layers 1 4\n", "", "no line \"layers\"" },
    { "layers 1 4", "layers", "it names no layer" },
    { "layers 1 4", "layers 4 1", "its layers are not" },
    { "layers 1 4", "layers 1 1", "its layers are not" },
    { "layers 1 4", "layers -1 4", "its layers are not" },
    { "layers 1 4", "layers 1 2.5", "its layers are not" },
    { "layers 1 4", "layers 1 x", "its layers are not" },
    { "layers 1 4", "layers 1 20000", "its layers are not" },
    { "layers 1 4", "layers 1 2 3 4 5", "its layers are not" },
    { "layers 1 4", "layers 1", "its numbers are cut off, or too many" },
    { "border auto -1 ", "", "no line \"border\"" },
    { "auto -1 ", "", "no line \"border\"" },
    { "auto -1 opinion -2.5", "opinion -2.5 auto -1", "no line \"border\"" },
    { "auto -1 ", "auto ", "no line \"border\"" },
    { "auto -1 ", "auto nan ", "no line \"border\"" },
    { "auto -1 ", "auto 1e999 ", "no line \"border\"" },
    { " untrusted 1e-3", "", "no line \"border\"" },
    { " untrusted 1e-3", " untrusted 1e-3 more 1", "no line \"border\"" },
    { "\nrow again-unrelated", "\nsecond auto 1\nrow again-unrelated", "the line \"second\"" },
    { "\nrow again-unrelated",
      "\nsecond auto -1.1 opinion 0 relevance 0 untrusted 1\nrow again-unrelated",
      "the line \"second\"" },
    { "\nrow again-unrelated",
      "\nsecond auto 0 opinion 0 relevance 0 untrusted 0\nrow again-unrelated",
      "the line \"second\"" },
    { "row again-unrelated offset 1 scale 2\n", "", "a row is missing" },
    { "row again-unrelated", "row again-needed", "a row is missing" },
    { "row again-unrelated offset 1 scale 2\nrow again-opinion",
      "row again-opinion offset 1 scale 2\nrow again-unrelated", "a row is missing" },
    { "row again-asked offset 1", "row again-asked offset inf", "a row is missing" },
    { "row again-asked offset 1 scale 2", "row again-asked offset 1", "a row is missing" },
    { "row again-asked offset 1 scale 2", "row again-asked offset 1 scale 2 3",
      "a row is missing" },
    { "row again-asked", "row again-asked2", "a row is missing" },
    { "scale 0.5\n\n", "scale 0.5\n", "no empty line" },
    { "scale 0.5\n\n", "scale 0.5\nrow more offset 1 scale 1\n\n", "no empty line" },
    { "scale 0.5\n\n", "scale 0.5", "a row is missing" },
    { "scale 0.5\n\n", "scale 0.5\nunit offset 1 scale 1 mix 1 2\n\n", "its numbers are cut off" },
    { "scale 0.5\n\n", "scale 0.5\nunit offset 1 scale 1 mix 1\n\n", "a hidden unit" },
    { "scale 0.5\n\n", "scale 0.5\nunit offset 1 scale 1 mix 1 2 3\n\n", "a hidden unit" },
    { "scale 0.5\n\n", "scale 0.5\nunit offset 1 scale 1\n\n", "a hidden unit" },
    { "scale 0.5\n\n", "scale 0.5\nunit scale 1 mix 1 2\n\n", "a hidden unit" },
    { "scale 0.5\n\n", "scale 0.5\nunit offset nan scale 1 mix 1 2\n\n", "a hidden unit" },
    { "row again-opinion", "unit offset 1 scale 1 mix 1 2 3\nrow again-opinion",
      "a row is missing" },
};

static size_t file_of(const char *find, const char *with, size_t numbers, char out[2048])
{
    const char *at = strstr(GOOD, find);
    assert_non_null(at);
    int n = snprintf(out, 2048, "%.*s%s%s", (int)(at - GOOD), GOOD, with, at + strlen(find));
    assert_in_range(n, 1, 1500);
    memset(out + n, 1, numbers); /* no text's */
    return (size_t)n + numbers;
}

static void test_broken(void **state)
{
    (void)state;
    char file[2048];
    int failed = 0;
    judge_head *h = NULL;
    s2a_error err;
    assert_int_equal(head_read("f", file, file_of("m", "m", NUMBERS, file), &h, &err), S2A_OK);
    assert_memory_equal(&h->second, &h->thresholds, sizeof h->second); /* no line of it */
    assert_true(h->thresholds.opinion == -2.5 && h->weights_id == 255 && h->scale[4] == 0.5 &&
                h->maps[39] == 257);
    head_free(h);
    for (size_t i = 0; i < sizeof broken / sizeof broken[0]; i++) {
        err.message[0] = '\0';
        s2a_status status = head_read(
            "the file", file, file_of(broken[i].find, broken[i].with, NUMBERS, file), &h, &err);
        if (status == S2A_INPUT && !h && strstr(err.message, broken[i].says) &&
            !strncmp(err.message, "the file: ", 10) &&
            strstr(err.message, "make one with s2a calibrate"))
            continue;
        head_free(h);
        failed++;
        print_error("\"%s\" for \"%s\": %d, \"%s\"\n", broken[i].with, broken[i].find, status,
                    err.message);
    }
    assert_int_equal(failed, 0);
}

/* Cut anywhere, longer by a byte, or with a NUL in its text, it is none. */
static void test_cut(void **state)
{
    (void)state;
    char file[2048];
    judge_head *h = NULL;
    size_t len = file_of("m", "m", NUMBERS + 1, file);
    for (size_t n = 0; n <= len; n++)
        if (n + 1 != len)
            assert_int_equal(head_read("f", file, n, &h, NULL), S2A_INPUT);
    assert_null(h);
    for (size_t i = 0; i + 1 + NUMBERS < len; i++) {
        char was = file[i];
        file[i] = '\0';
        assert_int_equal(head_read("f", file, len - 1, &h, NULL), S2A_INPUT);
        file[i] = was;
    }
}

/* As many layers, and as wide, as there may be. */
static void test_limits(void **state)
{
    (void)state;
    char *file = calloc(1, 1000 + HEAD_ROWS * 2 * 65536 * 2);
    judge_head *h = NULL;
    assert_non_null(file);
    int n = sprintf(file, "s2a-head 1\nmodel m\nweights ff\nwidth 65536\nlayers 1\n%s",
                    strstr(GOOD, "border"));
    assert_int_equal(head_read("f", file, (size_t)n + HEAD_ROWS * 2 * 65536 * 2, &h, NULL), S2A_OK);
    head_free(h);
    n = sprintf(file, "s2a-head 1\nmodel m\nweights ff\nwidth 1\nlayers 0 1 2 10000\n%s",
                strstr(GOOD, "border"));
    assert_int_equal(head_read("f", file, (size_t)n + HEAD_ROWS * 4 * 2 * 2, &h, NULL), S2A_OK);
    assert_true(h->layer_count == HEAD_LAYERS_MAX && h->layers[3] == 10000);
    head_free(h);
    for (size_t units = HEAD_UNITS_MAX; units <= HEAD_UNITS_MAX + 1; units++) {
        n = sprintf(file, "s2a-head 1\nmodel m\nweights ff\nwidth 1\nlayers 0\n%s",
                    strstr(GOOD, "border"));
        n--; /* the empty line */
        for (size_t i = 0; i < units; i++)
            n += sprintf(file + n, "unit offset 1 scale 1 mix 1 2\n");
        file[n++] = '\n';
        bool good = units <= HEAD_UNITS_MAX;
        assert_int_equal(head_read("f", file, (size_t)n + (HEAD_ROWS + units) * 2 * 2, &h, NULL),
                         good ? S2A_OK : S2A_INPUT);
        assert_true(!good ||
                    (h->unit_count[HEAD_APART] == units && h->unit_count[HEAD_AGAIN] == 0));
        head_free(h);
    }
    free(file);
}

/* ---- finding ------------------------------------------------------------------------------ */

static char *file_written(const judge_head *h)
{
    buf bytes = written(h);
    char *path = temporary_file(bytes.data, bytes.len);
    buf_free(&bytes);
    return path;
}

/* The head of a file is that of one model: its weights, its width, its layers. */
static void test_of_model(void **state)
{
    (void)state;
    judge_head made = head_made(3), *h = NULL;
    char *path = file_written(&made);
    static const struct {
        uint64_t weights;
        size_t width;
        uint32_t layers;
        bool good;
    } models[] = {
        { UINT64_C(0xfedcba9876543210), WIDTH, 19, true },
        { UINT64_C(0xfedcba9876543210), WIDTH, 100, true },
        { UINT64_C(0xfedcba9876543210), WIDTH, 18, false }, /* the last layer hands on nothing */
        { UINT64_C(0xfedcba9876543211), WIDTH, 19, false },
        { UINT64_C(0xfedcba9876543210), WIDTH + 1, 19, false },
        { 0, WIDTH, 19, false },
    };
    for (size_t i = 0; i < sizeof models / sizeof models[0]; i++) {
        fake_reader f;
        s2a_error err;
        fake_reader_init(&f, NULL, NULL);
        f.can.weights_id = models[i].weights;
        f.can.hidden_width = models[i].width;
        f.can.layers = models[i].layers;
        assert_int_equal(head_find(&f.base, path, &h, &err), models[i].good ? S2A_OK : S2A_INPUT);
        assert_int_equal(h != NULL, models[i].good);
        if (!h && !strstr(err.message,
                          "the head of another model, A model 1.5B; make one with s2a calibrate"))
            fail_msg("%s", err.message);
        head_free(h);
        /* and no built-in one is that of a model that nobody knows */
        assert_int_equal(head_find(&f.base, NULL, &h, &err), S2A_OK);
        assert_null(h);
        f.can.can_read = false;
        assert_int_equal(head_find(&f.base, path, &h, &err), S2A_OK);
        assert_null(h);
        fake_reader_free(&f);
    }
    unlink(path);
    free(path);
}

static void test_files(void **state)
{
    (void)state;
    fake_reader f;
    fake_reader_init(&f, NULL, NULL);
    f.can.hidden_width = WIDTH;
    judge_head *h = NULL;
    s2a_error err;
    assert_int_equal(head_find(&f.base, "/nonexistent/a.head", &h, &err), S2A_IO);
    assert_non_null(strstr(err.message, "/nonexistent/a.head: No such file"));
    assert_int_equal(head_find(&f.base, "/tmp", &h, &err), S2A_IO);
    char *path = temporary_file("", 0);
    assert_int_equal(head_find(&f.base, path, &h, &err), S2A_INPUT);
    for (size_t over = 0; over < 2; over++) {
        assert_int_equal(truncate(path, (off_t)(LIMIT_HEAD_FILE_BYTES + over)), 0);
        assert_int_equal(head_find(&f.base, path, &h, &err), over ? S2A_LIMIT : S2A_INPUT);
    }
    assert_non_null(strstr(err.message, "longer than the limit"));
    assert_null(h);
    unlink(path);
    free(path);
    fake_reader_free(&f);
}

/* A backend that tells rows by itself needs no numbers: what it tells is what counts. */
static void test_scripted(void **state)
{
    (void)state;
    fake_reader f;
    fake_reader_init(&f, NULL, NULL);
    judge_head *h = NULL;
    assert_int_equal(head_find(&f.base, NULL, &h, NULL), S2A_OK);
    double told[3] = { 1.5, -2, 0 };
    assert_true(head_odds(h, HEAD_AGAIN, told, told) && told[0] == 1.5 && told[1] == -2 &&
                told[2] == 0);
    assert_true(h->thresholds.automatic == 0 && h->thresholds.untrusted == 0 &&
                !head_of_form(h, HEAD_APART).rows);
    head_free(h);
    fake_reader_free(&f);
}

/* Those that come with the library can be read, each is of a model of its own, and is found
 * for it. */
static void test_builtin(void **state)
{
    (void)state;
    assert_true(heads_builtin_count > 0);
    for (size_t i = 0; i < heads_builtin_count; i++) {
        judge_head *h = NULL, *found = NULL;
        s2a_error err;
        if (head_read(heads_builtin[i].name, heads_builtin[i].data, *heads_builtin[i].len, &h,
                      &err) != S2A_OK)
            fail_msg("%s", err.message);
        fake_reader f;
        fake_reader_init(&f, NULL, NULL);
        f.can.hidden_width = h->width;
        f.can.weights_id = h->weights_id;
        f.can.layers = h->layers[h->layer_count - 1] + 2;
        assert_int_equal(head_find(&f.base, NULL, &found, NULL), S2A_OK);
        assert_true(found && found->id == h->id);
        assert_true(h->thresholds.automatic < 0 && h->thresholds.untrusted < 0 && h->model[0] &&
                    h->second.automatic > h->thresholds.automatic && h->second.automatic <= 0 &&
                    h->second.relevance == h->thresholds.relevance && h->weights_id != 0);
        for (size_t r = 0; r < HEAD_ROWS; r++)
            assert_true(h->scale[r] > 0);
        head_free(found);
        head_free(h);
        fake_reader_free(&f);
    }
}

/* ---- using -------------------------------------------------------------------------------- */

/* Each form has its own rows, one behind the other. */
static void test_forms(void **state)
{
    (void)state;
    judge_head h = head_made(5);
    h.id = 9;
    assert_int_equal(head_row_count(HEAD_AGAIN) + head_row_count(HEAD_APART), HEAD_ROWS);
    backend_head again = head_of_form(&h, HEAD_AGAIN), apart = head_of_form(&h, HEAD_APART);
    assert_true(again.rows == maps && again.row_count == 5 && again.id == 9 &&
                again.layers == h.layers);
    assert_true(apart.rows == maps + 5 * ROW && apart.row_count == 3 &&
                apart.layer_count == LAYERS);
    double told[3] = { 1, 2, 3 }, odds[3] = { 0, 0, 7 };
    const head_unit *u = &h.units[HEAD_APART][0];
    double z = u->offset + 3 * u->scale, out = z / (1 + exp(-z));
    assert_true(head_odds(&h, HEAD_APART, told, odds));
    assert_true(fabs(odds[0] - (h.offset[HEAD_ROW_SUPPORT] + h.scale[HEAD_ROW_SUPPORT] +
                                u->mix[0] * out)) < 1e-12);
    assert_true(fabs(odds[1] - (h.offset[HEAD_ROW_ORDER] + 2 * h.scale[HEAD_ROW_ORDER] +
                                u->mix[1] * out)) < 1e-12);
    assert_true(odds[2] == 7 && told[2] == 3);
    double large[5] = { 0, 0, 0, -1e300, 1e6 }; /* a hidden unit that is far below 0 tells nothing
                                                 */
    assert_true(head_odds(&h, HEAD_AGAIN, large, odds));
    assert_true(fabs(odds[0] - h.offset[0] - h.units[HEAD_AGAIN][1].mix[0] * 1e6) < 1e-3);
    static const double none[] = { NAN, INFINITY, -INFINITY };
    for (size_t i = 0; i < 3; i++)
        for (size_t k = 0; k < 5; k++) {
            double odd[5] = { 0 };
            odd[k] = none[i];
            assert_false(head_odds(&h, HEAD_AGAIN, odd, odd));
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round),   cmocka_unit_test(test_again),
        cmocka_unit_test(test_names),   cmocka_unit_test(test_comma),
        cmocka_unit_test(test_broken),  cmocka_unit_test(test_cut),
        cmocka_unit_test(test_limits),  cmocka_unit_test(test_of_model),
        cmocka_unit_test(test_files),   cmocka_unit_test(test_scripted),
        cmocka_unit_test(test_builtin), cmocka_unit_test(test_forms),
    };
    return cmocka_run_group_tests_name("head", tests, NULL, NULL);
}
