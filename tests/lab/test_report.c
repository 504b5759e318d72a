/* The report: escaping of hostile texts in every format, CSV and JSON read back, empty cells, the
 * cut, and old files that survive a failed write. */
#include <dirent.h>
#include <math.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>
#include <jansson.h>

#include "base/outfile.h"
#include "eval/report.h"
#include "eval/report_parts.h"
#include "eval/text.h"

#define HEAD "Who wrote \"it\"? \xF0\x9F\x98\x80 </script><script>alert(1)</script> \xFF "
#define OPINION "I think, <b>O'Brien</b> & S\xC3\xB6hne. "
#define TAIL "It is\nfrom 1855.<!-- "
#define X HEAD OPINION TAIL
#define FFFD "\xEF\xBF\xBD"

/* ---- a run ------------------------------------------------------------------------------ */

static char *copy(const char *text)
{
    char *made = strdup(text);
    assert_non_null(made);
    return made;
}

static void *zeroed(size_t count, size_t size)
{
    void *made = calloc(count, size);
    assert_non_null(made);
    return made;
}

static void fill_item(eval_item *item, size_t index)
{
    char id[64];
    snprintf(id, sizeof id, "i,%zu\"'\n<i>", index);
    *item = (eval_item){ .id = copy(id),
                         .group = copy(index % 2 ? "odd, <g>" : "even"),
                         .x = copy(X),
                         .oracle = copy(HEAD TAIL),
                         .alias_count = 2,
                         .wrong = copy("O'Brien </script>"),
                         .piece_count = 3 };
    item->aliases = zeroed(2, sizeof *item->aliases);
    item->aliases[0] = copy("Robert \"B\" <Browning>");
    item->aliases[1] = copy("Browning\x01");
    item->pieces = zeroed(3, sizeof *item->pieces);
    item->pieces[0] = (eval_piece){ 0, strlen(HEAD), EVAL_NEEDED };
    item->pieces[1] = (eval_piece){ strlen(HEAD), strlen(HEAD OPINION), EVAL_DISTRACTOR };
    item->pieces[2] = (eval_piece){ strlen(HEAD OPINION), strlen(X), EVAL_NEEDED };
}

static void fill_record(eval_record *record, const eval_item *item, const char *arm, bool step1,
                        bool correct)
{
    *record = (eval_record){ .item = copy(item->id),
                             .arm = copy(arm),
                             .seed = 7,
                             .answer = copy("</script><img src=x onerror=alert(2)>\xFE"),
                             .correct = correct,
                             .follows_wrong = !correct,
                             .distractors = 1,
                             .needed = 2,
                             .unchanged = !step1 };
    record->step2 = (s2a_usage){ .prompt_tokens = 30, .completion_tokens = 5, .ms = 12.5 };
    record->rewritten = copy(step1 ? HEAD TAIL : X);
    if (!step1)
        return;
    record->distractors_removed = 1;
    record->step1 = (s2a_usage){ .prompt_tokens = 40, .completion_tokens = 20, .ms = 100 };
    record->removed = zeroed(1, sizeof *record->removed);
    record->removed[0] = (s2a_span){ strlen(HEAD), strlen(HEAD OPINION) };
    record->removed_count = 1;
}

/* Arms plain and rewrite<1> on count items. There is no oracle: gap closed is NaN everywhere. */
static eval_run make_run(const char *task, size_t count)
{
    eval_run run = { .task = copy(task),
                     .model = copy("m/../<odd> \"name\""),
                     .model_hash = copy("abc"),
                     .prompts_hash = copy("def"),
                     .version = copy("1.2.3"),
                     .data_name = copy("a,b.jsonl"),
                     .temperature = 0.6,
                     .top_p = 0.9,
                     .max_tokens = 64,
                     .item_count = count,
                     .arm_count = 2 };
    run.items = zeroed(count + 1, sizeof *run.items);
    run.records = zeroed(2 * count + 1, sizeof *run.records);
    run.arms = zeroed(2, sizeof *run.arms);
    run.arms[0] = copy("plain");
    run.arms[1] = copy("rewrite<1>");
    for (size_t i = 0; i < count; i++) {
        fill_item(&run.items[i], i);
        fill_record(&run.records[run.record_count++], &run.items[i], "plain", false, i % 4 == 0);
        fill_record(&run.records[run.record_count++], &run.items[i], "rewrite<1>", true, true);
        if (i == 1)
            run.records[run.record_count - 1].fallback = copy("new_number");
    }
    return run;
}

