/* A server on a loopback port that plays a transcript byte for byte, one response a request, a
 * thread a connection. It knows no HTTP beyond finding the end of a request.
 *
 * A transcript is lines. Text lines are sent as they stand, with \r \n \t \0 \\ and \xHH replaced
 * and nothing added at their ends. Empty lines and lines that begin with "#", "set " or "expect "
 * belong to the test. Lines that begin with "@" are directives:
 *     @sleep MS        wait; ends early when the client goes
 *     @split N         from here on, send in pieces of N bytes; 0 = whole lines
 *     @cut N           of the bytes from here on, pause once after the first N
 *     @repeat N TEXT   send TEXT N times
 *     @chunk TEXT      send TEXT as one chunk of a chunked body; without TEXT, the last one
 *     @json TEXT       send an answer with this body: 200, application/json and its length
 *     @port            send the number of this server's port
 *     @date SECONDS    send the HTTP date of that many seconds from now
 *     @close           close the connection, at once; also what happens at a response's end
 *     @reset           close it so that the client gets a reset
 *     @keep            at the response's end, read another request from the same connection
 *     @gone            wait until the client has closed it; the end of the connection
 *     @next            the next request's response follows; the last response serves all others
 * A client that begins a TLS handshake gets the response at once: its hello is the request. */
#ifndef S2A_TESTS_FAKE_SERVER_H
#define S2A_TESTS_FAKE_SERVER_H

#include <stdbool.h>
#include <stddef.h>

typedef struct fake_server fake_server;

/* Listens on a free port of 127.0.0.1; aborts when the transcript is not valid. */
fake_server *fake_server_start(const char *transcript);
int fake_server_port(const fake_server *server);

/* Ends all connections and waits for the threads; call before reading what was seen. */
void fake_server_stop(fake_server *server);
void fake_server_free(fake_server *server);

size_t fake_server_requests(const fake_server *server);
size_t fake_server_connections(const fake_server *server);
/* The head and body of a request, NUL-terminated; body is what follows the empty line. */
const char *fake_server_request(const fake_server *server, size_t index);
const char *fake_server_body(const fake_server *server, size_t index);
/* clock_ms() of the moment when @gone, @sleep or a send found that the client had closed; 0 = none
 * has. May be called at any time. */
double fake_server_gone_ms(fake_server *server);
/* Closes the client's socket; the milliseconds until the server saw that, INFINITY if it did not in
 * two seconds. */
double fake_server_gone_after(fake_server *server, int socket);
/* Bytes of the first response, @port and @date not counted. */
size_t fake_server_bytes(const fake_server *server);

/* A port of 127.0.0.1 where nobody listens. */
int fake_refusing_port(void);

/* Replaces the escapes above, in place; the length of the result. */
size_t fake_unescape(char *text);

#endif
