/* The contract of backend.h: the http backend, against a server that plays a transcript. */
#include "conformance.h"
#include "fake_server.h"

#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define HEAD                                                                               \
    "HTTP/1.1 200 OK\\r\\nContent-Type: text/event-stream\\r\\nTransfer-Encoding: chunked" \
    "\\r\\n\\r\\n\n"
#define PIECE(text) "@chunk data: {\"choices\":[{\"delta\":{\"content\":\"" text "\"}}]}\\n\\n\n"
#define END(reason, tokens)                                                                      \
    "@chunk data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"" reason "\"}]}\\n\\n\n"       \
    "@chunk data: {\"choices\":[],\"usage\":{\"prompt_tokens\":11,\"completion_tokens\":" tokens \
    "}}\\n\\n\n@chunk data: [DONE]\\n\\n\n@chunk\n@keep\n"

/* Three bytes at a time: characters arrive in parts. */
static const char *const transcripts[] = {
    [CONFORMANCE_SPEAKS] = "@split 3\n" HEAD PIECE("Gr\xc3\xbc\xc3\x9f dich, ")
        PIECE("\\\\ud83e\\\\udd8a ") PIECE("\xf0\x9f\xa6\x89") END("stop", "3"),
    [CONFORMANCE_STOPPED] =
        HEAD PIECE("Gr\xc3\xbc\xc3\x9f") "@chunk data: "
                                         "{\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\","
                                         "\"stop_reason\":\" di\"}]}"
                                         "\\n\\n\n@chunk data: [DONE]\\n\\n\n@chunk\n@keep\n",
    [CONFORMANCE_CUT] = HEAD PIECE("one") PIECE(" two") END("length", "2"),
    [CONFORMANCE_GOES_ON] = HEAD PIECE("one") "@gone\n",
    [CONFORMANCE_SILENT] = HEAD "@gone\n",
    [CONFORMANCE_FAILS] = "HTTP/1.1 500 X\\r\\nContent-Length: 0\\r\\n\\r\\n\n@keep\n",
    [CONFORMANCE_MARKED] = HEAD PIECE("yes") END("stop", "1"),
    [CONFORMANCE_READS] = HEAD PIECE("no") END("stop", "1"),
};

static fake_server *server;

static backend *open_http(conformance_way way)
{
    char url[64];
    server = fake_server_start(transcripts[way]);
    snprintf(url, sizeof url, "http://127.0.0.1:%d", fake_server_port(server));
    s2a_engine_options options;
    s2a_engine_options_init(&options);
    options.url = url;
    options.model = "m";
    options.ctx_tokens = 4096;
    options.max_retries = 0;
    backend *b = NULL;
    s2a_error err;
    if (backend_http_open(&options, NULL, &b, &err) != S2A_OK)
        fail_msg("http: %s", err.message);
    return b;
}

static void close_http(backend *b)
{
    b->vtable->close(b);
    fake_server_free(server);
}

static bool was_asked(const char *text, size_t len)
{
    const char *body = fake_server_body(server, fake_server_requests(server) - 1);
    json_t *root = json_loads(body, 0, NULL), *messages = json_object_get(root, "messages");
    json_t *message = json_array_get(messages, json_array_size(messages) - 1);
    const json_t *content = json_object_get(message, "content");
    bool same = json_string_length(content) == len &&
                !memcmp(json_string_value(content), text, len) &&
                !strcmp(json_string_value(json_object_get(message, "role")), "user");
    json_decref(root);
    return same;
}

static conformance http = { .text = "Gr\xc3\xbc\xc3\x9f dich, \xf0\x9f\xa6\x8a \xf0\x9f\xa6\x89",
                            .open = open_http,
                            .close = close_http,
                            .was_asked = was_asked };

int main(void)
{
    const struct CMUnitTest tests[] = { CONFORMANCE_TESTS(&http) };
    return cmocka_run_group_tests_name("http", tests, NULL, NULL);
}
