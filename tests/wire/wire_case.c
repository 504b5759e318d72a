/* Single-threaded; a test that observes from other threads does so after they have ended. */
#include "wire_case.h"

#include "base/buf.h"
#include "base/clock.h"
#include "base/utf8.h"

#include <fnmatch.h>
#include <glob.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

enum { LINES_MAX = 48, OBSERVATIONS_MAX = 1024, NAME_SIZE = 48, FILE_MAX = 1 << 20 };

typedef struct line {
    int number; /* in the file */
    char name[NAME_SIZE], verb[12];
    char *text;
    size_t len;
    bool used;
} line;

typedef struct observation {
    char name[NAME_SIZE];
    char *data;
    size_t len;
} observation;

struct wire_case {
    const char *path;
    char *transcript;
    line sets[LINES_MAX], expects[LINES_MAX];
    size_t set_count, expect_count;
    observation seen[OBSERVATIONS_MAX];
    size_t seen_count;
    int failures;
    size_t cut;
};

/* ---- reading ---------------------------------------------------------------------------- */

char *wire_read_text(const char *path)
{
    FILE *file = fopen(path, "rb");
    if (!file)
        fail_msg("%s: cannot be opened (tests run in the repository's root)", path);
    char *text = malloc(FILE_MAX);
    assert_non_null(text);
    size_t len = fread(text, 1, FILE_MAX - 1, file);
    fclose(file);
    text[len] = '\0';
    return text;
}

/* "KEY VALUE" after "set", "NAME VERB TEXT" after "expect". */
static void read_line(wire_case *c, const char *text, int number)
{
    bool is_set = !strncmp(text, "set ", 4), is_expect = !strncmp(text, "expect ", 7);
    if (!is_set && !is_expect)
        return;
    size_t *count = is_set ? &c->set_count : &c->expect_count;
    line *l = is_set ? &c->sets[*count] : &c->expects[*count];
    int used = 0;
    bool ok = *count < LINES_MAX;
    if (ok && is_set)
        ok = sscanf(text, "set %47s %n", l->name, &used) == 1 && used;
    else if (ok)
        ok = sscanf(text, "expect %47s %11s %n", l->name, l->verb, &used) == 2 && used;
    if (!ok)
        fail_msg("%s:%d: not a setting or expectation: %s", c->path, number, text);
    l->number = number;
    l->text = strdup(text + used);
    assert_non_null(l->text);
    l->len = fake_unescape(l->text);
    ++*count;
}

static wire_case *case_read(const char *path)
{
    wire_case *c = calloc(1, sizeof *c);
    assert_non_null(c);
    c->path = path;
    c->transcript = wire_read_text(path);
    if (strncmp(c->transcript, "# ", 2) != 0)
        fail_msg("%s: the first line is not the goal", path);
    const char *at = c->transcript;
    for (int number = 1; *at; number++) {
        size_t len = strcspn(at, "\n");
        char *text = strndup(at, len);
        assert_non_null(text);
        read_line(c, text, number);
        free(text);
        at += len + (at[len] == '\n');
    }
    if (!c->expect_count)
        fail_msg("%s: nothing is expected", path);
    return c;
}

static void forget(wire_case *c)
{
    for (size_t i = 0; i < c->seen_count; i++)
        free(c->seen[i].data);
    c->seen_count = 0;
}

static void case_free(wire_case *c)
{
    forget(c);
    for (size_t i = 0; i < c->set_count; i++)
        free(c->sets[i].text);
    for (size_t i = 0; i < c->expect_count; i++)
        free(c->expects[i].text);
    free(c->transcript);
    free(c);
}

/* ---- settings and observations ---------------------------------------------------------- */

const char *wire_get_bytes(wire_case *c, const char *key, const char *otherwise, size_t *len)
{
    for (size_t i = 0; i < c->set_count; i++)
        if (!strcmp(c->sets[i].name, key)) {
            c->sets[i].used = true;
            *len = c->sets[i].len;
            return c->sets[i].text;
        }
    *len = otherwise ? strlen(otherwise) : 0;
    return otherwise;
}

