/* A few lanes. Each is a thread with an epoll that drives a curl multi handle
 * (curl_multi_socket_action), so that an event does not scan idle streams. curl scans them when it
 * chooses a connection for a request: flows are spread over several lanes, so that each has fewer.
 * Other threads leave a wish in the flow and wake its lane; only its thread runs the transfer.
 *
 *
 * lane->lock guards the list of flows with wishes, flow->lock the streamed body. */
#include "serve/upstream.h"

#include "base/buf.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/fetch.h"
#include "base/limits.h"
#include "serve/serve_limits.h"

#include <curl/curl.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum { WISH_START = 1, WISH_CANCEL = 2, WISH_RESUME = 4, WISH_SEND = 8 };
enum { LANES = 4, FIELDS_MAX = 256, KEPT_CONNECTIONS = 64, BUFFER_BYTES = 16384 };

typedef struct lane lane;

struct flow {
    lane *lane;
    flow_handler handler;
    void *ctx;
    atomic_int refs;
    CURL *easy;
    struct curl_slist *list;
    char origin[300];
    /* used by the lane's thread only */
    http_field *fields; /* of the head that is being read */
    size_t field_count, field_cap;
    int status;
    int64_t length;
    size_t head_bytes; /* of the head that is being read */
    bool head_told, head_large, running, ended, paused, send_paused;
    flow *previous, *next; /* in the list of running flows */
    /* guarded by lane->lock */
    unsigned int wishes;
    bool waiting;
    flow *next_wish;
    /* guarded by lock: a streamed body */
    pthread_mutex_t lock;
    buf up_bytes;
    size_t up_at;
    bool up_ended, up_full;
};

struct lane {
    CURLM *multi;
    int epoll, wake;
    double deadline; /* of curl's timer; < 0 = none */
    pthread_t thread;
    bool started;
    flow *running;
    pthread_mutex_t lock;
    flow *wishes, **wishes_end;
    bool stopping;
};

struct upstream {
    upstream_options options;
    lane lanes[LANES];
    atomic_uint next;
};

/* ---- a flow's life ---------------------------------------------------------------------- */

static void fields_clear(flow *f)
{
    for (size_t i = 0; i < f->field_count; i++) {
        free(f->fields[i].name);
        free(f->fields[i].value);
    }
    free(f->fields);
    f->fields = NULL;
    f->field_count = f->field_cap = 0;
}

void flow_unref(flow *f)
{
    if (!f || atomic_fetch_sub(&f->refs, 1) != 1)
        return;
    if (f->easy)
        curl_easy_cleanup(f->easy);
    curl_slist_free_all(f->list);
    fields_clear(f);
    buf_free(&f->up_bytes);
    pthread_mutex_destroy(&f->lock);
    free(f);
}

static void wish(flow *f, unsigned int what)
{
    lane *l = f->lane;
    pthread_mutex_lock(&l->lock);
    f->wishes |= what;
    bool add = !f->waiting;
    if (add) {
        f->waiting = true;
        f->next_wish = NULL;
        atomic_fetch_add(&f->refs, 1);
        *l->wishes_end = f;
        l->wishes_end = &f->next_wish;
    }
    pthread_mutex_unlock(&l->lock);
    uint64_t one = 1;
    ssize_t ignored = add ? write(l->wake, &one, sizeof one) : 0;
    (void)ignored;
}

void flow_cancel(flow *f)
{
    wish(f, WISH_CANCEL);
}

void flow_resume(flow *f)
{
    wish(f, WISH_RESUME);
}

bool flow_send(flow *f, const char *data, size_t len)
{
    pthread_mutex_lock(&f->lock);
    bool taken = f->up_bytes.len - f->up_at < SERVE_UPLOAD_HIGH;
    if (taken)
        buf_add(&f->up_bytes, data, len);
    f->up_full |= !taken;
    pthread_mutex_unlock(&f->lock);
    if (taken)
        wish(f, WISH_SEND);
    return taken;
}

void flow_send_end(flow *f)
{
    pthread_mutex_lock(&f->lock);
    f->up_ended = true;
    pthread_mutex_unlock(&f->lock);
    wish(f, WISH_SEND);
}

/* ---- curl's callbacks ------------------------------------------------------------------- */

