/* Request ids, and the file of keys: whatever a client or a file says, an id has nothing in it that
 * could end a field, a log line or a JSON string, and keys are read or refused by one line. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "serve/headers.h"
#include "serve/keys.h"
#include "serve/serve_limits.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = strndup((const char *)data, size), id[HEADERS_ID_SIZE];
    headers_request_id(text, id);
    size_t len = strlen(id);
    if (len == 0 || len > SERVE_ID_BYTES)
        abort();
    for (const char *p = id; *p; p++)
        if (*p <= ' ' || *p > '~' || *p == '"' || *p == '\\')
            abort();
    http_field fields[3] = { { (char *)"Connection", text },
                             { text, text },
                             { (char *)"X", text } };
    http_field out[3];
    if (headers_forward(fields, 3, false, out, 3) > 3 || headers_back(fields, 3, out, 3) > 3)
        abort();
    keys *k = NULL;
    s2a_error err = { .status = S2A_OK };
    s2a_status status = keys_parse("f", (const char *)data, size, &k, &err);
    if ((status == S2A_OK) != (k != NULL) || (k && keys_count(k) == 0))
        abort();
    if (status != S2A_OK && strpbrk(err.message, "\r\n"))
        abort();
    keys_free(k);
    free(text);
    return 0;
}
