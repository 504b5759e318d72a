/* The page, from files that were compiled in. */
#include "serve/txn.h"

#include "serve/page_files.h"

#include <string.h>

static const char *type_of(const char *name)
{
    const char *dot = strrchr(name, '.');
    if (dot && !strcmp(dot, ".css"))
        return "text/css; charset=utf-8";
    if (dot && !strcmp(dot, ".js"))
        return "text/javascript; charset=utf-8";
    return "text/html; charset=utf-8";
}

bool page_reply(http_call *call, const char *path, size_t len)
{
    const char *name = path + 1;
    size_t n = len - 1;
    if (len == 1) {
        name = "index.html";
        n = strlen(name);
    }
    for (const page_file *f = page_files; f->name; f++) {
        if (strlen(f->name) != n || memcmp(f->name, name, n) != 0)
            continue;
        /* The page may connect to this server only, and no page may frame it. */
        const http_field fields[] = {
            { (char *)"Content-Type", (char *)type_of(f->name) },
            { (char *)"Cache-Control", (char *)"no-cache" },
            { (char *)"X-Content-Type-Options", (char *)"nosniff" },
            { (char *)"Referrer-Policy", (char *)"no-referrer" },
            { (char *)"Content-Security-Policy",
              (char *)"default-src 'none'; script-src 'self' 'unsafe-inline'; style-src 'self' "
                      "'unsafe-inline'; img-src 'self' data:; connect-src 'self'; base-uri 'none'; "
                      "form-action 'none'; frame-ancestors 'none'" },
        };
        if (http_call_begin(call, 200, fields, sizeof fields / sizeof fields[0], (int64_t)*f->len,
                            false)) {
            http_call_write(call, f->data, *f->len);
            http_call_end(call, true);
        }
        return true;
    }
    return false;
}