/* ---- files ------------------------------------------------------------------------------ */

static char directory[64];

static void path_of(char out[256], const char *name)
{
    snprintf(out, 256, "%s/%s", directory, name);
}

static char *read_file(const char *name)
{
    char path[256];
    path_of(path, name);
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    assert_int_equal(fseek(file, 0, SEEK_END), 0);
    long len = ftell(file);
    assert_true(len >= 0);
    rewind(file);
    char *text = zeroed((size_t)len + 1, 1);
    assert_int_equal(fread(text, 1, (size_t)len, file), (size_t)len);
    fclose(file);
    return text;
}

static void write_file(const char *name, const char *text)
{
    char path[256];
    path_of(path, name);
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static size_t count_files(const char *part)
{
    DIR *dir = opendir(directory);
    assert_non_null(dir);
    size_t count = 0;
    for (struct dirent *entry; (entry = readdir(dir));)
        count += strstr(entry->d_name, part) != NULL;
    closedir(dir);
    return count;
}

static int make_directory(void **state)
{
    (void)state;
    snprintf(directory, sizeof directory, "/tmp/s2a-test-report-XXXXXX");
    return mkdtemp(directory) ? 0 : -1;
}

static int remove_directory(void **state)
{
    (void)state;
    DIR *dir = opendir(directory);
    if (!dir)
        return 0;
    for (struct dirent *entry; (entry = readdir(dir));) {
        char path[512];
        snprintf(path, sizeof path, "%s/%s", directory, entry->d_name);
        if (entry->d_name[0] != '.' && unlink(path) != 0)
            rmdir(path);
    }
    closedir(dir);
    return rmdir(directory);
}

static void write_report(const eval_run *runs, size_t count)
{
    s2a_error err;
    if (report_write(runs, count, "s2a eval <qa> --model \"x\" && echo", directory, &err) != S2A_OK)
        fail_msg("report_write: %s", err.message);
}

/* ---- reading back ----------------------------------------------------------------------- */

static size_t count_of(const char *text, const char *part)
{
    size_t count = 0;
    for (const char *at = text; (at = strstr(at, part)); at += strlen(part))
        count++;
    return count;
}

/* One field of RFC 4180 from *at, unquoted; true when a row ends after it. */
static bool next_field(const char **at, char out[512])
{
    size_t n = 0;
    const char *p = *at;
    bool quoted = *p == '"';
    p += quoted;
    for (; *p && (quoted || !strchr(",\n", *p)); p++) {
        if (quoted && *p == '"' && *++p != '"')
            break;
        assert_true(quoted || *p != '"');
        assert_true(n < 511);
        out[n++] = *p;
    }
    out[n] = '\0';
    assert_true(*p == ',' || *p == '\n');
    *at = p + 1;
    return *p == '\n';
}

/* The fields of row number row (0: the names); how many there are. */
static size_t read_row(const char *text, size_t row, char out[64][512])
{
    size_t count = 0;
    for (size_t i = 0; i <= row; i++)
        for (count = 0; !next_field(&text, out[count++]);)
            assert_true(count < 63);
    return count;
}

static const char *field(char names[64][512], size_t count, char row[64][512], const char *name)
{
    for (size_t i = 0; i < count; i++)
        if (!strcmp(names[i], name))
            return row[i];
    fail_msg("no column %s", name);
    return NULL;
}

static json_t *items_of(const char *html)
{
    const char *start = strstr(html, "id=\"items-data\">");
    assert_non_null(start);
    start += strlen("id=\"items-data\">");
    const char *end = strstr(start, "</script>");
    assert_non_null(end);
    json_error_t error;
    json_t *data = json_loadb(start, (size_t)(end - start), 0, &error);
    if (!data)
        fail_msg("items: %s at %d", error.text, error.position);
    return data;
}

/* ---- tests ------------------------------------------------------------------------------ */

static void check_add(void (*add)(buf *, const char *), const char *text, const char *want)
{
    buf out;
    buf_init(&out, SIZE_MAX / 2);
    buf_add(&out, "", 0);
    add(&out, text);
    assert_int_equal(out.status, S2A_OK);
    assert_string_equal(out.data, want);
    buf_free(&out);
}

static void test_escapes(void **state)
{
    (void)state;
    check_add(text_add_html, "<a href=\"x\">'&'</a>",
              "&lt;a href=&quot;x&quot;&gt;&#39;&amp;&#39;&lt;/a&gt;");
    check_add(text_add_html, "\xC3\xB6\x80\n", "\xC3\xB6" FFFD "\n");
    check_add(text_add_html, NULL, "");
    check_add(text_add_json, "</script>&\"\\\n\t\r\x01",
              "\"\\u003c/script\\u003e\\u0026\\\"\\\\\\n\\t\\r" FFFD "\"");
    check_add(text_add_json, "\xED\xA0\x80", "\"" FFFD FFFD FFFD "\""); /* a surrogate */
    check_add(text_add_json, "\xF0\x9F\x98", "\"" FFFD FFFD FFFD "\""); /* cut */
    check_add(text_add_csv, "plain text", "plain text");
    check_add(text_add_csv, "a,b", "\"a,b\"");
    check_add(text_add_csv, "say \"hi\"", "\"say \"\"hi\"\"\"");
    check_add(text_add_csv, "two\nlines", "\"two\nlines\"");
    check_add(text_add_csv, "=cmd|' /C calc'!A0", "'=cmd|' /C calc'!A0");
    check_add(text_add_csv, "+1", "'+1");
    check_add(text_add_csv, "-1,2", "\"'-1,2\"");
    check_add(text_add_csv, "@SUM(A1)", "'@SUM(A1)");
    check_add(text_add_csv, "\t=1", "\"'\t=1\"");
    check_add(text_add_csv, "\uff1d1", "'\uff1d1");
    check_add(text_add_csv, "a=1", "a=1");
    check_add(text_add_csv, " led", "\" led\"");
    check_add(text_add_csv, "", "");
    check_add(text_add_markdown, "a|b\n`*_[<", "a\\|b \\`\\*\\_\\[&lt;");
    check_add(text_add_slug, "../A b.gguf", "..-A-b.gguf");
    char label[8];
    text_label(label, sizeof label, "  a\n\tb \xC3\xB6\xC3\xB6");
    assert_string_equal(label, "a b \xC3\xB6"); /* the next character does not fit whole */
    buf out;
    buf_init(&out, 100);
    text_add_base64(&out, "Man", 3);
    text_add_base64(&out, "Ma", 2);
    text_add_base64(&out, "\xFF", 1);
    assert_string_equal(out.data, "TWFuTWE=/w==");
    buf_free(&out);
}

static void test_utf16(void **state)
{
    (void)state;
    text_utf16 at;
    text_utf16_init(&at, "a\xC3\xB6\xF0\x9F\x98\x80\xFFz");
    assert_int_equal(text_utf16_offset(&at, 1), 1);
    assert_int_equal(text_utf16_offset(&at, 3), 2);
    assert_int_equal(text_utf16_offset(&at, 7), 4); /* a pair of surrogates */
    assert_int_equal(text_utf16_offset(&at, 8), 5);
    assert_int_equal(text_utf16_offset(&at, 99), 6);
    assert_int_equal(text_utf16_offset(&at, 5), 2); /* within the character: its start */
}

static void test_page(void **state)
{
    (void)state;
    eval_run run = make_run("qa", 4);
    write_report(&run, 1);
    char *html = read_file("index.html");
    /* Of scripts there are our own two; of hostile markup nothing. */
    assert_int_equal(count_of(html, "<script"), 2);
    assert_int_equal(count_of(html, "</script"), 2);
    assert_int_equal(count_of(html, "alert(1)</"), 0);
    assert_int_equal(count_of(html, "<img src=x"), 0);
    assert_int_equal(count_of(html, "<b>O"), 0);
    assert_int_equal(count_of(html, "<!--"), 0);
    assert_int_equal(count_of(html, "rewrite<1>"), 0);
    assert_true(count_of(html, "rewrite&lt;1&gt;") > 0);
    assert_true(count_of(html, "odd, &lt;g&gt;") > 0);
    assert_non_null(strstr(html, "s2a eval &lt;qa&gt; --model &quot;x&quot; &amp;&amp; echo"));
    /* Nothing is asked of any other place. */
    assert_null(strstr(html, "http:"));
    assert_null(strstr(html, "https:"));
    assert_null(strstr(html, "@import"));
    assert_null(strstr(html, "url("));
    assert_null(strstr(html, "<link"));
    assert_int_equal(count_of(html, "src=\""), count_of(html, "src=\"data:"));
    assert_int_equal(count_of(html, "<table>"), count_of(html, "<caption>"));
    assert_int_equal(count_of(html, "<figure>"), 4); /* accuracy, by group, tokens, ms */
    /* The paper's figures, and what is not defined. */
    assert_non_null(strstr(html, "<td>80.3 %</td>"));
    assert_non_null(strstr(html, "2311.11829"));
    assert_non_null(strstr(html, "<td>–</td>"));
    assert_null(strstr(html, "<p class=\"cut\">"));
    assert_null(strstr(html, ">gap closed</th>")); /* no oracle: no such column */
    assert_non_null(strstr(html, ">accuracy</th>"));
    assert_non_null(strstr(html, "<code>new_number</code>"));
    free(html);
    eval_run_free(&run);
}

static void test_items_in_page(void **state)
{
    (void)state;
    eval_run run = make_run("qa", 3);
    write_report(&run, 1);
    char *html = read_file("index.html");
    json_t *data = items_of(html);
    json_t *shown = json_array_get(json_object_get(data, "runs"), 0);
    json_t *items = json_object_get(shown, "items");
    assert_int_equal(json_array_size(items), 3);
    json_t *item = json_array_get(items, 0);
    const char *x = json_string_value(json_object_get(item, "x"));
    assert_non_null(x);
    assert_non_null(strstr(x, "</script><script>alert(1)</script> " FFFD " I think"));
    assert_string_equal(json_string_value(json_object_get(item, "id")), "i,0\"'\n<i>");
    assert_string_equal(json_string_value(json_array_get(json_object_get(item, "aliases"), 1)),
                        "Browning" FFFD);
    /* In UTF-16 the emoji has 2 units for its 4 bytes, and the o with dots 1 for its 2. */
    size_t start = strlen(HEAD) - 2, end = start + strlen(OPINION) - 1;
    json_t *span = json_array_get(json_object_get(item, "distractors"), 0);
    assert_int_equal(json_array_size(json_object_get(item, "distractors")), 1);
    assert_int_equal(json_integer_value(json_array_get(span, 0)), start);
    assert_int_equal(json_integer_value(json_array_get(span, 1)), end);
    json_t *records = json_object_get(item, "records");
    assert_int_equal(json_array_size(records), 2);
    json_t *plain = json_array_get(records, 0), *rewrite = json_array_get(records, 1);
    assert_true(json_is_null(json_object_get(plain, "rewritten"))); /* as x */
    assert_true(json_is_true(json_object_get(plain, "correct")));
    assert_int_equal(json_array_size(json_object_get(plain, "removed")), 0);
    assert_int_equal(json_integer_value(json_object_get(rewrite, "arm")), 1);
    assert_true(json_equal(json_array_get(json_object_get(rewrite, "removed"), 0), span));
    assert_non_null(strstr(json_string_value(json_object_get(rewrite, "answer")), "onerror"));
    json_t *second = json_array_get(json_object_get(json_array_get(items, 1), "records"), 1);
    assert_string_equal(json_string_value(json_object_get(second, "fallback")), "new_number");
    json_decref(data);
    free(html);
    eval_run_free(&run);
}

static void test_summary_csv(void **state)
{
    (void)state;
    eval_run run = make_run("qa", 4);
    write_report(&run, 1);
    static char names[64][512], row[64][512];
    char *text = read_file("summary.csv");
    size_t count = read_row(text, 0, names);
    for (size_t i = 0; i < 6; i++) /* two arms; all items and two groups */
        assert_int_equal(read_row(text, i + 1, row), count);
    read_row(text, 1, row);
    assert_string_equal(field(names, count, row, "model"), "m/../<odd> \"name\"");
    assert_string_equal(field(names, count, row, "data"), "a,b.jsonl");
    assert_string_equal(field(names, count, row, "arm"), "plain");
    assert_string_equal(field(names, count, row, "group"), "");
    assert_string_equal(field(names, count, row, "n"), "4");
    assert_string_equal(field(names, count, row, "accuracy"), "0.25");
    assert_string_equal(field(names, count, row, "gap_closed"), ""); /* NaN */
    assert_string_equal(field(names, count, row, "gap_low"), "");
    assert_string_equal(field(names, count, row, "objectivity"), "");
    assert_string_equal(field(names, count, row, "quality_high"), "");
    assert_string_equal(field(names, count, row, "temperature"), "0.6");
    assert_string_equal(field(names, count, row, "version"), "1.2.3");
    read_row(text, 2, row);
    assert_string_equal(field(names, count, row, "arm"), "rewrite<1>");
    assert_string_equal(field(names, count, row, "removal_recall"), "1");
    assert_string_equal(field(names, count, row, "step1_tokens"), "60");
    assert_string_equal(field(names, count, row, "step1_ms"), "100");
    assert_string_equal(field(names, count, row, "fallbacks"), "1");
    read_row(text, 6, row);
    assert_string_equal(field(names, count, row, "group"), "odd, <g>");
    assert_null(strstr(text, "nan"));
    assert_null(strstr(text, "inf"));
    free(text);
    eval_run_free(&run);
}

static void test_items_csv(void **state)
{
    (void)state;
    eval_run run = make_run("qa", 2);
    free(run.items[1].wrong);
    run.items[1].wrong = NULL;
    run.records[3].judged = true;
    run.records[3].sentiment = -2;
    run.records[3].quality = 4;
    write_report(&run, 1);
    static char names[64][512], row[64][512];
    char *text = read_file("items.csv");
    size_t count = read_row(text, 0, names);
    assert_int_equal(read_row(text, 1, row), count);
    assert_string_equal(field(names, count, row, "item"), "i,0\"'\n<i>");
    assert_string_equal(field(names, count, row, "seed"), "7");
    assert_string_equal(field(names, count, row, "correct"), "1");
    assert_string_equal(field(names, count, row, "follows_wrong"), "0");
    assert_string_equal(field(names, count, row, "fallback"), "");
    assert_string_equal(field(names, count, row, "step2_prompt_tokens"), "30");
    assert_string_equal(field(names, count, row, "step2_ms"), "12.5");
    assert_string_equal(field(names, count, row, "quality"), "");
    assert_int_equal(read_row(text, 4, row), count);
    assert_string_equal(field(names, count, row, "group"), "odd, <g>");
    assert_string_equal(field(names, count, row, "arm"), "rewrite<1>");
    assert_string_equal(field(names, count, row, "follows_wrong"), ""); /* nothing to follow */
    assert_string_equal(field(names, count, row, "fallback"), "new_number");
    assert_string_equal(field(names, count, row, "distractors_removed"), "1");
    assert_string_equal(field(names, count, row, "sentiment"), "-2");
    free(text);
    char *markdown = read_file("summary.md");
    assert_non_null(strstr(markdown, "| rewrite&lt;1&gt; |"));
    assert_null(strstr(markdown, "<odd>"));
    free(markdown);
    eval_run_free(&run);
}

/* Maths: the plots over k. Arguments: no accuracy, but objectivity; another table of the paper. */
static void test_tasks(void **state)
{
    (void)state;
    eval_run runs[2] = { make_run("math", 8), make_run("argument", 4) };
    for (size_t i = 0; i < 8; i++) {
        eval_item *item = &runs[0].items[i];
        item->k = i < 4 ? 1 : 4;
        free(item->group);
        item->group = copy(i < 4 ? (i % 2 ? "k=1 in-topic" : "k=1 off-topic")
                                 : (i % 2 ? "k=4 in-topic" : "k=4 off-topic"));
    }
    for (size_t i = 0; i < 4; i++) {
        eval_item *item = &runs[1].items[i];
        free(item->aliases[0]);
        free(item->aliases[1]);
        item->alias_count = 0;
    }
    for (size_t i = 0; i < runs[1].record_count; i++) {
        runs[1].records[i].judged = true;
        runs[1].records[i].sentiment = i % 2 ? 1 : -4;
        runs[1].records[i].quality = 4;
        runs[1].records[i].correct = false;
    }
    write_report(runs, 2);
    static const char *const files[] = {
        "math-m-..--odd---name--accuracy.svg",    "math-m-..--odd---name--distractors.png",
        "math-m-..--odd---name--k-in-topic.svg",  "math-m-..--odd---name--k-off-topic.png",
        "math-m-..--odd---name--tokens.svg",      "math-m-..--odd---name--ms.png",
        "argument-m-..--odd---name--quality.svg", "argument-m-..--odd---name--objectivity.png"
    };
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        char path[256];
        path_of(path, files[i]);
        if (access(path, R_OK) != 0)
            fail_msg("no %s", path);
    }
    assert_int_equal(count_files("argument-m-..--odd---name--accuracy"), 0);
    char *html = read_file("index.html");
    assert_non_null(strstr(html, "<td>61.3 %</td>"));
    assert_non_null(strstr(html, "<td>3.82</td><td>4.6</td>"));
    assert_null(strstr(html, "<td>80.3 %</td>"));
    json_t *data = items_of(html);
    json_t *record = json_array_get(
        json_object_get(
            json_array_get(
                json_object_get(json_array_get(json_object_get(data, "runs"), 1), "items"), 0),
            "records"),
        0);
    assert_null(json_object_get(record, "correct"));
    assert_int_equal(json_array_size(json_object_get(record, "judged")), 2);
    json_decref(data);
    free(html);
    eval_run_free(&runs[0]);
    eval_run_free(&runs[1]);
}

