/* Single-threaded. A case is read once for each row; its server lives as long as the run. */
#define _GNU_SOURCE
#include "serve_case.h"

#include "base/buf.h"
#include "base/clock.h"
#include "base/sha256.h"
#include "serve_rig.h"
#include "wire_case.h"

#include <glob.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include <cmocka.h>

enum { ASKS_MAX = 8, WANTS_MAX = 48, ROW_FIELDS = 9, TEXT_MAX = 1 << 20, ANY = -1 };

typedef struct ask {
    char how[12], method[16], path[200];
    int status;     /* which must come, or ANY */
    buf text, head; /* the body, or raw bytes; lines of the head */
    answer a;
    json_t *json; /* the body, or an array of its events; NULL = neither */
    bool done, closed;
    size_t odd;
    double ms;
} ask;

typedef struct want {
    int number; /* of its line */
    size_t ask;
    char name[80], verb[12];
    char *text;
    size_t len;
} want;

typedef struct serve_case {
    const char *path, *row; /* row NULL: there are none */
    char goal[200], keys_path[32], log_path[32];
    const char *base; /* the path of --upstream */
    buf engine, judge, upstream;
    char kept[500]; /* texts of options, each with its NUL */
    size_t kept_len;
    const char *host[1], *origin[1];
    serve_options o;
    bool refused;
    ask asks[ASKS_MAX];
    want wants[WANTS_MAX];
    size_t ask_count, want_count;
    fake_server *up;
    json_t *log;
} serve_case;

static const char *text_of(const buf *b)
{
    return b->data ? b->data : "";
}

/* ---- options ---------------------------------------------------------------------------- */

