/* The line on stderr that says that something is going on: drawn again in place, at most ten times
 * a second, and taken away before anything else is written. Terminals only. One thread. */
#ifndef S2A_CLI_PROGRESS_H
#define S2A_CLI_PROGRESS_H

#include "cli/term.h"

typedef struct progress {
    bool on, drawn;
    double started_ms, shown_ms;
    int step; /* of the tokens counted; 0 = none came yet */
    uint64_t tokens;
} progress;

void progress_init(progress *p, const term *t);
/* A new thing begins. */
void progress_start(progress *p, const char *what);
/* A token of that step came. label NULL: "step N". */
void progress_token(progress *p, int step, const char *label);
/* Any line, on the same terms. */
void progress_draw(progress *p, const char *format, ...) __attribute__((format(printf, 2, 3)));
void progress_clear(progress *p);

#endif