/* Runs of one task and model keep their files apart; a report of nothing is a page as well. */
static void test_same_names_and_none(void **state)
{
    (void)state;
    eval_run runs[2] = { make_run("qa", 1), make_run("QA", 0) };
    write_report(runs, 2);
    assert_int_equal(count_files("qa-m-..--odd---name--accuracy.svg"), 1);
    assert_int_equal(count_files("QA-m-..--odd---name--2-accuracy.svg"), 1);
    s2a_error err;
    assert_int_equal(report_write(NULL, 0, NULL, directory, &err), S2A_OK);
    char *html = read_file("index.html");
    json_t *data = items_of(html);
    assert_int_equal(json_array_size(json_object_get(data, "runs")), 0);
    json_decref(data);
    free(html);
    eval_run_free(&runs[0]);
    eval_run_free(&runs[1]);
}

static void test_cut(void **state)
{
    (void)state;
    eval_run run = make_run("qa", 60);
    size_t item_of[120];
    for (size_t i = 0; i < 120; i++)
        item_of[i] = i / 2;
    report_part part = { .run = &run, .item_of = item_of };
    report_embedded said;
    buf all, cut;
    buf_init(&all, SIZE_MAX / 2);
    buf_init(&cut, SIZE_MAX / 2);
    report_items_json(&all, &part, 1, REPORT_ITEMS_MAX, &said);
    assert_int_equal(said.answered, 60);
    assert_int_equal(said.embedded, 60);
    size_t max = all.len / 4;
    report_items_json(&cut, &part, 1, max, &said);
    assert_int_equal(said.answered, 60);
    assert_true(said.embedded >= 10 && said.embedded <= 15);
    assert_true(cut.len <= max + 128); /* the frame: names of the run and its arms */
    json_t *data = json_loadb(cut.data, cut.len, 0, NULL);
    assert_non_null(data);
    json_t *items = json_object_get(json_array_get(json_object_get(data, "runs"), 0), "items");
    assert_int_equal(json_array_size(items), said.embedded);
    /* Even: the last one chosen is of the last quarter of the data. */
    json_t *last = json_array_get(items, said.embedded - 1);
    int index = 0;
    assert_int_equal(sscanf(json_string_value(json_object_get(last, "id")), "i,%d", &index), 1);
    assert_true(index >= 45);
    json_decref(data);
    /* A small run beside a large one is whole, and the large one has what that leaves. */
    eval_run small = make_run("math", 2);
    report_part both[2] = { part, { .run = &small, .item_of = item_of } };
    report_embedded said_of[2];
    buf_reset(&cut);
    report_items_json(&cut, both, 2, all.len / 2, said_of);
    assert_int_equal(said_of[1].embedded, 2);
    assert_true(said_of[0].embedded >= 24 && said_of[0].embedded < 30);
    eval_run_free(&small);
    buf_free(&all);
    buf_free(&cut);
    /* And the page says so. */
    for (size_t i = 0; i < 60; i++) {
        free(run.records[2 * i].answer);
        run.records[2 * i].answer = zeroed(300001, 1);
        memset(run.records[2 * i].answer, 'a', 300000);
    }
    write_report(&run, 1);
    char *html = read_file("index.html");
    assert_non_null(strstr(html, "<p class=\"cut\">Cut: 3"));
    assert_true(strlen(html) < REPORT_ITEMS_MAX + 1024 * 1024);
    free(html);
    eval_run_free(&run);
}