/* Adds the field of a line "Name: value\r\n". False when out of memory or if there are too many. */
static bool field_add(flow *f, const char *line, size_t len)
{
    const char *colon = memchr(line, ':', len);
    if (!colon)
        return true;
    const char *from = colon + 1, *to = line + len;
    while (from < to && (*from == ' ' || *from == '\t'))
        from++;
    while (to > from && (to[-1] == '\r' || to[-1] == '\n' || to[-1] == ' ' || to[-1] == '\t'))
        to--;
    void *fields = f->fields;
    if (f->field_count == FIELDS_MAX ||
        !array_reserve(&fields, &f->field_cap, f->field_count + 1, sizeof *f->fields))
        return false;
    f->fields = fields;
    char *name = strndup(line, (size_t)(colon - line)), *value = strndup(from, (size_t)(to - from));
    if (!name || !value) {
        free(name);
        free(value);
        return false;
    }
    if (!strcasecmp(name, "Content-Length"))
        f->length = strtoll(value, NULL, 10);
    f->fields[f->field_count++] = (http_field){ name, value };
    return true;
}

/* One line of a head. There may be several heads: 100 and 103 come before the response. */
static size_t on_header(char *line, size_t size, size_t count, void *ctx)
{
    flow *f = ctx;
    size_t len = size * count;
    if (f->head_told) /* trailers */
        return len;
    f->head_bytes += len;
    if (len >= 5 && !memcmp(line, "HTTP/", 5)) {
        fields_clear(f);
        f->length = -1;
        f->status = 0;
        f->head_bytes = len;
        const char *space = memchr(line, ' ', len);
        if (space)
            f->status = atoi(space + 1);
        return len;
    }
    f->head_large |= f->head_bytes > SERVE_ANSWER_HEAD_BYTES || f->field_count == FIELDS_MAX;
    if (f->head_large)
        return 0;
    if (len > 2 || line[0] != '\r')
        return field_add(f, line, len) ? len : 0;
    if (f->status < 200)
        return len;
    f->head_told = true;
    f->handler.on_head(f->ctx, f->status, f->fields, f->field_count, f->length);
    fields_clear(f);
    return len;
}

static size_t on_body(char *data, size_t size, size_t count, void *ctx)
{
    flow *f = ctx;
    size_t len = size * count;
    if (f->handler.on_data(f->ctx, data, len))
        return len;
    f->paused = true;
    return CURL_WRITEFUNC_PAUSE;
}

static size_t on_upload(char *data, size_t size, size_t count, void *ctx)
{
    flow *f = ctx;
    size_t max = size * count, left = 0;
    bool room = false;
    pthread_mutex_lock(&f->lock);
    left = f->up_bytes.len - f->up_at;
    size_t n = left < max ? left : max;
    memcpy(data, f->up_bytes.data ? f->up_bytes.data + f->up_at : data, n);
    f->up_at += n;
    if (f->up_at == f->up_bytes.len) {
        buf_reset(&f->up_bytes);
        f->up_at = 0;
    }
    bool failed = f->up_bytes.status != S2A_OK, ended = f->up_ended;
    room = f->up_full && f->up_bytes.len - f->up_at < SERVE_UPLOAD_HIGH / 2;
    f->up_full &= !room;
    pthread_mutex_unlock(&f->lock);
    if (room)
        f->handler.on_sent(f->ctx);
    if (failed)
        return CURL_READFUNC_ABORT;
    if (n > 0 || ended)
        return n;
    f->send_paused = true;
    return CURL_READFUNC_PAUSE;
}

static int on_socket(CURL *easy, curl_socket_t socket, int what, void *ctx, void *known)
{
    (void)easy;
    lane *l = ctx;
    if (what == CURL_POLL_REMOVE) {
        epoll_ctl(l->epoll, EPOLL_CTL_DEL, socket, NULL);
        return 0;
    }
    struct epoll_event event = { .data.fd = socket };
    event.events = (what & CURL_POLL_IN ? EPOLLIN : 0u) | (what & CURL_POLL_OUT ? EPOLLOUT : 0u);
    if (!known || epoll_ctl(l->epoll, EPOLL_CTL_MOD, socket, &event) != 0)
        epoll_ctl(l->epoll, EPOLL_CTL_ADD, socket, &event);
    curl_multi_assign(l->multi, socket, l);
    return 0;
}

static int on_timer(CURLM *multi, long ms, void *ctx)
{
    (void)multi;
    lane *l = ctx;
    l->deadline = ms < 0 ? -1 : clock_ms() + (double)ms;
    return 0;
}

/* ---- starting a flow -------------------------------------------------------------------- */

static bool list_add(flow *f, const char *name, const char *value)
{
    buf line;
    buf_init(&line, LIMIT_NONE);
    /* curl sends an empty field only in this form. */
    buf_addf(&line, *value ? "%s: %s" : "%s;", name, value);
    struct curl_slist *list = line.status == S2A_OK ? curl_slist_append(f->list, line.data) : NULL;
    buf_free(&line);
    if (list)
        f->list = list;
    return list != NULL;
}

