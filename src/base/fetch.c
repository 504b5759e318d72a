/* Each request is one easy handle on a multi handle, so that we control every wait. curl_multi_poll
 * returns at least every 20 ms if the request can be cancelled, and we check idle and total
 * timeouts separately. A multi handle owns its connections; the pool keeps a few multi handles.
 *
 * CURLOPT_NOSIGNAL leaves SIGPIPE alone: libcurl writes with MSG_NOSIGNAL, through TLS as well
 * from 7.87 on. */
#include "base/fetch.h"

#include "base/buf.h"
#include "base/cancel.h"
#include "base/clock.h"
#include "base/error.h"

#include <curl/curl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum {
    CANCEL_LOOK_MS = 20,
    WAIT_MAX_MS = 1000,
    DRAIN_MS = 100,
    CONNECT_DEFAULT_MS = 60000,
    REDIRECTS_MAX = 10,
    ERROR_BODY_MAX = 64 << 10,
    POOL_MAX = 8,
};

#define TEXT(x) #x
#define NUMBER_TEXT(x) TEXT(x)
#define USER_AGENT                                                                            \
    "s2a/" NUMBER_TEXT(S2A_VERSION_MAJOR) "." NUMBER_TEXT(S2A_VERSION_MINOR) "." NUMBER_TEXT( \
        S2A_VERSION_PATCH)

typedef struct transfer {
    const fetch_request *request;
    fetch_response *response;
    char origin[300];
    CURL *easy;
    CURLM *multi;
    struct curl_slist *headers;
    char curl_text[CURL_ERROR_SIZE];
    buf error_body;
    int64_t range_start, range_total; /* Content-Range of the latest response; -1 = unknown */
    bool connected, head_seen;
    bool head_whole; /* the empty line after the latest response's headers has come */
    bool over;       /* a callback ended the transfer; failure says whether that is an error */
    s2a_status failure;
    double drain_until; /* 0 = not draining */
    double start, active;
    curl_off_t down, up;
} transfer;

/* ---- pool ------------------------------------------------------------------------------- */

struct fetch_pool {
    pthread_mutex_t lock;
    CURLM *idle[POOL_MAX];
    size_t count;
};

static pthread_once_t curl_once = PTHREAD_ONCE_INIT;
static CURLcode curl_ready;

static void curl_start(void)
{
    curl_ready = curl_global_init(CURL_GLOBAL_DEFAULT);
}

fetch_pool *fetch_pool_new(void)
{
    fetch_pool *pool = calloc(1, sizeof *pool);
    if (pool && pthread_mutex_init(&pool->lock, NULL) != 0) {
        free(pool);
        return NULL;
    }
    return pool;
}

void fetch_pool_free(fetch_pool *pool)
{
    if (!pool)
        return;
    while (pool->count)
        curl_multi_cleanup(pool->idle[--pool->count]);
    pthread_mutex_destroy(&pool->lock);
    free(pool);
}

/* Takes the multi handle that was used last: its connections are most likely alive. */
static CURLM *pool_take(fetch_pool *pool)
{
    CURLM *multi = NULL;
    if (pool) {
        pthread_mutex_lock(&pool->lock);
        if (pool->count)
            multi = pool->idle[--pool->count];
        pthread_mutex_unlock(&pool->lock);
    }
    return multi ? multi : curl_multi_init();
}

static void pool_put(fetch_pool *pool, CURLM *multi, bool healthy)
{
    if (pool && healthy) {
        pthread_mutex_lock(&pool->lock);
        if (pool->count < POOL_MAX) {
            pool->idle[pool->count++] = multi;
            multi = NULL;
        }
        pthread_mutex_unlock(&pool->lock);
    }
    if (multi)
        curl_multi_cleanup(multi);
}

/* ---- URLs and headers ------------------------------------------------------------------- */