/* ---- failures --------------------------------------------------------------------------- */

static void test_in_the_way(void **state)
{
    (void)state;
    eval_run run = make_run("qa", 2);
    char path[256];
    s2a_error err;
    write_file("summary.csv", "old");
    path_of(path, "items.csv");
    assert_int_equal(mkdir(path, 0700), 0);
    assert_int_equal(report_write(&run, 1, NULL, directory, &err), S2A_IO);
    assert_non_null(strstr(err.message, "items.csv"));
    assert_int_equal(count_files(".part"), 0);
    assert_int_equal(rmdir(path), 0);
    /* The place itself is a file, or below one. */
    write_file("file", "old");
    path_of(path, "file");
    assert_int_equal(report_write(&run, 1, NULL, path, &err), S2A_IO);
    path_of(path, "file/sub");
    assert_int_equal(report_write(&run, 1, NULL, path, &err), S2A_IO);
    char *text = read_file("file");
    assert_string_equal(text, "old");
    free(text);
    eval_run_free(&run);
}

static void test_make_dir(void **state)
{
    (void)state;
    char path[256];
    path_of(path, "a//b/");
    assert_int_equal(outfile_make_dir(path, NULL), S2A_OK);
    assert_int_equal(outfile_make_dir(path, NULL), S2A_OK);
    struct stat info;
    assert_int_equal(stat(path, &info), 0);
    assert_int_equal(rmdir(path), 0);
    s2a_error err;
    assert_int_equal(outfile_make_dir("", &err), S2A_IO);
}

