/* The monotonic clock. */
#ifndef S2A_BASE_CLOCK_H
#define S2A_BASE_CLOCK_H

/* Milliseconds since some fixed moment; never decreases. */
double clock_ms(void);

#endif