static const char *temporary(char path[32], const char *text)
{
    strcpy(path, "/tmp/s2a-case-XXXXXX");
    int fd = mkstemp(path);
    assert_true(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
    close(fd);
    return path;
}

static origin_list one_of(const char **place, const char *text)
{
    *place = text;
    return (origin_list){ place, 1 };
}

static const char *key_file(serve_case *k, const char *key)
{
    char hex[SHA256_HEX_SIZE + 1];
    assert_int_equal(sha256_bytes(key, strlen(key), hex, NULL), S2A_OK);
    strcat(hex, "\n");
    return temporary(k->keys_path, hex);
}

static const char *keep(serve_case *k, const char *text)
{
    char *copy = k->kept + k->kept_len;
    k->kept_len += strlen(text) + 1;
    assert_true(k->kept_len <= sizeof k->kept);
    return strcpy(copy, text);
}

static void set(serve_case *k, const char *key, const char *value)
{
    serve_options *o = &k->o;
    uint32_t number = (uint32_t)strtoul(value, NULL, 10);
    if (!strcmp(key, "budget_ms"))
        o->step1_budget_ms = number;
    else if (!strcmp(key, "upstream_idle_ms"))
        o->upstream_idle_ms = number;
    else if (!strcmp(key, "ctx"))
        o->engine_options.ctx_tokens = number;
    else if (!strcmp(key, "strict"))
        o->strict = !strcmp(value, "yes");
    else if (!strcmp(key, "base"))
        k->base = keep(k, value);
    else if (!strcmp(key, "upstream")) /* where nobody listens */
        k->refused = !strcmp(value, "refused");
    else if (!strcmp(key, "keep_removed"))
        o->keep_removed = number;
    else if (!strcmp(key, "host"))
        o->host = keep(k, value);
    else if (!strcmp(key, "key")) /* the one that clients must have */
        o->keys_file = key_file(k, value);
    else if (!strcmp(key, "upstream_key"))
        o->upstream_key = keep(k, value);
    else if (!strcmp(key, "forward_authorization"))
        o->forward_authorization = !strcmp(value, "yes");
    else if (!strcmp(key, "allow_host"))
        o->allow_hosts = one_of(k->host, keep(k, value));
    else if (!strcmp(key, "allow_origin"))
        o->allow_origins = one_of(k->origin, keep(k, value));
    else if (!strcmp(key, "log"))
        o->access_log = temporary(k->log_path, "");
    else if (strcmp(key, "times") != 0)
        fail_msg("%s: %s: no such option of a case: %s", k->path, k->goal, key);
}

/* ---- reading ---------------------------------------------------------------------------- */

static void read_want(serve_case *k, const char *line, int number)
{
    int used = 0;
    assert_true(k->want_count < WANTS_MAX);
    want *w = &k->wants[k->want_count];
    if (!k->ask_count || sscanf(line, "expect %79s %11s%n", w->name, w->verb, &used) != 2)
        fail_msg("%s:%d: not an expectation of a request: %s", k->path, number, line);
    w->number = number;
    w->ask = k->ask_count - 1;
    w->text = strdup(line + used + (line[used] == ' '));
    assert_non_null(w->text);
    w->len = fake_unescape(w->text);
    k->want_count++;
}

/* "STATUS METHOD PATH" of a request, where the first may be missing, and of raw bytes the first
 * alone. What follows; NULL: it is not that. */
static const char *read_ask(ask *q, const char *at)
{
    int n = 0;
    q->status = 200;
    if (!strncmp(at, " any", 4)) {
        q->status = ANY;
        at += 4;
    } else if (sscanf(at, " %3d%n", &q->status, &n) == 1) {
        at += n;
    }
    if (!strcmp(q->how, "raw"))
        return at;
    return sscanf(at, " %15s %199s%n", q->method, q->path, &n) == 2 ? at + n : NULL;
}

/* Where the lines go that follow; NULL: the section is this line. */
static buf *section(serve_case *k, const char *line, int number)
{
    char name[12] = "";
    int used = 0;
    sscanf(line, "--- %11s%n", name, &used);
    const char *rest = line + used;
    buf *to = !strcmp(name, "engine")     ? &k->engine
              : !strcmp(name, "judge")    ? &k->judge
              : !strcmp(name, "upstream") ? &k->upstream
                                          : NULL;
    if (to && *rest)
        buf_addf(to, "%s\n", rest + 1);
    if (to)
        return to;
    assert_true(k->ask_count < ASKS_MAX);
    ask *q = &k->asks[k->ask_count++];
    strcpy(q->how, name);
    buf_init(&q->text, TEXT_MAX);
    buf_init(&q->head, TEXT_MAX);
    bool raw = !strcmp(name, "raw");
    rest = raw || !strcmp(name, "ask") || !strcmp(name, "escaped") || !strcmp(name, "soon")
               ? read_ask(q, rest)
               : NULL;
    if (!rest)
        fail_msg("%s:%d: no such section: %s", k->path, number, line);
    if (*rest)
        buf_adds(&q->text, rest + 1);
    return raw ? &q->text : NULL;
}

/* "KEY VALUE; KEY VALUE ..." */
static void read_sets(serve_case *k, const char *line)
{
    char copy[400], key[32], *rest = copy;
    snprintf(copy, sizeof copy, "%s", line);
    for (char *one; (one = strsep(&rest, ";"));) {
        int used = 0;
        if (sscanf(one, "%31s%n", key, &used) != 1)
            fail_msg("%s: %s: not an option: %s", k->path, k->goal, line);
        set(k, key, one + used + (one[used] == ' '));
    }
}

static void read_line(serve_case *k, const char *line, int number, buf **to)
{
    if (!strncmp(line, "== ", 3)) {
        snprintf(k->goal, sizeof k->goal, "%s", line + 3);
    } else if (!strncmp(line, "--- ", 4)) {
        *to = section(k, line, number);
    } else if (!strncmp(line, "expect ", 7)) {
        read_want(k, line, number);
        *to = NULL;
    } else if (!strncmp(line, "with ", 5) && k->ask_count) {
        buf_addf(&k->asks[k->ask_count - 1].head, "%s\r\n", line + 5);
    } else if (*to) {
        if (*line || (*to)->len)
            buf_addf(*to, k->ask_count ? "%s" : "%s\n", line);
    } else if (!strncmp(line, "set ", 4)) {
        read_sets(k, line + 4);
    } else if (*line && *line != '|') {
        fail_msg("%s:%d: what is this: %s", k->path, number, line);
    }
}

static void read_case(serve_case *k, const char *text, int number)
{
    buf *to = NULL;
    serve_test_options(&k->o);
    k->base = "/v1";
    buf_init(&k->engine, TEXT_MAX);
    buf_init(&k->judge, TEXT_MAX);
    buf_init(&k->upstream, TEXT_MAX);
    for (; *text; number++) {
        size_t len = strcspn(text, "\n");
        char *line = strndup(text, len);
        assert_non_null(line);
        read_line(k, line, number, &to);
        free(line);
        text += len + (text[len] == '\n');
    }
    if (!k->ask_count)
        fail_msg("%s: %s: nothing is asked", k->path, k->goal);
}

static void free_case(serve_case *k)
{
    for (size_t i = 0; i < k->ask_count; i++) {
        buf_free(&k->asks[i].text);
        buf_free(&k->asks[i].head);
        answer_free(&k->asks[i].a);
        json_decref(k->asks[i].json);
    }
    for (size_t i = 0; i < k->want_count; i++)
        free(k->wants[i].text);
    buf_free(&k->engine);
    buf_free(&k->judge);
    buf_free(&k->upstream);
    json_decref(k->log);
    if (*k->keys_path)
        unlink(k->keys_path);
    if (*k->log_path)
        unlink(k->log_path);
}

/* ---- asking ----------------------------------------------------------------------------- */

static void write_request(const ask *q, buf *out)
{
    const char *head = text_of(&q->head);
    char *body = strdup(text_of(&q->text));
    assert_non_null(body);
    size_t len = !strcmp(q->how, "escaped") ? fake_unescape(body) : strlen(body);
    bool post = !strcmp(q->method, "POST");
    buf_addf(out, "%s %s HTTP/1.1\r\n%s%s%s", q->method, q->path,
             strstr(head, "Host: ") ? "" : "Host: 127.0.0.1\r\n", head,
             post && !strstr(head, "Content-Type: ") ? "Content-Type: application/json\r\n" : "");
    if (post || len)
        buf_addf(out, "Content-Length: %zu\r\n", len);
    buf_adds(out, "\r\n");
    buf_add(out, body, len);
    free(body);
}

static bool expects(const serve_case *k, size_t index, const char *name)
{
    for (size_t i = 0; i < k->want_count; i++)
        if (k->wants[i].ask == index && !strcmp(k->wants[i].name, name))
            return true;
    return false;
}

/* Sends it and takes its answer apart. */
static void send_ask(serve_case *k, size_t index, int port)
{
    ask *q = &k->asks[index];
    buf request;
    buf_init(&request, TEXT_MAX);
    if (!strcmp(q->how, "raw")) {
        buf_adds(&request, text_of(&q->text));
        request.len = fake_unescape(request.data);
    } else {
        write_request(q, &request);
    }
    double start = clock_ms();
    int s = client_connect(port);
    client_send(s, request.data, request.len);
    answer_free(&q->a);
    q->a = client_read_answer(s, !strncmp(request.data, "HEAD ", 5));
    q->ms = clock_ms() - start;
    q->closed = expects(k, index, "closed") && client_closed(s, 10000);
    close(s);
    buf_free(&request);
    json_decref(q->json);
    char *type = answer_field(&q->a, "Content-Type");
    q->json = type && strstr(type, "event-stream")
                  ? events_of(&q->a, &q->done, &q->odd)
                  : json_loadb(q->a.body ? q->a.body : "", q->a.body_len, 0, NULL);
    free(type);
}

/* ---- what was seen ---------------------------------------------------------------------- */

static char *number_text(double number)
{
    char *text = NULL;
    assert_true(asprintf(&text, "%.0f", number) > 0);
    return text;
}

/* What is at the path: NULL = nothing. */
static char *json_text(const json_t *root, const char *path)
{
    char copy[100];
    snprintf(copy, sizeof copy, "%s", path);
    size_t len = strlen(copy);
    bool length = len > 2 && !strcmp(copy + len - 2, ".#");
    if (length)
        copy[len - 2] = '\0';
    const json_t *value = at(root, copy);
    if (!value)
        return NULL;
    if (length)
        return number_text((double)json_array_size(value));
    if (json_is_string(value))
        return strdup(json_string_value(value));
    return json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT | JSON_REAL_PRECISION(9));
}

