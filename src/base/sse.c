/* Collects each line in a buffer and interprets it when it ends. */
#include "base/sse.h"

#include <string.h>

/* Some servers begin with a byte order mark, which is not part of the first field's name. */
static const char byte_order_mark[] = "\xEF\xBB\xBF";

void sse_init(sse_parser *parser, size_t line_max)
{
    *parser = (sse_parser){ 0 };
    buf_init(&parser->line, line_max);
    buf_init(&parser->data, line_max);
    buf_init(&parser->type, line_max);
}

void sse_free(sse_parser *parser)
{
    buf_free(&parser->line);
    buf_free(&parser->data);
    buf_free(&parser->type);
}

/* The status of all three buffers in one; buffers stay failed, and so does the parser. */
static sse_result sse_failure(const sse_parser *parser)
{
    const buf *parts[] = { &parser->line, &parser->data, &parser->type };
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++)
        if (parts[i]->status != S2A_OK)
            return parts[i]->status == S2A_LIMIT ? SSE_LIMIT : SSE_NOMEM;
    return SSE_MORE;
}

static bool is_field(const char *name, size_t len, const char *field)
{
    return len == strlen(field) && !memcmp(name, field, len);
}

/* Ignores id and retry (clients cannot reconnect to a generation), comments (a line that begins
 * with a colon has an empty name) and unknown fields. */
static void sse_field(sse_parser *parser, const char *line, size_t len)
{
    const char *colon = len ? memchr(line, ':', len) : NULL;
    size_t name_len = colon ? (size_t)(colon - line) : len;
    const char *value = colon ? colon + 1 : line + len;
    size_t value_len = (size_t)(line + len - value);
    if (value_len && *value == ' ') {
        value++;
        value_len--;
    }
    if (is_field(line, name_len, "data")) {
        if (parser->has_data)
            buf_add(&parser->data, "\n", 1);
        buf_add(&parser->data, value, value_len);
        parser->has_data = true;
    } else if (is_field(line, name_len, "event")) {
        buf_reset(&parser->type);
        buf_add(&parser->type, value, value_len);
    }
}

static void sse_clear_event(sse_parser *parser)
{
    buf_reset(&parser->data);
    buf_reset(&parser->type);
    parser->has_data = parser->dispatched = false;
}

static sse_result sse_dispatch(sse_parser *parser, sse_event *event)
{
    *event = (sse_event){
        .type = parser->type.data ? parser->type.data : "",
        .data = parser->data.data ? parser->data.data : "",
        .len = parser->data.len,
    };
    parser->dispatched = true;
    return SSE_EVENT;
}

/* The line in the buffer has ended: a field, or the end of the event. */
static sse_result sse_line(sse_parser *parser, sse_event *event)
{
    const char *line = parser->line.data ? parser->line.data : "";
    size_t len = parser->line.len;
    size_t mark = sizeof byte_order_mark - 1;
    if (parser->line_count++ == 0 && len >= mark && !memcmp(line, byte_order_mark, mark)) {
        line += mark;
        len -= mark;
    }
    bool empty = len == 0;
    if (!empty)
        sse_field(parser, line, len);
    buf_reset(&parser->line);
    sse_result failure = sse_failure(parser);
    if (failure != SSE_MORE || !empty)
        return failure;
    if (parser->has_data)
        return sse_dispatch(parser, event);
    sse_clear_event(parser);
    return SSE_MORE;
}

/* Bytes before the first CR or LF; len when there is none. */
static size_t line_part(const char *data, size_t len)
{
    size_t part = 0;
    while (part < len && data[part] != '\n' && data[part] != '\r')
        part++;
    return part;
}

sse_result sse_next(sse_parser *parser, const char **data, size_t *len, sse_event *event)
{
    sse_result result = sse_failure(parser);
    if (result == SSE_MORE && parser->dispatched)
        sse_clear_event(parser);
    while (result == SSE_MORE && *len) {
        if (parser->after_cr) {
            parser->after_cr = false;
            if (**data == '\n') {
                ++*data;
                --*len;
                continue;
            }
        }
        size_t part = line_part(*data, *len);
        buf_add(&parser->line, *data, part);
        *data += part;
        *len -= part;
        result = sse_failure(parser);
        if (result == SSE_MORE && *len) {
            parser->after_cr = **data == '\r';
            ++*data;
            --*len;
            result = sse_line(parser, event);
        }
    }
    return result;
}

sse_result sse_finish(sse_parser *parser, sse_event *event)
{
    sse_result result = sse_failure(parser);
    if (result == SSE_MORE && parser->dispatched)
        sse_clear_event(parser);
    if (result == SSE_MORE && parser->line.len)
        result = sse_line(parser, event);
    if (result == SSE_MORE && parser->has_data)
        result = sse_dispatch(parser, event);
    return result;
}