void fetch_origin(const char *url, char *text, size_t size)
{
    char *scheme = NULL, *host = NULL, *port = NULL;
    CURLU *parsed = curl_url();
    snprintf(text, size, "the server");
    if (parsed && !curl_url_set(parsed, CURLUPART_URL, url, 0) &&
        !curl_url_get(parsed, CURLUPART_SCHEME, &scheme, 0) &&
        !curl_url_get(parsed, CURLUPART_HOST, &host, 0)) {
        if (curl_url_get(parsed, CURLUPART_PORT, &port, 0))
            port = NULL;
        snprintf(text, size, "%s://%s%s%s", scheme, host, port ? ":" : "", port ? port : "");
    }
    curl_free(scheme);
    curl_free(host);
    curl_free(port);
    curl_url_cleanup(parsed);
}

/* A URL without the parts that may hold secrets: user, password, query. */
static void copy_location(char *text, size_t size, const char *url)
{
    static const CURLUPart secret[] = { CURLUPART_USER, CURLUPART_PASSWORD, CURLUPART_OPTIONS,
                                        CURLUPART_QUERY, CURLUPART_FRAGMENT };
    char *plain = NULL;
    CURLU *parsed = curl_url();
    CURLUcode code = parsed ? curl_url_set(parsed, CURLUPART_URL, url, 0) : CURLUE_OUT_OF_MEMORY;
    for (size_t i = 0; !code && i < sizeof secret / sizeof secret[0]; i++)
        code = curl_url_set(parsed, secret[i], NULL, 0);
    if (!code && !curl_url_get(parsed, CURLUPART_URL, &plain, 0))
        snprintf(text, size, "%s", plain);
    curl_free(plain);
    curl_url_cleanup(parsed);
}

static bool has_control(const char *text)
{
    for (; *text; text++)
        if ((unsigned char)*text < 0x20 || *text == 0x7f)
            return true;
    return false;
}

static bool header_append(struct curl_slist **list, const char *header)
{
    struct curl_slist *longer = curl_slist_append(*list, header);
    if (longer)
        *list = longer;
    return longer != NULL;
}

/* A line break in a header would let its text add more headers. */
static s2a_status transfer_headers(transfer *t, s2a_error *err)
{
    const fetch_request *request = t->request;
    for (size_t i = 0; i < request->header_count; i++) {
        if (has_control(request->headers[i]))
            return error_set(err, S2A_ARGUMENT, "a header has a control character: remove it");
        if (!header_append(&t->headers, request->headers[i]))
            return error_nomem(err);
    }
    /* Without this, libcurl delays bodies over 1 MiB until the server agrees or a second has
     * passed. */
    if (request->body && !header_append(&t->headers, "Expect:"))
        return error_nomem(err);
    if (!request->bearer)
        return S2A_OK;
    if (has_control(request->bearer))
        return error_set(err, S2A_ARGUMENT, "the API key has a control character: remove it");
    char *line = NULL;
    if (asprintf(&line, "Authorization: Bearer %s", request->bearer) < 0)
        return error_nomem(err);
    bool added = header_append(&t->headers, line);
    free(line);
    return added ? S2A_OK : error_nomem(err);
}

/* ---- callbacks -------------------------------------------------------------------------- */

/* Lower case, up to the first parameter. */
static void copy_content_type(char *out, size_t size, const char *type)
{
    size_t len = 0;
    for (; type && *type && *type != ';' && *type != ' ' && len + 1 < size; type++)
        out[len++] = *type >= 'A' && *type <= 'Z' ? (char)(*type - 'A' + 'a') : *type;
    out[len] = '\0';
}

static bool transfer_fail(transfer *t, s2a_status failure)
{
    t->failure = failure;
    t->over = true;
    return false;
}

static bool transfer_obey(transfer *t, int answer)
{
    if (answer == FETCH_STOP)
        t->over = t->response->stopped = true;
    else if (answer == FETCH_DRAIN && t->drain_until <= 0)
        t->drain_until = clock_ms() + DRAIN_MS;
    return !t->over;
}

static bool is_success(int status)
{
    return status >= 200 && status < 300;
}