static char *of_events(const json_t *events, const char *name)
{
    size_t count = json_array_size(events), with = 0;
    const char *path = strchr(name, '.');
    if (!strcmp(name, "events"))
        return number_text((double)count);
    path = path ? path + 1 : "";
    if (!strncmp(name, "events.", 7))
        return json_text(events, path);
    if (!strncmp(name, "last", 4))
        return json_text(json_array_get(events, count - 1), path);
    if (!strncmp(name, "joined.", 7)) {
        char *text = calloc(1, TEXT_MAX);
        assert_non_null(text);
        joined(events, path, text, TEXT_MAX);
        return text;
    }
    char *first = json_text(json_array_get(events, 0), path);
    bool same = first != NULL;
    for (size_t i = 0; i < count; i++) {
        char *text = json_text(json_array_get(events, i), path);
        with += text != NULL;
        same = same && text && !strcmp(text, first);
        free(text);
    }
    if (!strncmp(name, "every.", 6) && same)
        return first;
    free(first);
    return !strncmp(name, "with.", 5) ? number_text((double)with) : NULL;
}

static char *of_answer(const ask *q, const char *name, size_t *len)
{
    const answer *a = &q->a;
    const char *data = a->data ? a->data : "", *end = strstr(data, "\r\n\r\n");
    if (!strcmp(name, "head"))
        return strndup(data, end ? (size_t)(end - data) + 2 : 0);
    if (!strcmp(name, "body"))
        return *len = a->body_len, bytes_dup(a->body ? a->body : "", a->body_len);
    if (!strcmp(name, "ms"))
        return number_text(q->ms);
    if (!strcmp(name, "odd"))
        return number_text((double)q->odd);
    const bool flags[] = { a->whole, q->closed, q->done };
    static const char *const flag_names[] = { "whole", "closed", "done" };
    for (size_t i = 0; i < 3; i++)
        if (!strcmp(name, flag_names[i]))
            return strdup(flags[i] ? "yes" : "no");
    if (!strncmp(name, "field.", 6))
        return answer_field(a, name + 6);
    if (!strncmp(name, "json", 4))
        return json_text(q->json, name + 4 + (name[4] == '.'));
    static const char *const kinds[] = { "events", "last", "every.", "with.", "joined." };
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
        if (!strncmp(name, kinds[i], strlen(kinds[i])))
            return of_events(q->json, name);
    fail_msg("no such name: %s", name);
    return NULL;
}

