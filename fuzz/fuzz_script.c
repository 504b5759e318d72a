/* A replay file of any bytes, in memory; the first byte is the number of tokens asked for. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "backend/backend.h"
#include "base/utf8.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int on_token(void *ctx, const char *text, size_t len)
{
    size_t *left = ctx;
    if (len == 0 || utf8_valid_prefix(text, len) < len || len > *left)
        abort();
    *left -= len;
    return 0;
}

static void replay(backend *b, const backend_params *params, size_t size)
{
    static const backend_message message = { "user", "a prompt with words", 19 };
    for (int i = 0; i < 4; i++) {
        backend_usage usage;
        s2a_error err = { .status = S2A_OK };
        size_t left = size;
        s2a_status status =
            b->vtable->generate(b, &message, 1, params, NULL, on_token, &left, &usage, &err);
        if (status != err.status || strchr(err.message, '\n'))
            abort();
        if (usage.tokens.prompt_tokens != 4 ||
            (params->max_tokens > 0 && usage.tokens.completion_tokens > params->max_tokens))
            abort();
    }
}

/* Whatever a record says, each piece that is wanted has its figures, and nothing else does. */
static void tell(backend *b, const backend_params *params)
{
    static const backend_message message = { "user", "a prompt with words", 19 };
    static const backend_piece pieces[] = { { "a", 1, false }, { "b", 1, true }, { "c", 1, true } };
    const backend_head head = { .row_count = 3 };
    for (int i = 0; i < 4; i++) {
        backend_usage usage;
        s2a_error err = { .status = S2A_OK };
        double told[7];
        told[6] = 77;
        s2a_status status =
            b->vtable->read(b, &message, 1, pieces, 3, &head, params, told, NULL, &usage, &err);
        if (status != err.status || strchr(err.message, '\n') || !(told[6] == 77))
            abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    int fd = memfd_create("replay", MFD_CLOEXEC);
    if (fd < 0 || write(fd, data + 1, size - 1) != (ssize_t)(size - 1))
        abort();
    char path[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    s2a_engine_options options;
    s2a_engine_options_init(&options);
    options.model = path;
    options.request_timeout_ms = 1;
    backend *b = NULL;
    s2a_error err = { .status = S2A_OK };
    s2a_status status = backend_script_open(&options, NULL, &b, &err);
    if (status == S2A_OK) {
        backend_params params = { .max_tokens = data[0] };
        replay(b, &params, size);
        if (b->vtable->capabilities(b).can_read)
            tell(b, &params);
        b->vtable->close(b);
    } else if (b || status != err.status || status != S2A_MODEL) {
        abort();
    }
    close(fd);
    return 0;
}
