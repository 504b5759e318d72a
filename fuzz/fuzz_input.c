/* A line of --jsonl: any bytes are a request, or an error of one line. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"
#include "cli/input.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_error(const s2a_error *err, size_t size)
{
    for (const char *p = err->message; *p; p++)
        if ((unsigned char)*p < 0x20 || *p == 0x7f)
            abort();
    if (!err->message[0] || (err->position != S2A_NO_POSITION && err->position > size))
        abort();
    if (utf8_valid_prefix(err->message, strlen(err->message)) < strlen(err->message))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    s2a_error err = { .status = S2A_OK };
    json_t *line = input_parse_json("line 7", (const char *)data, size, &err);
    if (!line) {
        if (err.status != S2A_INPUT)
            abort();
        check_error(&err, size);
        return 0;
    }
    s2a_request *request = s2a_request_new();
    if (!request)
        abort();
    /* Twice: the second must not see the first. */
    s2a_status first = input_from_json(line, request, &err);
    s2a_error again = { .status = S2A_OK };
    if (input_from_json(line, request, &again) != first)
        abort();
    if (first != S2A_OK) {
        if (first != err.status ||
            (first != S2A_INPUT && first != S2A_ARGUMENT && first != S2A_LIMIT))
            abort();
        check_error(&err, (size_t)-2);
    }
    s2a_request_free(request);
    json_decref(line);
    return 0;
}
