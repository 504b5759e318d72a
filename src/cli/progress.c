#include "cli/progress.h"

#include "base/clock.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#define DRAW_EVERY_MS 100.0

void progress_init(progress *p, const term *t)
{
    *p = (progress){ .on = t->narration };
}

void progress_clear(progress *p)
{
    if (p->drawn) {
        fputs("\r\033[K", stderr);
        fflush(stderr);
    }
    p->drawn = false;
}

void progress_draw(progress *p, const char *format, ...)
{
    double now = clock_ms();
    if (!p->on || now - p->shown_ms < DRAW_EVERY_MS)
        return;
    p->shown_ms = now;
    char text[128];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    fprintf(stderr, "\rs2a: %s\033[K", text);
    fflush(stderr);
    p->drawn = true;
}

void progress_start(progress *p, const char *what)
{
    p->started_ms = clock_ms();
    p->shown_ms = 0;
    p->step = 0;
    p->tokens = 0;
    progress_draw(p, "%s", what);
}

void progress_token(progress *p, int step, const char *label)
{
    if (step != p->step) {
        p->step = step;
        p->tokens = 0;
    }
    p->tokens++;
    char name[16];
    snprintf(name, sizeof name, "step %d", step);
    progress_draw(p, "%s, %" PRIu64 " tokens, %.1f s", label ? label : name, p->tokens,
                  (clock_ms() - p->started_ms) / 1e3);
}