static bool fields_set(flow *f, const flow_request *q)
{
    /* Fields that curl would add by itself. */
    static const char *const own[] = { "Accept:", "Content-Type:", "Expect:", "User-Agent:" };
    bool ok = true;
    for (size_t i = 0; i < sizeof own / sizeof own[0]; i++) {
        bool given = false;
        size_t n = strlen(own[i]) - 1;
        for (size_t k = 0; k < q->field_count; k++)
            given |= !strncasecmp(q->fields[k].name, own[i], n) && !q->fields[k].name[n];
        struct curl_slist *list = given ? f->list : curl_slist_append(f->list, own[i]);
        ok = ok && (given || list);
        f->list = list ? list : f->list;
    }
    for (size_t i = 0; i < q->field_count && ok; i++) {
        const http_field *field = &q->fields[i];
        if (q->bearer && !strcasecmp(field->name, "Authorization"))
            continue;
        ok = list_add(f, field->name, field->value);
    }
    if (ok && q->bearer) {
        buf value;
        buf_init(&value, 1 << 16);
        buf_addf(&value, "Bearer %s", q->bearer);
        ok = value.status == S2A_OK && list_add(f, "Authorization", value.data);
        buf_free(&value);
    }
    return ok;
}

static bool body_set(flow *f, const flow_request *q)
{
    CURL *e = f->easy;
    if (q->streamed) {
        /* A streamed body cannot be sent twice, and a reused connection may be stale. */
        bool ok = curl_easy_setopt(e, CURLOPT_UPLOAD, 1L) == CURLE_OK &&
                  curl_easy_setopt(e, CURLOPT_READFUNCTION, on_upload) == CURLE_OK &&
                  curl_easy_setopt(e, CURLOPT_READDATA, f) == CURLE_OK &&
                  curl_easy_setopt(e, CURLOPT_FRESH_CONNECT, 1L) == CURLE_OK;
        if (q->streamed_length >= 0)
            return ok && curl_easy_setopt(e, CURLOPT_INFILESIZE_LARGE,
                                          (curl_off_t)q->streamed_length) == CURLE_OK;
        return ok && list_add(f, "Transfer-Encoding", "chunked");
    }
    if (q->body)
        return curl_easy_setopt(e, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)q->body_len) ==
                   CURLE_OK &&
               curl_easy_setopt(e, CURLOPT_POSTFIELDS, q->body) == CURLE_OK;
    return curl_easy_setopt(e, !strcmp(q->method, "HEAD") ? CURLOPT_NOBODY : CURLOPT_HTTPGET, 1L) ==
           CURLE_OK;
}