/* "requests", and "requestN" with what of it. */
static char *of_upstream(const fake_server *up, const char *name)
{
    size_t count = up ? fake_server_requests(up) : 0, index = 0;
    int used = 0;
    if (!strcmp(name, "requests"))
        return number_text((double)count);
    if (sscanf(name, "request%zu%n", &index, &used) != 1)
        fail_msg("no such name: %s", name);
    if (index >= count)
        fail_msg("%s: only %zu requests came", name, count);
    const char *request = fake_server_request(up, index), *rest = name + used;
    if (!*rest)
        return strdup(request);
    if (!strcmp(rest, ".body"))
        return strdup(fake_server_body(up, index));
    if (!strcmp(rest, ".continues")) {
        const char *now = fake_server_body(up, index), *before = fake_server_body(up, index - 1);
        size_t len = strlen(before) - strlen("]}");
        bool is = !strcmp(before + len, "]}") && !strncmp(now, before, len) && now[len] == ',';
        return strdup(is ? "yes" : "no");
    }
    if (!strncmp(rest, ".field.", 7))
        return answer_field(&(answer){ .data = (char *)(uintptr_t)request }, rest + 7);
    assert_true(!strncmp(rest, ".json", 5));
    json_t *root = json_loads(fake_server_body(up, index), 0, NULL);
    char *text = json_text(root, rest + 5 + (rest[5] == '.'));
    json_decref(root);
    return text;
}

/* The first line of the log comes a moment after the answer. */
static char *of_log(serve_case *k, const char *path)
{
    for (int i = 0; i < 2000 && !k->log; i++) {
        usleep(5000);
        k->log = json_load_file(k->log_path, JSON_DISABLE_EOF_CHECK, NULL);
    }
    return json_text(k->log, path);
}