const char *wire_get(wire_case *c, const char *key, const char *otherwise)
{
    size_t len = 0;
    return wire_get_bytes(c, key, otherwise, &len);
}

long wire_number(wire_case *c, const char *key, long otherwise)
{
    const char *text = wire_get(c, key, NULL);
    return text ? strtol(text, NULL, 10) : otherwise;
}

bool wire_expects(const wire_case *c, const char *name)
{
    for (size_t i = 0; i < c->expect_count; i++)
        if (!strcmp(c->expects[i].name, name))
            return true;
    return false;
}

void wire_observe_bytes(wire_case *c, const char *name, const char *data, size_t len)
{
    assert_true(c->seen_count < OBSERVATIONS_MAX && strlen(name) < NAME_SIZE);
    observation *o = &c->seen[c->seen_count++];
    snprintf(o->name, sizeof o->name, "%s", name);
    o->data = malloc(len + 1);
    assert_non_null(o->data);
    if (len)
        memcpy(o->data, data, len);
    o->data[len] = '\0';
    o->len = len;
}

void wire_observe(wire_case *c, const char *name, const char *format, ...)
{
    char *text = NULL;
    va_list args;
    va_start(args, format);
    int len = vasprintf(&text, format, args);
    va_end(args);
    assert_true(len >= 0);
    wire_observe_bytes(c, name, text, (size_t)len);
    free(text);
}

void wire_observe_server(wire_case *c, const fake_server *server)
{
    char name[NAME_SIZE];
    wire_observe(c, "requests", "%zu", fake_server_requests(server));
    wire_observe(c, "connections", "%zu", fake_server_connections(server));
    for (size_t i = 0; i < fake_server_requests(server); i++) {
        snprintf(name, sizeof name, "request%zu", i);
        wire_observe(c, name, "%s", fake_server_request(server, i));
    }
}

void wire_observe_words(wire_case *c, const char *error, const char *log, const char *key)
{
    wire_observe(c, "error", "%s", error);
    wire_observe(c, "log", "%s", log);
    for (const char *p = error; *p; p++)
        if ((unsigned char)*p < ' ' || *p == 0x7f)
            wire_fail(c, "the error is not one clean line: %s", error);
    if (utf8_valid_prefix(error, strlen(error)) != strlen(error) ||
        utf8_valid_prefix(log, strlen(log)) != strlen(log))
        wire_fail(c, "the error or the log is not UTF-8: %s\n%s", error, log);
    if (key && *key && (strstr(error, key) || strstr(log, key)))
        wire_fail(c, "the key is in the error or the log: %s\n%s", error, log);
}

void wire_observe_gone(wire_case *c, fake_server *server, double since_ms)
{
    if (!wire_expects(c, "gone_ms"))
        return;
    double gone_ms = 0;
    for (double end = clock_ms() + 2000; gone_ms <= 0 && clock_ms() < end;) {
        nanosleep(&(struct timespec){ .tv_nsec = 2000000 }, NULL);
        gone_ms = fake_server_gone_ms(server);
    }
    if (gone_ms > 0)
        wire_observe(c, "gone_ms", "%.0f", gone_ms - since_ms);
}

/* ---- judging ---------------------------------------------------------------------------- */

void wire_show(const char *label, const char *data, size_t len)
{
    fprintf(stderr, "    %s [", label);
    for (size_t i = 0; i < len && i < 600; i++)
        if ((unsigned char)data[i] < ' ' || data[i] == 0x7f)
            fprintf(stderr, "\\x%02x", (unsigned int)(unsigned char)data[i]);
        else
            fputc(data[i], stderr);
    fprintf(stderr, "]%s\n", len > 600 ? " ..." : "");
}

void wire_fail(wire_case *c, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fprintf(stderr, "%s: ", c->path);
    if (c->cut)
        fprintf(stderr, "cut after %zu bytes: ", c->cut);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
    c->failures++;
}

