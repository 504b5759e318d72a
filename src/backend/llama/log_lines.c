#include "log_lines.h"

#include "base/error.h"
#include "base/utf8.h"

#include <stdio.h>
#include <string.h>

void log_lines_end(log_lines *l)
{
    if (l->len == 0)
        return;
    l->line[l->len] = '\0';
    l->line[utf8_cut(l->line, sizeof l->line - 4)] = '\0';
    l->len = 0;
    if (l->level == 0 && !l->fault[0])
        snprintf(l->fault, sizeof l->fault, "%.*s", (int)utf8_cut(l->line, sizeof l->fault - 1),
                 l->line);
    if (l->log)
        l->log(l->log_ctx, l->level, l->line);
}

void log_lines_add(log_lines *l, int level, const char *text)
{
    if (level >= 0) {
        log_lines_end(l);
        l->level = level;
    }
    for (; *text; text++) {
        if (*text == '\n')
            log_lines_end(l);
        else if (l->len < sizeof l->line - 1)
            l->line[l->len++] = *text;
    }
}

const char *log_lines_fault(const log_lines *l, const char *otherwise)
{
    if (!l->fault[0])
        return otherwise;
    /* "llama_model_load: error loading model: tensor ... is not within the file bounds": a
     * function's name tells a user nothing. */
    const char *cause = strstr(l->fault, "error loading model: ");
    if (cause)
        return cause + strlen("error loading model: ");
    const char *colon = strstr(l->fault, ": ");
    return colon && !memchr(l->fault, ' ', (size_t)(colon - l->fault)) ? colon + 2 : l->fault;
}