/* A limit on the size of files stands for a full disk: write fails in the middle. */
static void test_full_disk(void **state)
{
    (void)state;
    write_file("page", "the old one");
    char path[256];
    path_of(path, "page");
    char *big = zeroed(200001, 1);
    memset(big, 'x', 200000);
    struct rlimit before, small;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    small = before;
    small.rlim_cur = 65536;
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    s2a_error err;
    s2a_status status = outfile_write(path, big, 200000, &err);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    signal(SIGXFSZ, SIG_DFL);
    assert_int_equal(status, S2A_IO);
    assert_non_null(strstr(err.message, path));
    char *text = read_file("page");
    assert_string_equal(text, "the old one");
    free(text);
    assert_int_equal(count_files(".part"), 0);
    assert_int_equal(outfile_write(path, big, 200000, &err), S2A_OK);
    text = read_file("page");
    assert_int_equal(strlen(text), 200000);
    free(text);
    free(big);
}

/* A record of an item that the run does not have is the caller's error, and no page is written. */
static void test_unknown_item(void **state)
{
    (void)state;
    eval_run run = make_run("qa", 2);
    free(run.records[1].item);
    run.records[1].item = copy("nobody");
    s2a_error err;
    assert_int_equal(report_write(&run, 1, NULL, directory, &err), S2A_ARGUMENT);
    assert_int_equal(count_files("index.html"), 0);
    eval_run_free(&run);
}

