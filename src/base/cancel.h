/* The cancel handle of s2a.h, as those see it who look whether it fired. */
#ifndef S2A_BASE_CANCEL_H
#define S2A_BASE_CANCEL_H

#include "s2a.h"

/* True once s2a_cancel_fire was called; false for NULL. */
bool cancel_fired(const s2a_cancel *cancel);

#endif
