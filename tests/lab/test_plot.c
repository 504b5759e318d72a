/* Plots: ticks and ranges by value, SVG as XML, PNG at twice the size, every kind with missing
 * values, and files that cannot be written. What they look like is for eyes. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "eval/plot.h"
#include "eval/plot_scale.h"
#include "xml_check.h"

static const char *const names[] = { "plain",         "oracle",         "instructed",
                                     "cot",           "rewrite",        "single",
                                     "keep-original", "not-instructed", "select" };

#define ARMS 9
#define GROUPS 5
static plot_point points[ARMS][GROUPS];
static plot_series series[ARMS];

/* Bars of arms by groups; one value is missing. */
static plot_spec bars(size_t arms, size_t groups)
{
    for (size_t a = 0; a < arms; a++) {
        for (size_t g = 0; g < groups; g++) {
            double y = 0.1 + 0.05 * (double)a + 0.07 * (double)g;
            points[a][g] = (plot_point){ (double)g, y, y - 0.05, y + 0.05 };
        }
        series[a] = (plot_series){ names[a], points[a], groups };
    }
    points[arms - 1][groups - 1] = (plot_point){ (double)groups - 1, NAN, NAN, NAN };
    return (plot_spec){ .kind = PLOT_BARS,
                        .title = "Accuracy",
                        .y_label = "accuracy",
                        .categories = names,
                        .category_count = groups,
                        .series = series,
                        .series_count = arms,
                        .y_min = NAN,
                        .y_max = NAN,
                        .percent = true,
                        .reference = NAN };
}

static void check_near(double got, double want, double most)
{
    if (!(fabs(got - want) <= most))
        fail_msg("%.17g is not %.17g", got, want);
}

static char *svg(const plot_spec *spec, size_t *len)
{
    char *text;
    s2a_error err;
    if (plot_svg(spec, &text, len, &err) != S2A_OK)
        fail_msg("plot_svg: %s", err.message);
    return text;
}

/* The number in the root's attribute, such as ` width="560px"`. Not inlined: gcc 12 at -O3 would
 * then take what strstr gives for a pointer to a variable of svg(). */
__attribute__((noinline)) static double attribute(const char *text, const char *name)
{
    const char *at = strstr(text, name);
    assert_non_null(at);
    return strtod(at + strlen(name), NULL);
}

static double svg_size(const plot_spec *spec, const char *name)
{
    size_t len;
    char *text = svg(spec, &len);
    xml_check(text, len, "svg");
    double size = attribute(text, name);
    free(text);
    return size;
}

static void test_y_scale(void **state)
{
    (void)state;
    plot_spec spec = bars(3, 2);
    plot_scale y;
    plot_scale_y(&spec, &y); /* values to 0.22, an interval to 0.27; 0 belongs to bars */
    check_near(y.low, 0, 1e-12);
    check_near(y.high, 0.3, 1e-12);
    assert_int_equal(y.count, 4);
    check_near(y.ticks[1], 0.1, 1e-12);
    assert_int_equal(y.decimals, 0); /* 10 % */
    spec.percent = false;
    plot_scale_y(&spec, &y);
    assert_int_equal(y.decimals, 1);
    spec.y_max = 1;
    plot_scale_y(&spec, &y);
    check_near(y.high, 1, 1e-12);
    check_near(y.ticks[y.count - 1], 1, 1e-12);
    spec.y_max = NAN;
    spec.reference = -0.05;
    plot_scale_y(&spec, &y);
    assert_true(y.low <= -0.05);
    spec.series_count = 0;
    spec.reference = NAN;
    plot_scale_y(&spec, &y);
    assert_true(y.high > y.low && isfinite(y.high) && isfinite(y.low));
    plot_point same[2] = { { 0, 7, NAN, NAN }, { 1, 7, NAN, NAN } };
    plot_series flat = { "flat", same, 2 };
    spec = (plot_spec){ .kind = PLOT_LINES,
                        .series = &flat,
                        .series_count = 1,
                        .y_min = NAN,
                        .y_max = NAN,
                        .reference = NAN };
    plot_scale_y(&spec, &y);
    assert_true(y.low <= 7 && y.high >= 7 && y.high > y.low);
    assert_true(y.count >= 2);
}