static const observation *find(const wire_case *c, const char *name)
{
    for (size_t i = 0; i < c->seen_count; i++)
        if (!strcmp(c->seen[i].name, name))
            return &c->seen[i];
    return NULL;
}

bool wire_holds(const char *verb, const char *want, size_t want_len, const char *got,
                size_t got_len)
{
    if (!strcmp(verb, "absent"))
        return !got;
    if (!got)
        return false;
    bool has = want_len && memmem(got, got_len, want, want_len);
    if (!strcmp(verb, "is"))
        return got_len == want_len && !memcmp(got, want, want_len);
    if (!strcmp(verb, "begins"))
        return want_len && got_len >= want_len && !memcmp(got, want, want_len);
    if (!strcmp(verb, "has"))
        return has;
    if (!strcmp(verb, "like"))
        return !fnmatch(want, got, 0);
    if (!strcmp(verb, "lacks"))
        return want_len && !has;
    if (!strcmp(verb, "above"))
        return got_len && strtod(got, NULL) >= strtod(want, NULL);
    if (!strcmp(verb, "below"))
        return got_len && strtod(got, NULL) <= strtod(want, NULL);
    fail_msg("no such verb: %s", verb);
    return false;
}

static void judge(wire_case *c)
{
    for (size_t i = 0; i < c->expect_count; i++) {
        const line *l = &c->expects[i];
        const observation *o = find(c, l->name);
        if (wire_holds(l->verb, l->text, l->len, o ? o->data : NULL, o ? o->len : 0))
            continue;
        wire_fail(c, "line %d: %s %s", l->number, l->name, l->verb);
        wire_show("want", l->text, l->len);
        if (o)
            wire_show("got ", o->data, o->len);
        else
            fprintf(stderr, "    got  nothing\n");
        const observation *error = find(c, "error");
        if (error && error->len && strcmp(l->name, "error") != 0)
            wire_show("error", error->data, error->len);
    }
    for (size_t i = 0; i < c->set_count; i++)
        if (!c->sets[i].used)
            wire_fail(c, "line %d: nobody asked for %s", c->sets[i].number, c->sets[i].name);
}

static fake_server *start(const wire_case *c)
{
    buf transcript;
    buf_init(&transcript, FILE_MAX + 64);
    if (c->cut)
        buf_addf(&transcript, "@cut %zu\n", c->cut);
    buf_adds(&transcript, c->transcript);
    assert_int_equal(transcript.status, S2A_OK);
    fake_server *server = fake_server_start(transcript.data);
    buf_free(&transcript);
    return server;
}

static int run_file(const char *path, wire_run_fn run)
{
    wire_case *c = case_read(path);
    bool cuts = !strcmp(wire_get(c, "cuts", "none"), "all");
    double begin = clock_ms();
    size_t bytes = 0;
    do {
        fake_server *server = start(c);
        bytes = fake_server_bytes(server);
        forget(c);
        run(c, server);
        judge(c);
        fake_server_free(server);
    } while (cuts && !c->failures && ++c->cut < bytes);
    int failures = c->failures;
    fprintf(stderr, "  %-6s %6.0f ms  %s\n", failures ? "FAILED" : "ok", clock_ms() - begin, path);
    case_free(c);
    return failures > 0;
}

int wire_run_all(const char *prefix, const char *part, wire_run_fn run)
{
    char pattern[96];
    glob_t files;
    int failed = 0;
    size_t count = 0;
    snprintf(pattern, sizeof pattern, "tests/wire/cases/%s-*.txt", prefix);
    if (glob(pattern, 0, NULL, &files) != 0)
        fail_msg("%s: there are no such files (tests run in the repository's root)", pattern);
    for (size_t i = 0; i < files.gl_pathc; i++)
        if (!part || strstr(files.gl_pathv[i], part)) {
            failed += run_file(files.gl_pathv[i], run);
            count++;
        }
    globfree(&files);
    fprintf(stderr, "  %zu cases, %d failed\n", count, failed);
    return failed;
}