/* The headers of the final response are complete; false ends the transfer. */
static bool transfer_head(transfer *t)
{
    fetch_head *head = &t->response->head;
    long status = 0;
    curl_off_t length = -1;
    char *type = NULL;
    curl_easy_getinfo(t->easy, CURLINFO_RESPONSE_CODE, &status);
    curl_easy_getinfo(t->easy, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &length);
    curl_easy_getinfo(t->easy, CURLINFO_CONTENT_TYPE, &type);
    t->head_seen = true;
    head->status = (int)status;
    head->content_length = length;
    head->total_length = status == 206 ? t->range_total : length;
    copy_content_type(head->content_type, sizeof head->content_type, type);
    if (!is_success(head->status))
        return true;
    /* Bytes from another offset would break the file that the caller resumes. */
    uint64_t from = t->request->resume_from;
    if (from && status == 206 && (t->range_start < 0 || (uint64_t)t->range_start != from))
        return transfer_fail(t, S2A_BACKEND);
    if (!t->request->on_head)
        return true;
    return transfer_obey(t, t->request->on_head(t->request->ctx, head));
}

static bool transfer_body(transfer *t, const char *data, size_t len)
{
    const fetch_request *request = t->request;
    fetch_response *response = t->response;
    if (t->over || (!t->head_seen && !transfer_head(t)))
        return false;
    if (!is_success(response->head.status)) {
        size_t room = ERROR_BODY_MAX - t->error_body.len;
        buf_add(&t->error_body, data, len < room ? len : room);
        t->over = len >= room;
        return !t->over;
    }
    if (t->drain_until > 0)
        return true;
    if (request->max_bytes && len > request->max_bytes - response->bytes)
        return transfer_fail(t, S2A_LIMIT);
    response->bytes += len;
    return !request->on_data || transfer_obey(t, request->on_data(request->ctx, data, len));
}

static size_t on_body(char *data, size_t size, size_t count, void *ctx)
{
    transfer *t = ctx;
    bool go_on = transfer_body(t, data, size * count);
    t->active = clock_ms(); /* the callback's own time does not count as idle */
    return go_on ? size * count : 0;
}

static size_t on_header(char *data, size_t size, size_t count, void *ctx)
{
    static const char range[] = "content-range:";
    transfer *t = ctx;
    size_t len = size * count;
    char value[128] = "";
    t->active = clock_ms();
    if (len >= 5 && !strncasecmp(data, "HTTP/", 5)) {
        t->range_start = t->range_total = -1;
        t->head_whole = false;
    }
    if (len && len <= 2 && (*data == '\r' || *data == '\n'))
        t->head_whole = true;
    if (len >= sizeof range - 1 && !strncasecmp(data, range, sizeof range - 1)) {
        size_t value_len = len - (sizeof range - 1);
        if (value_len >= sizeof value)
            return len;
        memcpy(value, data + sizeof range - 1, value_len);
        int64_t end = -1;
        sscanf(value, " bytes %18" SCNd64 "-%18" SCNd64 "/%18" SCNd64, &t->range_start, &end,
               &t->range_total);
    }
    return len;
}

static int on_progress(void *ctx, curl_off_t down_total, curl_off_t down, curl_off_t up_total,
                       curl_off_t up)
{
    (void)down_total;
    (void)up_total;
    transfer *t = ctx;
    if (down != t->down || up != t->up)
        t->active = clock_ms();
    t->down = down;
    t->up = up;
    return 0;
}

/* The connection is made and the request is about to be sent: the idle timeout starts. */
static int on_connected(void *ctx, char *remote, char *local, int remote_port, int local_port)
{
    (void)remote;
    (void)local;
    (void)remote_port;
    (void)local_port;
    transfer *t = ctx;
    t->connected = true;
    t->active = clock_ms();
    return CURL_PREREQFUNC_OK;
}

/* ---- options ---------------------------------------------------------------------------- */

#define SET(option, value) (curl_easy_setopt(t->easy, option, value) == CURLE_OK)

static bool set_protocols(transfer *t)
{
    bool https = !strncasecmp(t->request->url, "https:", 6);
#if LIBCURL_VERSION_NUM >= 0x075500
    return SET(CURLOPT_PROTOCOLS_STR, "http,https") &&
           SET(CURLOPT_REDIR_PROTOCOLS_STR, https ? "https" : "http,https");
#else
    return SET(CURLOPT_PROTOCOLS, (long)(CURLPROTO_HTTP | CURLPROTO_HTTPS)) &&
           SET(CURLOPT_REDIR_PROTOCOLS,
               https ? (long)CURLPROTO_HTTPS : (long)(CURLPROTO_HTTP | CURLPROTO_HTTPS));
#endif
}

