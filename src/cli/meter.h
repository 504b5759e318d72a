/* Progress of a download on stderr: a bar that is redrawn in place if stderr is a terminal,
 * otherwise a plain line every few seconds. One thread. */
#ifndef S2A_CLI_METER_H
#define S2A_CLI_METER_H

#include "s2a.h"

typedef struct meter {
    const char *label; /* borrowed */
    const char *what;  /* "downloading", "checking"; borrowed */
    uint64_t total, bytes;
    bool quiet, terminal, drawn;
    double shown_ms;
    double rate; /* bytes a second, smoothed */
    double rate_ms;
    uint64_t rate_bytes; /* bytes at rate_ms */
} meter;

/* quiet: write nothing, not even in meter_say. */
void meter_init(meter *m, const char *label, bool quiet);
/* Starts a new count from bytes to total. */
void meter_start(meter *m, const char *what, uint64_t bytes, uint64_t total);
/* May be called often: it limits its own rate. A count below the last one is ignored, so that a
 * part that is read again does not move the bar back. */
void meter_update(meter *m, uint64_t bytes);
/* Removes the bar. */
void meter_stop(meter *m);
/* Writes "s2a: " and one line, above the bar. */
void meter_say(meter *m, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Formats a size: 1117320768 as "1.12 GB". */
void meter_size(uint64_t bytes, char text[16]);

#endif
