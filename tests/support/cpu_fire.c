#include "cpu_fire.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/time.h>
#include <time.h>

static s2a_cancel *to_fire;
static volatile double fired; /* 0 = not yet */

double cpu_seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void fire(int number)
{
    (void)number;
    if (fired > 0 || !to_fire)
        return;
    s2a_cancel_fire(to_fire);
    fired = cpu_seconds();
}

static void set_timer(long microseconds)
{
    struct itimerval timer = { .it_value = { .tv_usec = microseconds } };
    struct sigaction action = { .sa_handler = fire };
    if (sigaction(SIGPROF, &action, NULL) != 0 || setitimer(ITIMER_PROF, &timer, NULL) != 0) {
        perror("cpu_fire.c: a timer of CPU time");
        abort();
    }
}

void cpu_fire_begin(s2a_cancel *cancel, long microseconds)
{
    fired = 0;
    to_fire = cancel;
    set_timer(microseconds);
}

double cpu_fire_end(void)
{
    double took = fired > 0 ? cpu_seconds() - fired : 0;
    set_timer(0);
    to_fire = NULL;
    return took;
}
