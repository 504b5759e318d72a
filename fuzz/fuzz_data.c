/* The readers of s2a eval over any bytes; the first byte names the task. Pieces index their
 * prompts. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "eval/data.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const eval_item *item)
{
    size_t len = strlen(item->x), at = 0;
    if (!item->id || !item->group || !item->oracle || item->question_start > len)
        abort();
    for (size_t i = 0; i < item->piece_count; i++) {
        if (item->pieces[i].start < at || item->pieces[i].end > len ||
            item->pieces[i].end < item->pieces[i].start)
            abort();
        at = item->pieces[i].end;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1)
        return 0;
    int fd = memfd_create("rows", 0);
    if (fd < 0 || write(fd, data + 1, size - 1) != (ssize_t)(size - 1))
        abort();
    char path[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    eval_data_options options = { .task = (eval_task)(data[0] % EVAL_TASK_COUNT),
                                  .path = path,
                                  .limit = data[0] / 16,
                                  .k = { 1, 3 },
                                  .k_count = 2,
                                  .refuse = (data[0] & 8) != 0 };
    eval_data out;
    if (eval_data_read(&options, &out, NULL) == S2A_OK)
        for (size_t i = 0; i < out.count; i++)
            check(&out.items[i]);
    eval_data_free(&out);
    close(fd);
    return 0;
}
