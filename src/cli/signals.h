/* SIGINT, SIGTERM and SIGHUP. A SIGHUP that is ignored stays ignored, as under nohup. Before
 * signals_defer a signal ends the tool at once. After it, the first signal fires the cancel handle,
 * so that the work ends cleanly, and the second one ends the tool at once. The state is global,
 * because a signal handler can access nothing else. */
#ifndef S2A_CLI_SIGNALS_H
#define S2A_CLI_SIGNALS_H

#include "s2a.h"

/* The handle must live until the tool ends. False if the pipe could not be made. */
bool signals_install(s2a_cancel *cancel);
void signals_defer(void);
/* For a conversation, after signals_defer: SIGINT only cancels, however often it comes. */
void signals_converse(void);
/* After signals_converse: forgets a SIGINT and makes the cancel handle usable again; other signals
 * stay. True if there was one. No request that holds the handle may be running. */
bool signals_take_interrupt(void);

/* The signal that came after signals_defer; 0 = none. */
int signals_caught(void);

/* Waits until fd is readable or at its end; false if a signal, or signals_stop_waiting, came
 * first. */
bool signals_wait_readable(int fd);

/* Ends all waiting, now and later, from any thread: what is read has nowhere to go. */
void signals_stop_waiting(void);

#endif
