/* Every limit of `s2a serve` that is no option, and the defaults of those that are. Those that others
 * can reach have tests at them and past them: tests/wire/test_serve_limits.c says where. docs/serve.md
 * has the status of each. */
#ifndef S2A_SERVE_LIMITS_H
#define S2A_SERVE_LIMITS_H

#include "base/limits.h"

#include <stddef.h>

#define SERVE_POOL_BYTES ((size_t)32 << 10) /* of a connection, for both heads; MHD maps more by itself */
#define SERVE_HEAD_BYTES (SERVE_POOL_BYTES - 1024) /* request line and headers, 64 more for each: 431; the
                                                      half of it for the line: 414 */
#define SERVE_ANSWER_HEAD_BYTES ((size_t)30 << 10) /* an answer's of upstream, as far as it fits: 502 */
#define SERVE_HEADERS 100                    /* headers of a request: 431 */
#define SERVE_BODY_BYTES ((size_t)32 << 20)  /* a request's body: 413; --max-body */
#define SERVE_CONNECTIONS 4096u              /* --max-connections: 503 */
#define SERVE_CONNECTIONS_SPARE 64u          /* more that are let in to be told 503 */
#define SERVE_WORKERS 16u                    /* requests in step 1 at a time; --workers */
#define SERVE_READERS 2u                     /* threads that read bodies which may ask for S2A */
#define SERVE_QUEUE 256u                     /* requests that wait for a worker: 503; --queue */
#define SERVE_HEAD_MS 10000u                 /* until the head is there: 408; --head-timeout */
#define SERVE_BODY_MS 300000u                /* until the body is there: 408; --body-timeout */
#define SERVE_IDLE_MS 75000u                 /* of a connection between two requests */
#define SERVE_STALL_S 120u                   /* a client that takes nothing */
#define SERVE_UPSTREAM_IDLE_MS 600000u       /* no byte from upstream: 504; --upstream-timeout */
#define SERVE_UPSTREAM_CONNECT_MS 10000u     /* 502 */
#define SERVE_DRAIN_MS 30000u                /* --drain */
#define SERVE_PING_MS 5000u                  /* between two comments while step 1 runs */
#define SERVE_OUT_HIGH ((size_t)256 << 10)   /* of an answer a client does not take: wait ... */
#define SERVE_OUT_LOW ((size_t)64 << 10)     /* ... until no more than this is left */
#define SERVE_UPLOAD_HIGH ((size_t)256 << 10) /* of a body that upstream does not take */
#define SERVE_REPLY_BYTES ((size_t)64 << 20) /* an answer that is gathered whole: 502 */
#define SERVE_ID_BYTES LIMIT_REQUEST_ID_BYTES /* X-Request-Id: others get one of ours */
#define SERVE_JSON_VALUES 262144u             /* commas of a body, each some 50 bytes: 400 */
#define SERVE_TARGETS 64                     /* texts of one request that are judged */
#define SERVE_TURNS (LIMIT_MESSAGES - 1)     /* earlier messages that are judged, the latest */
#define SERVE_ENGINES 64                     /* pairs of model and key that are remembered */
#define SERVE_ALLOWED 64                     /* --allow-host, and --allow-origin */
#define SERVE_KEYS 4096                      /* lines of the file of keys */
#define SERVE_KEYS_FILE_BYTES ((size_t)1 << 20)
#define SERVE_LOG_BYTES ((size_t)4 << 20) /* of lines that wait for the log: more are dropped */
#define SERVE_LOG_CLOSE_MS 1000u          /* for the lines that wait when it ends */
#define SERVE_RETRY_AFTER_S 2
#define SERVE_THREAD_STACK ((size_t)1 << 20) /* only what is used of it takes memory */

#endif