/* Scores of arm select: a table, two plots and a file of their own; of other runs nothing. */
static void test_judgement(void **state)
{
    (void)state;
    eval_run runs[2] = { make_run("qa", 4), make_run("math", 2) };
    free(runs[0].arms[1]);
    runs[0].arms[1] = copy("select");
    for (size_t i = 0; i < 4; i++) {
        eval_record *r = &runs[0].records[2 * i + 1];
        free(r->arm);
        r->arm = copy("select");
        r->unit_count = 2;
        r->units = zeroed(2, sizeof *r->units);
        r->units[0] = (eval_unit){ 0, 5, true, 1 + (double)i, EVAL_NEEDED };
        r->units[1] = (eval_unit){ 5, 9, i == 0, (double)i - 2.5, EVAL_DISTRACTOR };
    }
    write_report(runs, 2);
    static char names[64][512], row[64][512];
    char *text = read_file("judgement.csv");
    size_t count = read_row(text, 0, names);
    assert_int_equal(read_row(text, 1, row), count);
    assert_string_equal(field(names, count, row, "what"), "run");
    assert_string_equal(field(names, count, row, "model"), "m/../<odd> \"name\"");
    assert_string_equal(field(names, count, row, "needed"), "4");
    assert_string_equal(field(names, count, row, "needed_kept"), "4");
    assert_string_equal(field(names, count, row, "distractors_removed"), "3");
    assert_string_equal(field(names, count, row, "auc"), "1");
    read_row(text, 3, row);
    assert_string_equal(field(names, count, row, "group"), "odd, <g>");
    assert_string_equal(field(names, count, row, "distractors"), "2");
    read_row(text, 4, row);
    assert_string_equal(field(names, count, row, "what"), "threshold");
    assert_string_equal(field(names, count, row, "score_from"), "-2.5");
    /* run 3, thresholds 8 + 1, bins 8; of the other run nothing */
    assert_int_equal(count_of(text, ",threshold,"), 9);
    assert_int_equal(count_of(text, "qa,"), 3 + 9 + 8);
    assert_int_equal(count_of(text, "math,"), 0);
    free(text);
    assert_int_equal(count_files("-roc."), 2);
    assert_int_equal(count_files("-reliability."), 2);
    char *html = read_file("index.html");
    assert_int_equal(count_of(html, "<h3>Judgement of select</h3>"), 1);
    assert_non_null(strstr(html, "<td>3 of 4<small>75.0 % ["));
    assert_int_equal(count_of(html, "Arm select: of the units"), 1);
    free(html);
    char *markdown = read_file("summary.md");
    assert_non_null(strstr(markdown, "| all items | 4 of 4 (100.0 %) | 3 of 4 (75.0 %) | 1.000 |"));
    free(markdown);
    eval_run_free(&runs[0]);
    eval_run_free(&runs[1]);
}

