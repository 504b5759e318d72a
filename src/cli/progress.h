/* The progress line on stderr: redrawn in place at most ten times a second, and removed before
 * anything else is written. Terminals only. One thread. */
#ifndef S2A_CLI_PROGRESS_H
#define S2A_CLI_PROGRESS_H

#include "cli/term.h"

typedef struct progress {
    bool on, drawn;
    double started_ms, shown_ms;
    int step; /* step of the counted tokens; 0 = no token yet */
    uint64_t tokens;
} progress;

void progress_init(progress *p, const term *t);
/* Starts a new activity. */
void progress_start(progress *p, const char *what);
/* Counts a token of the step. label NULL: "step N". */
void progress_token(progress *p, int step, const char *label);
/* Draws any line, with the same rate limit. */
void progress_draw(progress *p, const char *format, ...) __attribute__((format(printf, 2, 3)));
void progress_clear(progress *p);

#endif