/* Whether all that is wanted is there; of an array its first items. */
static bool json_holds(const json_t *got, json_t *wanted)
{
    const char *key = NULL;
    json_t *value = NULL;
    size_t i = 0;
    if (!json_is_object(wanted) && !json_is_array(wanted))
        return json_equal(got, wanted);
    bool ok = got && json_typeof(wanted) == json_typeof(got);
    json_object_foreach(wanted, key, value)
    {
        ok = ok && json_holds(json_object_get(got, key), value);
    }
    json_array_foreach(wanted, i, value)
    {
        ok = ok && json_holds(json_array_get(got, i), value);
    }
    return ok;
}

static bool text_holds(const char *got, const char *wanted)
{
    json_t *want_root = json_loads(wanted, 0, NULL), *root = got ? json_loads(got, 0, NULL) : NULL;
    if (!want_root)
        fail_msg("not JSON: %s", wanted);
    bool ok = json_holds(root, want_root);
    json_decref(want_root);
    json_decref(root);
    return ok;
}

static bool judge(serve_case *k, const want *w, bool tell)
{
    const ask *q = &k->asks[w->ask];
    size_t len = SIZE_MAX;
    char *got = !strncmp(w->name, "request", 7) ? of_upstream(k->up, w->name)
                : !strncmp(w->name, "log", 3)   ? of_log(k, w->name + 3 + (w->name[3] == '.'))
                                                : of_answer(q, w->name, &len);
    char *id = !strcmp(w->text, "$id") ? answer_field(&q->a, "X-Request-Id") : NULL;
    const char *text = id ? id : w->text;
    size_t want_len = id ? strlen(id) : w->len;
    if (got && len == SIZE_MAX)
        len = strlen(got);
    bool ok = !strcmp(w->verb, "holds") ? text_holds(got, text)
                                        : wire_holds(w->verb, text, want_len, got, len);
    if (!ok && tell) {
        fprintf(stderr, "%s:%d: %s\n    %s%s%s %s\n", k->path, w->number, k->goal,
                k->row ? k->row : "", k->row ? "\n    " : "", w->name, w->verb);
        wire_show("want", text, want_len);
        wire_show("got ", got ? got : "", got ? len : 0);
        if (q->a.data)
            wire_show("all ", q->a.data, q->a.len);
    }
    free(got);
    free(id);
    return ok;
}

/* ---- running ---------------------------------------------------------------------------- */

static void ask_until(serve_case *k, size_t index, int port)
{
    bool soon = !strcmp(k->asks[index].how, "soon"), ok = false;
    for (double end = clock_ms() + 10000; !ok && clock_ms() < end;) {
        send_ask(k, index, port);
        ok = true;
        for (size_t i = 0; soon && i < k->want_count; i++)
            if (k->wants[i].ask == index)
                ok = ok && judge(k, &k->wants[i], false);
        if (!ok)
            usleep(5000);
    }
}

/* The number of expectations that do not hold. */
static int run_case(serve_case *k)
{
    static const char empty[] = "HTTP/1.1 200 OK\\r\\nContent-Length: 0\\r\\n\\r\\n\n";
    char *url = NULL;
    int failures = 0;
    s2a_engine *engine = NULL;
    if (k->engine.len || k->judge.len)
        engine = serve_test_engine(text_of(k->engine.len ? &k->engine : &k->judge));
    if (k->engine.len) {
        k->o.engine = engine;
    } else {
        k->up = k->refused ? NULL : fake_server_start(k->upstream.len ? k->upstream.data : empty);
        int port = k->up ? fake_server_port(k->up) : fake_refusing_port();
        assert_true(asprintf(&url, "http://127.0.0.1:%d%s", port, k->base) > 0);
        k->o.upstream = url;
        k->o.engine_options.select_engine = engine;
    }
    serve *s = serve_test_start(&k->o);
    for (size_t i = 0; i < k->ask_count; i++) {
        ask_until(k, i, serve_port(s));
        const ask *q = &k->asks[i];
        bool bad =
            (q->odd && !expects(k, i, "odd")) || (q->a.status != q->status && q->status != ANY);
        if (bad)
            fprintf(stderr, "%s: %s: %s: %d, or an event is not JSON\n%s\n", k->path, k->goal,
                    k->row ? k->row : "", q->a.status, q->a.data ? q->a.data : "");
        failures += bad;
    }
    if (k->up)
        fake_server_stop(k->up);
    for (size_t i = 0; i < k->want_count; i++)
        failures += !judge(k, &k->wants[i], true);
    serve_stop(s);
    s2a_engine_close(engine);
    fake_server_free(k->up);
    free(url);
    return failures;
}

