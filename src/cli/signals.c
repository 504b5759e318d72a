#include "cli/signals.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <unistd.h>

static s2a_cancel *handle;
static int wake[2] = { -1, -1 }; /* readable once a signal came, also before poll() */
/* lock-free: for a handler as well as for threads */
static atomic_int deferred, converses, caught, waits_no_more;

static void on_signal(int number)
{
    int saved = errno;
    if (!deferred || (caught && !(converses && number == SIGINT)))
        _exit(128 + number);
    caught = number;
    s2a_cancel_fire(handle);
    ssize_t ignored = write(wake[1], "", 1);
    (void)ignored;
    errno = saved;
}

bool signals_install(s2a_cancel *cancel)
{
    if (pipe2(wake, O_CLOEXEC | O_NONBLOCK) != 0)
        return false;
    handle = cancel;
    /* SA_RESTART: writing a line continues to its end. Waits for input use poll(), which a signal
     * interrupts all the same. */
    struct sigaction action = { .sa_handler = on_signal, .sa_flags = SA_RESTART };
    sigemptyset(&action.sa_mask);
    /* Also if the signal is ignored, as SIGINT is in a script's background jobs: it was sent on
     * purpose. */
    if (sigaction(SIGINT, &action, NULL) != 0 || sigaction(SIGTERM, &action, NULL) != 0)
        return false;
    /* SIGHUP: the terminal is gone. If it is ignored, as under nohup, it stays ignored. */
    struct sigaction before;
    return sigaction(SIGHUP, NULL, &before) == 0 &&
           (before.sa_handler == SIG_IGN || sigaction(SIGHUP, &action, NULL) == 0);
}

void signals_defer(void)
{
    deferred = 1;
}

void signals_converse(void)
{
    converses = 1;
}

bool signals_take_interrupt(void)
{
    int interrupt = SIGINT;
    if (!converses || !atomic_compare_exchange_strong(&caught, &interrupt, 0))
        return false;
    char bytes[64];
    while (read(wake[0], bytes, sizeof bytes) > 0)
        continue;
    if (!caught) /* a signal that came since then has fired it */
        s2a_cancel_reset(handle);
    return true;
}

int signals_caught(void)
{
    return caught;
}

void signals_stop_waiting(void)
{
    waits_no_more = 1;
    ssize_t ignored = write(wake[1], "", 1);
    (void)ignored;
}

static bool waits(void)
{
    return !caught && !waits_no_more;
}

bool signals_wait_readable(int fd)
{
    struct pollfd fds[2] = { { .fd = fd, .events = POLLIN }, { .fd = wake[0], .events = POLLIN } };
    while (waits()) {
        if (poll(fds, 2, -1) < 0 && errno != EINTR)
            return true; /* read() will report the fault */
        if (fds[0].revents)
            return waits();
    }
    return false;
}
