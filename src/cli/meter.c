#include "cli/meter.h"

#include "base/clock.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define BAR_EVERY_MS 200.0
#define LINE_EVERY_MS 5000.0
#define RATE_EVERY_MS 500.0
#define BAR_MAX 40

void meter_init(meter *m, const char *label, bool quiet)
{
    *m = (meter){ .label = label, .what = "", .quiet = quiet };
    m->terminal = isatty(STDERR_FILENO) == 1;
}

void meter_size(uint64_t bytes, char text[16])
{
    static const struct {
        double unit;
        const char *format;
    } sizes[] = { { 1e9, "%.2f GB" }, { 1e6, "%.1f MB" }, { 1e3, "%.1f kB" } };
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++)
        if ((double)bytes >= sizes[i].unit) {
            snprintf(text, 16, sizes[i].format, (double)bytes / sizes[i].unit);
            return;
        }
    snprintf(text, 16, "%u B", (unsigned)bytes);
}

void meter_start(meter *m, const char *what, uint64_t bytes, uint64_t total)
{
    m->what = what;
    m->bytes = m->rate_bytes = bytes;
    m->total = total;
    m->rate = 0;
    /* The first line is printed only after a while: short work needs none. */
    m->shown_ms = m->rate_ms = clock_ms();
}

static void measure_rate(meter *m, double now)
{
    if (now - m->rate_ms < RATE_EVERY_MS)
        return;
    double last = (double)(m->bytes - m->rate_bytes) * 1e3 / (now - m->rate_ms);
    m->rate = m->rate > 0 ? 0.7 * m->rate + 0.3 * last : last;
    m->rate_ms = now;
    m->rate_bytes = m->bytes;
}

/* "503.2 MB of 1.12 GB, 45 %, 35.2 MB/s, ETA 0:17" */
static void numbers(const meter *m, char *text, size_t size)
{
    char have[16], all[16], rate[16], speed[64] = "";
    uint64_t left = m->total > m->bytes ? m->total - m->bytes : 0;
    meter_size(m->bytes, have);
    meter_size(m->total, all);
    meter_size((uint64_t)m->rate, rate);
    if (m->rate >= 1 && (double)left / m->rate < 360000) {
        unsigned seconds = (unsigned)((double)left / m->rate + 0.5);
        unsigned hours = seconds / 3600, minutes = seconds / 60 % 60;
        if (hours)
            snprintf(speed, sizeof speed, ", %s/s, ETA %u:%02u:%02u", rate, hours, minutes,
                     seconds % 60);
        else
            snprintf(speed, sizeof speed, ", %s/s, ETA %u:%02u", rate, minutes, seconds % 60);
    }
    unsigned percent = m->total ? (unsigned)((double)m->bytes * 100 / (double)m->total) : 100;
    snprintf(text, size, "%s of %s, %u %%%s", have, all, percent, speed);
}

static size_t terminal_columns(void)
{
    struct winsize size;
    if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0)
        return size.ws_col;
    return 80;
}

static void draw_bar(meter *m)
{
    char text[128], bar[BAR_MAX + 3] = "";
    numbers(m, text, sizeof text);
    size_t used = strlen(m->what) + strlen(text) + 6, columns = terminal_columns();
    size_t width = columns > used ? columns - used : 0;
    if (width > BAR_MAX)
        width = BAR_MAX;
    if (width >= 5) {
        size_t full =
            m->total ? (size_t)((double)m->bytes / (double)m->total * (double)width) : width;
        memset(bar + 1, '.', width);
        memset(bar + 1, '#', full < width ? full : width);
        bar[0] = '[';
        bar[width + 1] = ']';
    }
    fprintf(stderr, "\r%s %s %.*s\033[K", m->what, bar, (int)sizeof text, text);
    fflush(stderr);
    m->drawn = true;
}

void meter_update(meter *m, uint64_t bytes)
{
    double now = clock_ms();
    if (bytes > m->bytes)
        m->bytes = bytes;
    measure_rate(m, now);
    if (m->quiet || now - m->shown_ms < (m->terminal ? BAR_EVERY_MS : LINE_EVERY_MS))
        return;
    m->shown_ms = now;
    if (m->terminal) {
        draw_bar(m);
    } else {
        char text[128];
        numbers(m, text, sizeof text);
        fprintf(stderr, "s2a: %s: %s: %s\n", m->label, m->what, text);
    }
}

void meter_stop(meter *m)
{
    if (m->drawn) {
        fputs("\r\033[K", stderr);
        fflush(stderr);
    }
    m->drawn = false;
}

void meter_say(meter *m, const char *format, ...)
{
    if (m->quiet)
        return;
    meter_stop(m);
    va_list args;
    va_start(args, format);
    fputs("s2a: ", stderr);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
}