static void test_x_scale(void **state)
{
    (void)state;
    plot_point a[4] = {
        { 8, 1, NAN, NAN }, { 2, 1, NAN, NAN }, { 1, 1, NAN, NAN }, { 16, NAN, NAN, NAN }
    };
    plot_point b[2] = { { 4, 1, NAN, NAN }, { 0, 1, NAN, NAN } };
    plot_series lines[2] = { { "a", a, 4 }, { "b", b, 2 } };
    plot_spec spec = { .kind = PLOT_LINES,
                       .series = lines,
                       .series_count = 2,
                       .y_min = NAN,
                       .y_max = NAN,
                       .reference = NAN,
                       .x_log = true };
    plot_scale x;
    plot_scale_x(&spec, &x); /* 16 has no value, and 0 has no logarithm */
    assert_int_equal(x.count, 4);
    for (int i = 0; i < 4; i++)
        check_near(x.ticks[i], 1 << i, 1e-12);
    assert_int_equal(x.decimals, 0);
    spec.x_log = false;
    plot_scale_x(&spec, &x);
    assert_int_equal(x.count, 5);
    check_near(x.low, 0, 1e-12);
    a[0].x = 0.25;
    plot_scale_x(&spec, &x);
    assert_int_equal(x.decimals, 2);
    spec.kind = PLOT_CURVES;
    plot_scale_x(&spec, &x);
    check_near(x.low, 0, 1e-12);
    check_near(x.high, 1, 1e-12);
    plot_point many[40];
    for (int i = 0; i < 40; i++)
        many[i] = (plot_point){ i + 1, 1, NAN, NAN };
    plot_series long_line = { "many", many, 40 };
    spec = (plot_spec){ .kind = PLOT_LINES,
                        .series = &long_line,
                        .series_count = 1,
                        .x_log = true,
                        .y_min = NAN,
                        .y_max = NAN,
                        .reference = NAN };
    plot_scale_x(&spec, &x); /* too many to name each: powers of two */
    assert_int_equal(x.count, 6);
    check_near(x.ticks[5], 32, 1e-12);
}

static void test_svg_is_xml(void **state)
{
    (void)state;
    plot_spec spec = bars(ARMS, GROUPS);
    size_t len;
    spec.title = "<script>\"a\" & 'b'\xFF\x01</script>";
    spec.subtitle = "]]> \xC3";
    char *text = svg(&spec, &len);
    assert_int_equal(xml_check(text, len, "script"), 0);
    assert_int_equal(xml_check(text, len, "title"), 1);
    assert_non_null(strstr(text, "<title>&lt;script&gt;&quot;a&quot; &amp; &#39;b&#39;\xEF\xBF\xBD"
                                 "\xEF\xBF\xBD&lt;/script&gt;</title>"));
    free(text);
}

static void test_sizes(void **state)
{
    (void)state;
    plot_spec one = bars(1, 3);
    double height = svg_size(&one, " height=\"");
    plot_spec many = bars(ARMS, GROUPS);
    assert_true(svg_size(&many, " height=\"") > height); /* the legend has room of its own */
    double width = svg_size(&many, " width=\"");
    assert_true(width > 800 && width < 1100);
    /* Names that do not fit are turned and take more room below. */
    const char *const long_names[] = { "Donaudampfschifffahrtsgesellschaftskapitaen",
                                       "Donaudampfschifffahrtsgesellschaft", "x", "y", "z" };
    one = bars(1, GROUPS);
    height = svg_size(&one, " height=\"");
    one.categories = long_names;
    assert_true(svg_size(&one, " height=\"") > height + 40);
    /* A long title wraps; it does not widen the plot or leave it. */
    one = bars(1, 3);
    width = svg_size(&one, " width=\"");
    height = svg_size(&one, " height=\"");
    one.title = "A title of so many words that no plot is wide enough to hold all of them on one "
                "single line, and so it goes on for another line or two";
    check_near(svg_size(&one, " width=\""), width, 0.5);
    assert_true(svg_size(&one, " height=\"") > height + 15);
}

