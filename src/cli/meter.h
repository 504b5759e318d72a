/* The progress of a download on stderr: a bar that is drawn again in place when stderr is a
 * terminal, a plain line every few seconds otherwise. One thread. */
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

/* quiet: nothing at all is written, meter_say included. */
void meter_init(meter *m, const char *label, bool quiet);
/* A new count from bytes to total. */
void meter_start(meter *m, const char *what, uint64_t bytes, uint64_t total);
/* May be called as often as one likes. A count lower than before is taken for the one before: a
 * part that is read again does not move the bar back. */
void meter_update(meter *m, uint64_t bytes);
/* Takes the bar away. */
void meter_stop(meter *m);
/* "s2a: " and one line, above the bar. */
void meter_say(meter *m, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* 1117320768 as "1.12 GB"; text of at most 16 bytes. */
void meter_size(uint64_t bytes, char text[16]);

#endif