static bool set_method(transfer *t)
{
    const fetch_request *request = t->request;
    bool post = request->method ? !strcmp(request->method, "POST") : request->body != NULL;
    bool ok = true;
    if (request->body || post) {
        ok = SET(CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)request->body_len) &&
             SET(CURLOPT_POSTFIELDS, request->body ? request->body : "");
    }
    if (request->method && !strcmp(request->method, "HEAD"))
        ok = ok && SET(CURLOPT_NOBODY, 1L);
    else if (request->method && !post && strcmp(request->method, "GET") != 0)
        ok = ok && SET(CURLOPT_CUSTOMREQUEST, request->method);
    if (request->follow_redirects && !request->body && !post)
        ok = ok && SET(CURLOPT_FOLLOWLOCATION, 1L) && SET(CURLOPT_MAXREDIRS, (long)REDIRECTS_MAX);
    if (request->resume_from) {
        char range[32];
        snprintf(range, sizeof range, "%" PRIu64 "-", request->resume_from);
        ok = ok && SET(CURLOPT_RANGE, range);
    }
    return ok;
}

static bool set_connection(transfer *t)
{
    const fetch_request *request = t->request;
    uint32_t connect_ms = request->connect_timeout_ms;
    bool ok = SET(CURLOPT_NOSIGNAL, 1L) && SET(CURLOPT_TCP_KEEPALIVE, 1L) &&
              SET(CURLOPT_SSL_VERIFYPEER, 1L) && SET(CURLOPT_SSL_VERIFYHOST, 2L) &&
              SET(CURLOPT_CONNECTTIMEOUT_MS, (long)(connect_ms ? connect_ms : CONNECT_DEFAULT_MS));
#if LIBCURL_VERSION_NUM >= 0x075700
    /* A name lookup cannot be interrupted; without this, cancelling would wait for its end. The
     * lookup's thread then frees its own memory when it ends. */
    ok = ok && SET(CURLOPT_QUICK_EXIT, 1L);
#endif
    if (request->ca_file)
        ok = ok && SET(CURLOPT_CAINFO, request->ca_file) && SET(CURLOPT_CAPATH, NULL);
    if (!request->env_proxy)
        ok = ok && SET(CURLOPT_PROXY, "");
    return ok;
}

static bool set_callbacks(transfer *t)
{
    return SET(CURLOPT_ERRORBUFFER, t->curl_text) && SET(CURLOPT_WRITEFUNCTION, on_body) &&
           SET(CURLOPT_WRITEDATA, t) && SET(CURLOPT_HEADERFUNCTION, on_header) &&
           SET(CURLOPT_HEADERDATA, t) && SET(CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L) &&
           SET(CURLOPT_XFERINFOFUNCTION, on_progress) && SET(CURLOPT_XFERINFODATA, t) &&
           SET(CURLOPT_NOPROGRESS, 0L) && SET(CURLOPT_PREREQFUNCTION, on_connected) &&
           SET(CURLOPT_PREREQDATA, t);
}

static s2a_status transfer_open(transfer *t, s2a_error *err)
{
    const fetch_request *request = t->request;
    bool http = request->url && (!strncasecmp(request->url, "http://", 7) ||
                                 !strncasecmp(request->url, "https://", 8));
    if (!http)
        return error_set(err, S2A_ARGUMENT, "not a URL: give it as http://host:port/path");
    pthread_once(&curl_once, curl_start);
    if (curl_ready != CURLE_OK)
        return error_set(err, S2A_UNAVAILABLE, "libcurl does not start: %s",
                         curl_easy_strerror(curl_ready));
    fetch_origin(request->url, t->origin, sizeof t->origin);
    s2a_status status = transfer_headers(t, err);
    if (status != S2A_OK)
        return status;
    t->easy = curl_easy_init();
    t->multi = pool_take(request->pool);
    if (!t->easy || !t->multi)
        return error_nomem(err);
    if (!SET(CURLOPT_URL, request->url) || !SET(CURLOPT_USERAGENT, USER_AGENT) ||
        !SET(CURLOPT_HTTPHEADER, t->headers) || !set_protocols(t) || !set_method(t) ||
        !set_connection(t) || !set_callbacks(t))
        return error_nomem(err);
    return curl_multi_add_handle(t->multi, t->easy) == CURLM_OK ? S2A_OK : error_nomem(err);
}

