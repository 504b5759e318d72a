/* A cancel handle that a timer of CPU time fires in the thread that works: what another thread
 * does, and when it gets its turn, has no part in the time from there to the end. For programs
 * whose other threads wait. */
#ifndef S2A_TESTS_CPU_FIRE_H
#define S2A_TESTS_CPU_FIRE_H

#include "s2a.h"

#include <stdbool.h>

/* CPU time of this thread. */
double cpu_seconds(void);

/* Fires after these microseconds of CPU time, fewer than a million. */
void cpu_fire_begin(s2a_cancel *cancel, long microseconds);
/* The CPU time since it fired; 0 if it did not. It does not fire any more. */
double cpu_fire_end(void);

#endif
