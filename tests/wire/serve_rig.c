#include "serve_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

rig embedded(const char *replay, void (*change)(serve_options *))
{
    rig r = { .engine = serve_test_engine(replay) };
    serve_options o;
    serve_test_options(&o);
    o.engine = r.engine;
    if (change)
        change(&o);
    r.s = serve_test_start(&o);
    r.port = serve_port(r.s);
    return r;
}

rig proxy(const char *transcript, void (*change)(serve_options *))
{
    return proxy_judged(NULL, transcript, change);
}

rig proxy_judged(const char *judge, const char *transcript, void (*change)(serve_options *))
{
    rig r = { .engine = judge ? serve_test_engine(judge) : NULL,
              .up = fake_server_start(transcript),
              .url = malloc(64) };
    serve_options o;
    serve_test_upstream(&o, fake_server_port(r.up), r.url);
    o.engine_options.select_engine = r.engine;
    if (change)
        change(&o);
    r.s = serve_test_start(&o);
    r.port = serve_port(r.s);
    return r;
}

void rig_stop(rig *r)
{
    serve_stop(r->s);
    s2a_engine_close(r->engine);
    fake_server_free(r->up);
    free(r->url);
}

int ask_open(const rig *r, const char *body)
{
    char *request = NULL;
    assert_true(asprintf(&request,
                         "POST " CHAT " HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: "
                         "application/json\r\nContent-Length: %zu\r\n\r\n%s",
                         strlen(body), body) > 0);
    int s = client_connect(r->port);
    client_text(s, request);
    free(request);
    return s;
}

const json_t *at(const json_t *root, const char *path)
{
    char copy[200], *rest = NULL;
    snprintf(copy, sizeof copy, "%s", path);
    for (char *key = strtok_r(copy, ".", &rest); key; key = strtok_r(NULL, ".", &rest))
        root = json_is_array(root) ? json_array_get(root, (size_t)atoi(key))
                                   : json_object_get(root, key);
    return root;
}

json_t *events_of(const answer *a, bool *done, size_t *odd)
{
    json_t *list = json_array();
    *done = false;
    *odd = 0;
    for (const char *line = a->body; line && *line;) {
        size_t n = strcspn(line, "\n");
        if (n == 12 && !strncmp(line, "data: [DONE]", n)) {
            *done = true;
        } else if (!strncmp(line, "data: ", 6)) {
            json_t *event = json_loadb(line + 6, n - 6, 0, NULL);
            *odd += !event;
            json_array_append_new(list, event ? event : json_null());
            *done = false;
        }
        line += n + (line[n] == '\n');
    }
    return list;
}

void joined(const json_t *events, const char *path, char *text, size_t size)
{
    text[0] = '\0';
    for (size_t i = 0; i < json_array_size(events); i++) {
        const char *piece = json_string_value(at(json_array_get(events, i), path));
        if (piece)
            snprintf(text + strlen(text), size - strlen(text), "%s", piece);
    }
}

void assert_answer(answer a, int status, const char *part)
{
    if (a.status != status || (part && !answer_has(&a, part)))
        print_error("%s\n", a.data ? a.data : "nothing");
    assert_int_equal(a.status, status);
    assert_true(!part || answer_has(&a, part));
    answer_free(&a);
}

void assert_field(const answer *a, const char *name, const char *value)
{
    char *is = answer_field(a, name);
    if (!value) {
        assert_null(is);
    } else {
        assert_non_null(is);
        assert_string_equal(is, value);
    }
    free(is);
}