/* Removes the easy handle first, which closes the connection of an unfinished transfer. */
static void transfer_close(transfer *t, bool healthy)
{
    if (t->easy && t->multi)
        curl_multi_remove_handle(t->multi, t->easy);
    if (t->multi)
        pool_put(t->request->pool, t->multi, healthy);
    curl_easy_cleanup(t->easy);
    curl_slist_free_all(t->headers);
}

/* ---- running ---------------------------------------------------------------------------- */

static s2a_status transfer_error(transfer *t, CURLcode code, s2a_error *err)
{
    const char *text = t->curl_text[0] ? t->curl_text : curl_easy_strerror(code);
    const char *origin = t->origin;
    long redirects = 0;
    switch (code) {
    case CURLE_OUT_OF_MEMORY:
        return error_nomem(err);
    case CURLE_URL_MALFORMAT:
        return error_set(err, S2A_ARGUMENT, "not a URL: give it as http://host:port/path");
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_RESOLVE_PROXY:
        t->response->retryable = true;
        return error_set(err, S2A_UNAVAILABLE, "%s: %s: check the name", origin, text);
    case CURLE_COULDNT_CONNECT:
        t->response->retryable = true;
        return error_set(err, S2A_UNAVAILABLE, "no connection to %s: %s: is the server running?",
                         origin, text);
    case CURLE_OPERATION_TIMEDOUT: /* only the connect timeout: we check the others */
        t->response->retryable = true;
        return error_set(err, S2A_UNAVAILABLE, "no connection to %s in time: %s", origin, text);
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_CIPHER:
    case CURLE_SSL_ISSUER_ERROR:
    case CURLE_SSL_INVALIDCERTSTATUS:
    case CURLE_SSL_PINNEDPUBKEYNOTMATCH:
        return error_set(err, S2A_UNAVAILABLE,
                         "TLS with %s failed: %s: check https against http, and the certificate",
                         origin, text);
    case CURLE_TOO_MANY_REDIRECTS:
        return error_set(err, S2A_BACKEND, "%s: more than %d redirects", origin, REDIRECTS_MAX);
    case CURLE_UNSUPPORTED_PROTOCOL:
    case CURLE_WEIRD_SERVER_REPLY:
        curl_easy_getinfo(t->easy, CURLINFO_REDIRECT_COUNT, &redirects);
        if (redirects)
            return error_set(err, S2A_BACKEND, "%s: it redirects to a URL that is not allowed: %s",
                             origin, text);
        return error_set(err, S2A_BACKEND, "%s: not an HTTP response: %s", origin, text);
    default:
        t->response->retryable = true;
        return error_set(err, S2A_BACKEND, "the connection to %s broke: %s", origin, text);
    }
}

/* Why a callback ended the transfer. */
static s2a_status transfer_verdict(const transfer *t, s2a_error *err)
{
    switch (t->failure) {
    case S2A_LIMIT:
        return error_set(err, S2A_LIMIT, "%s: the response is larger than %" PRIu64 " bytes",
                         t->origin, t->request->max_bytes);
    case S2A_BACKEND:
        return error_set(
            err, S2A_BACKEND,
            "%s sent a different part of the file than requested: download the whole file",
            t->origin);
    default:
        return t->failure;
    }
}

