/* Time that only goes forward. */
#ifndef S2A_BASE_CLOCK_H
#define S2A_BASE_CLOCK_H

/* Milliseconds of the monotonic clock. */
double clock_ms(void);

#endif