/* The text with $1 ... replaced by the fields of the row. */
static char *with_row(const char *path, const char *text, const char *row)
{
    char *fields[ROW_FIELDS] = { NULL }, *copy = strdup(row), *rest = copy + 1;
    assert_non_null(copy);
    for (size_t i = 0; rest && i < ROW_FIELDS; i++) {
        char *field = strsep(&rest, "|");
        field += strspn(field, " ");
        size_t len = strlen(field);
        while (len > 0 && field[len - 1] == ' ')
            field[--len] = '\0';
        fields[i] = field;
    }
    buf out;
    buf_init(&out, TEXT_MAX);
    for (const char *p = text; *p; p++) {
        bool is = *p == '$' && p[1] >= '1' && p[1] <= '9';
        if (is && !fields[p[1] - '1'])
            fail_msg("%s: $%c has no field: %s", path, p[1], row);
        if (is)
            buf_adds(&out, fields[*++p - '1']);
        else
            buf_add(&out, p, 1);
    }
    free(copy);
    return buf_take(&out, NULL);
}

static int run_once(const char *path, const char *text, int number, const char *row)
{
    serve_case *k = calloc(1, sizeof *k);
    assert_non_null(k);
    k->path = path;
    k->row = row;
    char *filled = row ? with_row(path, text, row) : strdup(text);
    assert_non_null(filled);
    read_case(k, filled, number);
    int failures = run_case(k);
    free_case(k);
    free(k);
    free(filled);
    return failures;
}

/* A case, which is run for each of its rows, or once. */
static bool run_text(const char *path, const char *text, int number)
{
    double begin = clock_ms();
    int failures = 0, rows = 0;
    for (const char *line = strstr(text, "\n|"); line; line = strstr(line + 1, "\n|")) {
        char *row = strndup(line + 1, strcspn(line + 1, "\n"));
        assert_non_null(row);
        failures += run_once(path, text, number, row);
        rows++;
        free(row);
    }
    const char *repeat = strstr(text, "\nset times ");
    for (int i = repeat ? atoi(repeat + 11) : 1; !rows && !failures && i > 0; i--)
        failures = run_once(path, text, number, NULL);
    fprintf(stderr, "  %-6s %6.0f ms  %s:%d: %.*s\n", failures ? "FAILED" : "ok",
            clock_ms() - begin, path, number, (int)strcspn(text + 3, "\n"), text + 3);
    return failures == 0;
}

static int run_file(const char *path, const char *part, size_t *count)
{
    char *all = wire_read_text(path);
    int failed = 0, number = 1;
    const char *at = all, *next = NULL;
    for (; at; at = next) {
        next = strstr(at, "\n== ");
        next = next ? next + 1 : NULL;
        size_t len = next ? (size_t)(next - at) : strlen(at);
        char *text = strndup(at, len);
        assert_non_null(text);
        const char *in_goal = part ? strstr(text, part) : text;
        bool in = in_goal && in_goal < text + strcspn(text, "\n");
        if (!strncmp(text, "== ", 3) && (in || strstr(path, part))) {
            failed += !run_text(path, text, number);
            ++*count;
        }
        for (size_t i = 0; i < len; i++)
            number += text[i] == '\n';
        free(text);
    }
    free(all);
    return failed;
}

int serve_case_run_all(const char *part)
{
    glob_t files;
    int failed = 0;
    size_t count = 0;
    if (glob("tests/wire/cases/serve-*.txt", 0, NULL, &files) != 0)
        fail_msg("there are no tests/wire/cases/serve-*.txt");
    for (size_t i = 0; i < files.gl_pathc; i++)
        failed += run_file(files.gl_pathv[i], part, &count);
    globfree(&files);
    fprintf(stderr, "  %zu cases, %d failed\n", count, failed);
    assert_true(count > 0);
    return failed;
}