static bool easy_set(flow *f, const upstream_options *o, const flow_request *q)
{
    CURL *e = f->easy;
    bool ok = true;
#define SET(option, value) ok = ok && curl_easy_setopt(e, option, value) == CURLE_OK
    SET(CURLOPT_URL, q->url);
    SET(CURLOPT_PROTOCOLS_STR, "http,https");
    SET(CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    SET(CURLOPT_REQUEST_TARGET, q->target);
    SET(CURLOPT_PROXY, "");
    SET(CURLOPT_NOSIGNAL, 1L);
    SET(CURLOPT_BUFFERSIZE, (long)BUFFER_BYTES);
    SET(CURLOPT_CONNECTTIMEOUT_MS, (long)o->connect_ms);
    SET(CURLOPT_LOW_SPEED_LIMIT, 1L);
    SET(CURLOPT_LOW_SPEED_TIME, (long)(o->idle_ms + 999) / 1000);
    SET(CURLOPT_HEADERFUNCTION, on_header);
    SET(CURLOPT_HEADERDATA, f);
    SET(CURLOPT_WRITEFUNCTION, on_body);
    SET(CURLOPT_WRITEDATA, f);
    SET(CURLOPT_PRIVATE, f);
#if LIBCURL_VERSION_NUM >= 0x075700
    SET(CURLOPT_QUICK_EXIT, 1L); /* as in fetch.c: else cancelling waits for a name lookup */
#endif
    ok = ok && body_set(f, q) && fields_set(f, q);
    SET(CURLOPT_CUSTOMREQUEST, q->method);
    SET(CURLOPT_HTTPHEADER, f->list);
#undef SET
    return ok;
}

flow *flow_start(upstream *up, const flow_request *q, const flow_handler *handler, void *ctx)
{
    flow *f = calloc(1, sizeof *f);
    if (!f)
        return NULL;
    if (pthread_mutex_init(&f->lock, NULL) != 0) {
        free(f);
        return NULL;
    }
    f->lane = &up->lanes[atomic_fetch_add(&up->next, 1) % LANES];
    f->handler = *handler;
    f->ctx = ctx;
    f->length = -1;
    buf_init(&f->up_bytes, LIMIT_NONE);
    atomic_init(&f->refs, 2); /* the caller's, and one until on_end */
    fetch_origin(q->url, f->origin, sizeof f->origin);
    f->easy = curl_easy_init();
    if (!f->easy || !easy_set(f, &up->options, q)) {
        flow_unref(f);
        flow_unref(f);
        return NULL;
    }
    wish(f, WISH_START);
    return f;
}

/* ---- the thread ------------------------------------------------------------------------- */

static flow_result result_of(const flow *f, CURLcode code)
{
    switch (code) {
    case CURLE_OK:
        return FLOW_DONE;
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_CONNECT:
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_PEER_FAILED_VERIFICATION:
        return FLOW_CONNECT;
    case CURLE_OPERATION_TIMEDOUT: {
        curl_off_t connected = 0;
        curl_easy_getinfo(f->easy, CURLINFO_PRETRANSFER_TIME_T, &connected);
        return connected > 0 ? FLOW_TIMEOUT : FLOW_CONNECT;
    }
    case CURLE_OUT_OF_MEMORY:
        return FLOW_NOMEM;
    default:
        return FLOW_BROKEN;
    }
}

static void flow_end(flow *f, flow_result result, CURLcode code)
{
    if (f->ended)
        return;
    lane *l = f->lane;
    f->ended = true;
    if (f->running) {
        curl_multi_remove_handle(l->multi, f->easy);
        if (f->previous)
            f->previous->next = f->next;
        else
            l->running = f->next;
        if (f->next)
            f->next->previous = f->previous;
        f->running = false;
    }
    char why[400] = "";
    if (result == FLOW_CANCELLED)
        snprintf(why, sizeof why, "cancelled");
    else if (f->head_large)
        snprintf(why, sizeof why, "%.250s: the head of its response is too large", f->origin);
    else if (result != FLOW_DONE)
        snprintf(why, sizeof why, "%.250s: %.120s", f->origin, curl_easy_strerror(code));
    /* The response ended before its head was complete. */
    if (result == FLOW_DONE && !f->head_told) {
        result = FLOW_BROKEN;
        snprintf(why, sizeof why, "%.250s: no response", f->origin);
    }
    f->handler.on_end(f->ctx, result, why);
    flow_unref(f);
}

static void flow_run(flow *f)
{
    lane *l = f->lane;
    f->running = true;
    f->next = l->running;
    if (l->running)
        l->running->previous = f;
    l->running = f;
    if (curl_multi_add_handle(l->multi, f->easy) != CURLM_OK)
        flow_end(f, FLOW_NOMEM, CURLE_OUT_OF_MEMORY);
}

static void flow_unpause(flow *f)
{
    f->paused = f->send_paused = false;
    curl_easy_pause(f->easy, CURLPAUSE_CONT);
}

static void wish_grant(flow *f, unsigned int wishes)
{
    if ((wishes & WISH_CANCEL) && !f->ended) {
        flow_end(f, FLOW_CANCELLED, CURLE_OK);
    } else if (!f->ended) {
        if (wishes & WISH_START)
            flow_run(f);
        bool resume =
            ((wishes & WISH_RESUME) && f->paused) || ((wishes & WISH_SEND) && f->send_paused);
        if (!f->ended && resume)
            flow_unpause(f);
    }
    flow_unref(f);
}

static bool wishes_grant(lane *l)
{
    for (;;) {
        pthread_mutex_lock(&l->lock);
        flow *f = l->wishes;
        unsigned int wishes = 0;
        if (f) {
            l->wishes = f->next_wish;
            if (!l->wishes)
                l->wishes_end = &l->wishes;
            wishes = f->wishes;
            f->wishes = 0;
            f->waiting = false;
        }
        bool stopping = l->stopping;
        pthread_mutex_unlock(&l->lock);
        if (!f)
            return !stopping;
        wish_grant(f, wishes);
    }
}

static void flows_ended(lane *l)
{
    int left = 0;
    CURLMsg *message;
    while ((message = curl_multi_info_read(l->multi, &left))) {
        flow *f = NULL;
        if (message->msg != CURLMSG_DONE)
            continue;
        CURLcode code = message->data.result; /* removing the handle frees the message */
        curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **)&f);
        flow_end(f, result_of(f, code), code);
    }
}

