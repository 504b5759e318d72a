/* Every limit of `s2a serve` that is not an option, and the defaults of those that are. Limits that
 * clients or upstream can reach are tested at and past their value: tests/wire/test_serve_limits.c
 * lists the tests. docs/serve.md has the status of each. */
#ifndef S2A_SERVE_LIMITS_H
#define S2A_SERVE_LIMITS_H

#include "base/limits.h"

#include <stddef.h>

/* memory of a connection, for both heads; MHD maps more by itself */
#define SERVE_POOL_BYTES ((size_t)32 << 10)
/* request line and headers, with 64 bytes added for each: 431; half of it for the line: 414 */
#define SERVE_HEAD_BYTES (SERVE_POOL_BYTES - 1024)
/* head of an upstream response, as far as it fits the pool: 502 */
#define SERVE_ANSWER_HEAD_BYTES ((size_t)30 << 10)
#define SERVE_HEADERS 100                     /* headers of a request: 431 */
#define SERVE_BODY_BYTES ((size_t)32 << 20)   /* body of a request: 413; --max-body */
#define SERVE_CONNECTIONS 4096u               /* --max-connections: 503 */
#define SERVE_CONNECTIONS_SPARE 64u           /* accepted beyond that, to get 503 */
#define SERVE_WORKERS 16u                     /* concurrent requests in step 1; --workers */
#define SERVE_READERS 2u                      /* threads that parse bodies which may ask for S2A */
#define SERVE_QUEUE 256u                      /* requests that wait for a worker: 503; --queue */
#define SERVE_HEAD_MS 10000u                  /* to receive the head: 408; --head-timeout-ms */
#define SERVE_BODY_MS 300000u                 /* to receive the body: 408; --body-timeout-ms */
#define SERVE_IDLE_MS 75000u                  /* of a connection between two requests */
#define SERVE_STALL_S 120u                    /* while a client takes no byte of its response */
#define SERVE_UPSTREAM_IDLE_MS 600000u        /* without a byte: 504; --upstream-timeout-ms */
#define SERVE_UPSTREAM_CONNECT_MS 10000u      /* 502 */
#define SERVE_DRAIN_MS 30000u                 /* --drain-ms */
#define SERVE_PING_MS 5000u                   /* between two comments while step 1 runs */
#define SERVE_OUT_HIGH ((size_t)256 << 10)    /* unsent bytes of a response that pause upstream */
#define SERVE_OUT_LOW ((size_t)64 << 10)      /* unsent bytes at which it resumes */
#define SERVE_UPLOAD_HIGH ((size_t)256 << 10) /* unsent bytes that pause an uploading client */
#define SERVE_REPLY_BYTES ((size_t)64 << 20)  /* a buffered upstream response: 502 */
#define SERVE_ID_BYTES LIMIT_REQUEST_ID_BYTES /* X-Request-Id; longer ones are replaced */
#define SERVE_JSON_VALUES 262144u             /* of a body, each up to 130 bytes: 400 */
#define SERVE_ANSWER_VALUES 4194304u          /* of an upstream response: it is not read as JSON */
#define SERVE_TARGETS 64                      /* judged texts of one request */
#define SERVE_TURNS (LIMIT_MESSAGES - 1)      /* judged earlier messages: the latest */
#define SERVE_CHOICES 8                       /* n: answers to one request: 400 */
#define SERVE_ENGINES 64                      /* cached pairs of model and key */
#define SERVE_ALLOWED 64                      /* --allow-host, and --allow-origin */
#define SERVE_KEYS 4096                       /* lines of the key file */
#define SERVE_KEYS_FILE_BYTES ((size_t)1 << 20)
#define SERVE_TLS_FILE_BYTES ((size_t)1 << 20) /* --tls-cert, --tls-key */
#define SERVE_LOG_BYTES ((size_t)4 << 20) /* of lines that wait for the log: more are dropped */
#define SERVE_LOG_CLOSE_MS 1000u          /* for the lines that wait at the end */
#define SERVE_REMOVED_BYTES ((size_t)64 << 20) /* of --keep-removed: the oldest are dropped */
#define SERVE_RETRY_AFTER_S 2
#define SERVE_THREAD_STACK ((size_t)1 << 20) /* only the used part takes memory */

#endif
