/* Polls the cancel handle of s2a.h. */
#ifndef S2A_BASE_CANCEL_H
#define S2A_BASE_CANCEL_H

#include "s2a.h"

/* True after s2a_cancel_fire; false for NULL. */
bool cancel_fired(const s2a_cancel *cancel);

#endif