static int wait_ms(const lane *l)
{
    if (l->deadline < 0)
        return -1;
    double left = l->deadline - clock_ms();
    return left <= 0 ? 0 : left > 60000 ? 60000 : (int)left + 1;
}

static void *loop(void *ctx)
{
    lane *l = ctx;
    bool go_on = true;
    while (go_on) {
        struct epoll_event events[64];
        int running = 0, wait = wait_ms(l);
        int count = epoll_wait(l->epoll, events, 64, wait);
        for (int i = 0; i < count; i++) {
            if (events[i].data.fd == l->wake) {
                uint64_t ignored;
                ssize_t n = read(l->wake, &ignored, sizeof ignored);
                (void)n;
                continue;
            }
            int what = (events[i].events & EPOLLIN ? CURL_CSELECT_IN : 0) |
                       (events[i].events & EPOLLOUT ? CURL_CSELECT_OUT : 0) |
                       (events[i].events & (EPOLLERR | EPOLLHUP) ? CURL_CSELECT_ERR : 0);
            curl_multi_socket_action(l->multi, events[i].data.fd, what, &running);
        }
        flows_ended(l);
        go_on = wishes_grant(l);
        if (l->deadline >= 0 && clock_ms() >= l->deadline) {
            l->deadline = -1;
            curl_multi_socket_action(l->multi, CURL_SOCKET_TIMEOUT, 0, &running);
        }
        flows_ended(l);
    }
    while (l->running)
        flow_end(l->running, FLOW_CANCELLED, CURLE_OK);
    wishes_grant(l); /* flows that were just started begin here, and end below */
    while (l->running)
        flow_end(l->running, FLOW_CANCELLED, CURLE_OK);
    return NULL;
}

static s2a_status lane_start(lane *l, s2a_error *err)
{
    l->deadline = -1;
    l->wishes_end = &l->wishes;
    pthread_mutex_init(&l->lock, NULL);
    l->multi = curl_multi_init();
    l->epoll = epoll_create1(EPOLL_CLOEXEC);
    l->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    struct epoll_event event = { .events = EPOLLIN, .data.fd = l->wake };
    if (!l->multi)
        return error_nomem(err);
    if (l->epoll < 0 || l->wake < 0 || epoll_ctl(l->epoll, EPOLL_CTL_ADD, l->wake, &event) != 0)
        return error_set(err, S2A_IO, "epoll: %s", strerror(errno));
    curl_multi_setopt(l->multi, CURLMOPT_SOCKETFUNCTION, on_socket);
    curl_multi_setopt(l->multi, CURLMOPT_SOCKETDATA, l);
    curl_multi_setopt(l->multi, CURLMOPT_TIMERFUNCTION, on_timer);
    curl_multi_setopt(l->multi, CURLMOPT_TIMERDATA, l);
    curl_multi_setopt(l->multi, CURLMOPT_MAXCONNECTS, (long)KEPT_CONNECTIONS);
    l->started = pthread_create(&l->thread, NULL, loop, l) == 0;
    return l->started ? S2A_OK : error_set(err, S2A_INTERNAL, "no thread can be started");
}

static void lane_stop(lane *l)
{
    if (l->started) {
        uint64_t one = 1;
        pthread_mutex_lock(&l->lock);
        l->stopping = true;
        pthread_mutex_unlock(&l->lock);
        ssize_t ignored = write(l->wake, &one, sizeof one);
        (void)ignored;
        pthread_join(l->thread, NULL);
    }
    if (l->multi)
        curl_multi_cleanup(l->multi);
    if (l->epoll >= 0)
        close(l->epoll);
    if (l->wake >= 0)
        close(l->wake);
    pthread_mutex_destroy(&l->lock);
}

s2a_status upstream_start(const upstream_options *options, upstream **out, s2a_error *err)
{
    *out = NULL;
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
        return error_nomem(err);
    upstream *up = calloc(1, sizeof *up);
    if (!up)
        return error_nomem(err);
    up->options = *options;
    s2a_status status = S2A_OK;
    size_t count = 0;
    while (count < LANES && status == S2A_OK)
        status = lane_start(&up->lanes[count++], err);
    if (status != S2A_OK) {
        while (count > 0)
            lane_stop(&up->lanes[--count]);
        free(up);
        return status;
    }
    *out = up;
    return S2A_OK;
}

void upstream_stop(upstream *up)
{
    if (!up)
        return;
    for (size_t i = 0; i < LANES; i++)
        lane_stop(&up->lanes[i]);
    free(up);
}
