/* The cancel handle: one flag that any thread, or a signal handler, may set. */
#include "base/cancel.h"

#include <stdatomic.h>
#include <stdlib.h>

struct s2a_cancel {
    /* Lock-free, so async-signal-safe (C11 7.14.1.1). */
    atomic_int fired;
};

s2a_cancel *s2a_cancel_new(void)
{
    s2a_cancel *cancel = malloc(sizeof *cancel);
    if (cancel)
        atomic_init(&cancel->fired, 0);
    return cancel;
}

void s2a_cancel_free(s2a_cancel *cancel)
{
    free(cancel);
}

void s2a_cancel_fire(s2a_cancel *cancel)
{
    if (cancel)
        atomic_store(&cancel->fired, 1);
}

void s2a_cancel_reset(s2a_cancel *cancel)
{
    if (cancel)
        atomic_store(&cancel->fired, 0);
}

bool cancel_fired(const s2a_cancel *cancel)
{
    return cancel && atomic_load(&cancel->fired) != 0;
}