/* S2A_OK: continue, and check again in *wait_ms. Sets over if draining has taken too long. */
static s2a_status transfer_watch(transfer *t, int *wait_ms, s2a_error *err)
{
    const fetch_request *request = t->request;
    double now = clock_ms(), wait = request->cancel ? CANCEL_LOOK_MS : WAIT_MAX_MS;
    if (cancel_fired(request->cancel))
        return error_set(err, S2A_CANCELLED, "cancelled");
    if (t->drain_until > 0) {
        t->over = now >= t->drain_until;
        wait = wait < t->drain_until - now ? wait : t->drain_until - now;
    }
    if (request->total_timeout_ms) {
        double left = t->start + request->total_timeout_ms - now;
        if (left <= 0)
            return error_set(err, S2A_TIMEOUT, "%s: not finished in %" PRIu32 " ms", t->origin,
                             request->total_timeout_ms);
        wait = wait < left ? wait : left;
    }
    if (request->idle_timeout_ms && t->connected) {
        double left = t->active + request->idle_timeout_ms - now;
        if (left <= 0)
            return error_set(err, S2A_TIMEOUT, "%s: silent for %" PRIu32 " ms", t->origin,
                             request->idle_timeout_ms);
        wait = wait < left ? wait : left;
    }
    *wait_ms = wait < 1 ? 1 : (int)wait;
    return S2A_OK;
}

/* True when the transfer has ended by itself. */
static bool transfer_ended(const transfer *t, CURLcode *code)
{
    int left = 0;
    for (CURLMsg *message; (message = curl_multi_info_read(t->multi, &left));)
        if (message->msg == CURLMSG_DONE && message->easy_handle == t->easy) {
            *code = message->data.result;
            return true;
        }
    return false;
}

/* A broken connection is not an error if the caller needs no more, or after the head of an error
 * response: its status says more. */
static bool transfer_enough(const transfer *t)
{
    return t->drain_until > 0 || (t->head_seen && !is_success(t->response->head.status));
}

/* *whole: the response was read to its end, so that its connection can serve again. */
static s2a_status transfer_run(transfer *t, bool *whole, s2a_error *err)
{
    for (;;) {
        int running = 0, wait_ms = 0;
        CURLcode code = CURLE_OK;
        s2a_status status = transfer_watch(t, &wait_ms, err);
        if (status != S2A_OK)
            return status;
        if (t->over)
            return transfer_verdict(t, err);
        if (curl_multi_perform(t->multi, &running) != CURLM_OK)
            return error_nomem(err);
        bool ended = transfer_ended(t, &code);
        if (ended && code == CURLE_OK && !t->head_whole)
            code = CURLE_GOT_NOTHING; /* libcurl accepts truncated headers as a response */
        if (ended && code == CURLE_OK) {
            *whole = true;
            if (!t->head_seen)
                transfer_head(t);
            return transfer_verdict(t, err);
        }
        if (t->over)
            return transfer_verdict(t, err);
        if (ended)
            return transfer_enough(t) ? S2A_OK : transfer_error(t, code, err);
        if (curl_multi_poll(t->multi, NULL, 0, wait_ms, NULL) != CURLM_OK)
            return error_nomem(err);
    }
}

static void transfer_report(transfer *t)
{
    fetch_response *response = t->response;
    curl_off_t seconds = 0;
    char *location = NULL;
    if (t->easy) {
        curl_easy_getinfo(t->easy, CURLINFO_RETRY_AFTER, &seconds);
        curl_easy_getinfo(t->easy, CURLINFO_REDIRECT_URL, &location);
    }
    const curl_off_t year = 366 * 86400;
    if (seconds > 0)
        response->retry_after_ms = (uint64_t)(seconds < year ? seconds : year) * 1000;
    if (location)
        copy_location(response->location, sizeof response->location, location);
    if (t->error_body.len)
        response->error_body = buf_take(&t->error_body, &response->error_body_len);
}

s2a_status fetch_run(const fetch_request *request, fetch_response *response, s2a_error *err)
{
    *response = (fetch_response){ .head = { .content_length = -1, .total_length = -1 } };
    transfer t = { .request = request, .response = response };
    t.range_start = t.range_total = -1;
    t.start = t.active = clock_ms();
    buf_init(&t.error_body, ERROR_BODY_MAX);
    bool whole = false;
    s2a_status status = transfer_open(&t, err);
    if (status == S2A_OK)
        status = transfer_run(&t, &whole, err);
    transfer_report(&t);
    transfer_close(&t, whole);
    buf_free(&t.error_body);
    return status;
}

void fetch_response_free(fetch_response *response)
{
    if (!response)
        return;
    free(response->error_body);
    response->error_body = NULL;
    response->error_body_len = 0;
}