static void test_every_kind(void **state)
{
    (void)state;
    plot_spec spec = bars(4, 4);
    points[1][2].y = NAN;
    for (int kind = PLOT_BARS; kind <= PLOT_CURVES; kind++) {
        spec.kind = (plot_kind)kind;
        spec.reference = kind == PLOT_CURVES ? NAN : 0.3;
        spec.reference_label = "plain 30 %";
        assert_true(svg_size(&spec, " width=\"") >= 500);
    }
    plot_spec none = {
        .kind = PLOT_BARS, .title = "", .y_min = NAN, .y_max = NAN, .reference = NAN
    };
    for (int kind = PLOT_BARS; kind <= PLOT_CURVES; kind++) {
        none.kind = (plot_kind)kind;
        assert_true(svg_size(&none, " width=\"") >= 500);
    }
    /* Of curves a lone point has a marker, with its interval. */
    plot_point alone = { 0.5, 0.5, NAN, NAN }, sure = { 0.5, 0.5, 0.4, 0.6 };
    plot_series lone = { "here", &alone, 0 };
    plot_spec curve = { .kind = PLOT_CURVES,
                        .title = "",
                        .y_min = 0,
                        .y_max = 1,
                        .reference = NAN,
                        .series = &lone,
                        .series_count = 1 };
    size_t empty = 0, marked = 0, whiskered = 0;
    free(svg(&curve, &empty));
    lone.count = 1;
    free(svg(&curve, &marked));
    lone.points = &sure;
    free(svg(&curve, &whiskered));
    assert_true(empty != marked && marked + 50 < whiskered);
    /* Points off the categories are not drawn anywhere. */
    plot_spec off = bars(1, 2);
    points[0][0].x = 7;
    points[0][1].x = -3;
    svg_size(&off, " width=\"");
    points[0][0].x = NAN;
    svg_size(&off, " width=\"");
}

/* A missing value is said in words, which are longer than the number above a bar. */
static void test_missing_bar(void **state)
{
    (void)state;
    plot_spec spec = bars(2, 2);
    size_t len;
    char *text = svg(&spec, &len);
    size_t missing = xml_check(text, len, "use"); /* one for each glyph */
    free(text);
    points[1][1] = (plot_point){ 1, 0.2, NAN, NAN };
    text = svg(&spec, &len);
    assert_true(xml_check(text, len, "use") < missing);
    free(text);
}

/* ---- files ------------------------------------------------------------------------------ */

static char *directory;

static int make_directory(void **state)
{
    (void)state;
    static char path[] = "/tmp/s2a-test-plot-XXXXXX";
    directory = mkdtemp(path);
    return directory ? 0 : -1;
}

static int remove_directory(void **state)
{
    (void)state;
    return rmdir(directory); /* also a test: nothing may be left */
}

static void test_png(void **state)
{
    (void)state;
    plot_spec spec = bars(2, 3);
    char path[64];
    snprintf(path, sizeof path, "%s/a.png", directory);
    s2a_error err;
    assert_int_equal(plot_write_png(&spec, path, &err), S2A_OK);
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    unsigned char head[24];
    assert_int_equal(fread(head, 1, sizeof head, file), sizeof head);
    fclose(file);
    assert_memory_equal(head, "\x89PNG\r\n\x1A\n", 8);
    uint32_t width =
        (uint32_t)head[16] << 24 | (uint32_t)head[17] << 16 | (uint32_t)head[18] << 8 | head[19];
    check_near(width, 2 * svg_size(&spec, " width=\""), 0.1);
    unlink(path);
}

static void test_write_failures(void **state)
{
    (void)state;
    plot_spec spec = bars(2, 3);
    char path[64];
    s2a_error err;
    snprintf(path, sizeof path, "%s/none/a.svg", directory);
    assert_int_equal(plot_write_svg(&spec, path, &err), S2A_IO);
    assert_non_null(strstr(err.message, "a.svg"));
    assert_int_equal(plot_write_png(&spec, path, &err), S2A_IO);
    snprintf(path, sizeof path, "%s/a.svg", directory);
    assert_int_equal(mkdir(path, 0700), 0); /* a directory in the way: the rename fails */
    assert_int_equal(plot_write_svg(&spec, path, &err), S2A_IO);
    assert_int_equal(plot_write_png(&spec, path, NULL), S2A_IO);
    assert_int_equal(rmdir(path), 0);
    assert_int_equal(plot_write_svg(&spec, path, &err), S2A_OK);
    assert_int_equal(unlink(path), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_y_scale),    cmocka_unit_test(test_x_scale),
        cmocka_unit_test(test_svg_is_xml), cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_every_kind), cmocka_unit_test(test_missing_bar),
        cmocka_unit_test(test_png),        cmocka_unit_test(test_write_failures),
    };
    return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