/* Tasks that count: their columns and their file; step 1 alone draws no plot of accuracy and is not
 * wrong. */
static void test_shares(void **state)
{
    (void)state;
    eval_run runs[2] = { make_run("labelled", 2), make_run("qa", 2) };
    for (size_t i = 0; i < 4; i++) {
        eval_record *r = &runs[0].records[i];
        free(r->answer);
        r->answer = NULL;
        r->unanswered = true;
        r->kinds[EVAL_OPINION] = (eval_share){ i % 2, 1 };
    }
    runs[0].items[0].facet = copy("lang=x,y");
    write_report(runs, 2);
    static char names[64][512], row[64][512];
    char *text = read_file("shares.csv");
    size_t count = read_row(text, 0, names);
    assert_int_equal(count_of(text, "qa,"), 0);
    assert_int_equal(count_of(text, ",opinions_removed,"), 8); /* all, two groups, a facet; of two
                                                                  arms */
    assert_int_equal(count_of(text, "\"lang=x,y\",opinions_removed,1,1,1,"), 1);
    assert_int_equal(count_of(text, ",unrelated_removed,"), 0);
    assert_int_equal(read_row(text, 1, row), count);
    assert_string_equal(field(names, count, row, "what"), "needed_kept");
    assert_string_equal(field(names, count, row, "count"), "4");
    assert_string_equal(field(names, count, row, "share"), "1");
    free(text);
    text = read_file("items.csv");
    count = read_row(text, 0, names);
    read_row(text, 1, row);
    assert_string_equal(field(names, count, row, "correct"), "");
    assert_string_equal(field(names, count, row, "facet"), "lang=x,y");
    free(text);
    text = read_file("summary.md");
    assert_non_null(strstr(text, "| needed kept |"));
    assert_non_null(strstr(text, "| opinions removed |"));
    assert_non_null(strstr(text, " | 2 | 100.0 % [51.0, 100.0] | 100.0 % [34.2, 100.0] | 0.0 % |"));
    free(text);
    assert_int_equal(count_files("labelled-m-..--odd---name--accuracy.svg"), 0);
    assert_int_equal(count_files("qa-m-..--odd---name--accuracy.svg"), 1);
    eval_run_free(&runs[0]);
    eval_run_free(&runs[1]);
}

#define WITH_DIRECTORY(test) cmocka_unit_test_setup_teardown(test, make_directory, remove_directory)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_escapes),    cmocka_unit_test(test_utf16),
        WITH_DIRECTORY(test_page),         WITH_DIRECTORY(test_items_in_page),
        WITH_DIRECTORY(test_summary_csv),  WITH_DIRECTORY(test_items_csv),
        WITH_DIRECTORY(test_tasks),        WITH_DIRECTORY(test_same_names_and_none),
        WITH_DIRECTORY(test_cut),          WITH_DIRECTORY(test_in_the_way),
        WITH_DIRECTORY(test_make_dir),     WITH_DIRECTORY(test_full_disk),
        WITH_DIRECTORY(test_unknown_item), WITH_DIRECTORY(test_judgement),
        WITH_DIRECTORY(test_shares),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
