/* The first checks of a request, before its key: refuses methods that reveal keys, web pages of
 * other origins, and types of bodies that web pages send without a preflight. Responds to CORS
 * preflights. */
#include "serve/txn.h"

#include <string.h>
#include <strings.h>

/* TRACE and TRACK return the request, with the key that upstream got. CONNECT is for other kinds of
 * proxies. Compared without case, because upstream may ignore case. */
static bool method_refused(const char *method)
{
    static const char *const refused[] = { "TRACE", "TRACK", "CONNECT" };
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++)
        if (!strcasecmp(method, refused[i]))
            return true;
    return false;
}

void entry_methods(txn *t, int status, const char *allow)
{
    static const char error[] = "{\"error\":{\"message\":\"this path has no such method\",\"type\":"
                                "\"invalid_request_error\",\"param\":null,\"code\":null}}";
    const http_field fields[] = { { (char *)"X-Request-Id", t->id },
                                  { (char *)"Allow", (char *)allow },
                                  { (char *)"Content-Type", (char *)"application/json" } };
    size_t len = status == 405 ? sizeof error - 1 : 0;
    if (http_call_begin(t->call, status, fields, len ? 3 : 2, (int64_t)len, false)) {
        http_call_write(t->call, error, len);
        http_call_end(t->call, true);
    }
}

/* Responds to a browser's preflight for an allowed page. All methods and fields are allowed here;
 * the request itself is checked later. */
static void preflight(txn *t)
{
    static const char methods[] = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS";
    const char *wanted = http_call_field(t->call, "Access-Control-Request-Headers");
    const char *network = http_call_field(t->call, "Access-Control-Request-Private-Network");
    http_field fields[6] = {
        { (char *)"X-Request-Id", t->id },
        { (char *)"Access-Control-Allow-Methods", (char *)methods },
        { (char *)"Access-Control-Max-Age", (char *)"600" },
        { (char *)"Vary", (char *)"Access-Control-Request-Headers" },
    };
    size_t n = 4;
    if (wanted && *wanted)
        fields[n++] = (http_field){ (char *)"Access-Control-Allow-Headers", (char *)wanted };
    if (network)
        fields[n++] =
            (http_field){ (char *)"Access-Control-Allow-Private-Network", (char *)"true" };
    http_call_begin(t->call, 204, fields, n, 0, false);
}

/* Why a request is refused that a browser makes, or could make, for a page of another origin; NULL
 * = it is not refused. Without an Origin (GET without CORS) Sec-Fetch-Site tells. A link to our
 * page may be followed. */
static const char *page_fault(const txn *t)
{
    const serve *s = t->s;
    const char *host = http_call_field(t->call, "Host");
    const char *origin = http_call_field(t->call, "Origin");
    const char *site = http_call_field(t->call, "Sec-Fetch-Site");
    if (!origin_host_is_ours(host, &s->o.allow_hosts))
        return "the request's Host is not a name of this server; to allow it, start the server "
               "with --allow-host NAME";
    if (t->cors || (origin && origin_is_own(origin, host)))
        return NULL;
    bool elsewhere = site && strcasecmp(site, "same-origin") != 0 && strcasecmp(site, "none") != 0;
    if (origin || (elsewhere && t->route != METRICS_PAGE))
        return "web pages of other origins may not use this server; to allow one, start it with "
               "--allow-origin ORIGIN";
    return NULL;
}

/* Why a body is refused whose type a browser sends for any page without a preflight; NULL = it is
 * not refused. Uploads are such a type, too, but the API has some: only their Origin is checked. */
static const char *body_fault(const txn *t)
{
    const char *type = http_call_field(t->call, "Content-Type");
    if (!t->call->has_body || origin_type_is(type, "application/json"))
        return NULL;
    if (txn_is_model(t) || !type || origin_type_is(type, "text/plain") ||
        origin_type_is(type, "application/x-www-form-urlencoded"))
        return "the body must be JSON; send it with Content-Type: application/json";
    return NULL;
}

/* Why a body is refused where none can be; NULL = it is not refused. libcurl cannot send HEAD with
 * one. The paths that need no key would gather it for anybody. */
static const char *misplaced_body(const txn *t)
{
    if (!t->call->has_body)
        return NULL;
    return !strcmp(t->call->method, "HEAD") ? "HEAD has no body"
           : txn_is_open(t)                 ? "GET of this path has no body"
                                            : NULL;
}

bool entry_check(txn *t)
{
    const serve *s = t->s;
    const http_call *call = t->call;
    bool asks = !strcmp(call->method, "OPTIONS");
    const char *origin = http_call_field(call, "Origin"), *fault = NULL;
    t->cors = origin_is_listed(origin, &s->o.allow_origins);
    if (t->cors && !http_call_allow_origin(t->call, origin)) {
        txn_error(t, 500, "out of memory", NULL);
        return false;
    }
    int status = 0;
    if (method_refused(call->method)) {
        entry_methods(t, 405, "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS");
        return false;
    }
    if (s->guarded && (fault = page_fault(t)))
        status = 403;
    else if (s->guarded && (fault = body_fault(t)))
        status = 415;
    else if ((fault = misplaced_body(t)))
        status = 400;
    if (fault)
        txn_error(t, status, fault, status == 403 ? "origin_not_allowed" : NULL);
    else if (asks && t->cors && http_call_field(call, "Access-Control-Request-Method"))
        preflight(t);
    else if (asks && !strcmp(call->target, "*"))
        entry_methods(t, 204, "GET, HEAD, POST, OPTIONS");
    else
        return true;
    return false;
}
