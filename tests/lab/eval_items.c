#include "eval_items.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "scripted.h"

eval_data eval_items_read(eval_data_options options, const char *text)
{
    char *path = temporary_file(text, strlen(text));
    eval_data data;
    s2a_error err = { .status = S2A_OK };
    options.path = path;
    if (eval_data_read(&options, &data, &err) != S2A_OK)
        fail_msg("%s", err.message);
    unlink(path);
    free(path);
    return data;
}

const char *eval_item_pieces(const eval_item *item, eval_label label)
{
    static char out[4096];
    size_t n = 0, last = 0;
    for (size_t i = 0; i < item->piece_count; i++) {
        const eval_piece *p = &item->pieces[i];
        assert_true(last <= p->start && p->start < p->end && p->end <= strlen(item->x));
        last = p->end;
        if (p->label == label)
            n += (size_t)snprintf(out + n, sizeof out - n, "%s%.*s", n ? "|" : "",
                                  (int)(p->end - p->start), item->x + p->start);
    }
    out[n] = '\0';
    return out;
}
