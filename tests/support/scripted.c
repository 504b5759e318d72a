#include "scripted.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

char *temporary_file(const char *text, size_t len)
{
    char *path = strdup("/tmp/s2a-test-XXXXXX");
    assert_non_null(path);
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, len), (ssize_t)len);
    close(fd);
    return path;
}

s2a_engine *scripted_engine_with(const char *records, s2a_engine_options options)
{
    char *path = temporary_file(records, strlen(records));
    options.backend = "script";
    options.model = path;
    s2a_engine *engine = NULL;
    s2a_error err;
    if (s2a_engine_open(&options, &engine, &err) != S2A_OK)
        fail_msg("engine: %s", err.message);
    unlink(path);
    free(path);
    return engine;
}

s2a_engine *scripted_engine(const char *records)
{
    s2a_engine_options options;
    s2a_engine_options_init(&options);
    return scripted_engine_with(records, options);
}

s2a_request *scripted_request(const char *text)
{
    s2a_request *request = s2a_request_new();
    assert_non_null(request);
    s2a_error err;
    if (s2a_request_set_text(request, text, strlen(text), &err) != S2A_OK)
        fail_msg("request: %s", err.message);
    assert_int_equal(s2a_request_set_sampling(request, 0, 1, 0, &err), S2A_OK);
    return request;
}
