/* SIGINT, SIGTERM and SIGHUP; the last one stays ignored where it is, as under nohup. Until signals_defer they end the tool at once; after, the first one fires the
 * cancel handle so that what runs can end in order, and the second one ends the tool at once. The
 * only state of the tool that is not on a stack: a handler has no other way to it. */
#ifndef S2A_CLI_SIGNALS_H
#define S2A_CLI_SIGNALS_H

#include "s2a.h"

/* The handle must live until the tool ends. False when the pipe could not be made. */
bool signals_install(s2a_cancel *cancel);
void signals_defer(void);

/* The signal that came after signals_defer; 0 = none. */
int signals_caught(void);

/* Waits until fd can be read, or is at its end; false when a signal came instead. */
bool signals_wait_readable(int fd);

#endif
