/* Counts the tokens of a request. */
#include "base/error.h"
#include "core/engine.h"
#include "core/request.h"

#include <stdlib.h>

s2a_status s2a_count_tokens(s2a_engine *engine, const s2a_request *request, size_t *tokens,
                            s2a_error *err)
{
    backend *b = engine->backend;
    char *x = NULL;
    size_t len = 0;
    s2a_span question;
    *tokens = 0;
    if (!b->vtable->count_prompt)
        return error_set(err, S2A_UNSUPPORTED, "this backend cannot count the tokens of a prompt");
    s2a_status status = request_prompt(request, true, &x, &len, &question, err);
    if (status != S2A_OK)
        return status;
    size_t count = request->form == REQUEST_MESSAGES ? request->message_count : 1;
    backend_message *messages = calloc(count, sizeof *messages);
    const char **fields = request_message_fields(request);
    const backend_params params = { .chat_fields = request->chat_fields, .message_fields = fields };
    for (size_t i = 0; messages && i + 1 < count; i++)
        messages[i] = (backend_message){ request->messages[i].role, request->messages[i].content,
                                         request->messages[i].len };
    if (messages && fields) {
        messages[count - 1] = (backend_message){ request_last_role(request), x, len };
        status = b->vtable->count_prompt(b, messages, count, &params, tokens, err);
    } else {
        status = error_nomem(err);
    }
    free(fields);
    free(messages);
    free(x);
    return status;
}
