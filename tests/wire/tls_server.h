/* A TLS server on a loopback port, "openssl s_server -HTTP": GET /NAME is answered with the file of
 * that name, which holds a whole response. It ends itself after a minute. */
#ifndef S2A_TESTS_TLS_SERVER_H
#define S2A_TESTS_TLS_SERVER_H

#include <stdbool.h>
#include <sys/types.h>

typedef struct tls_server {
    char directory[64], ca_file[96]; /* the certificate signs itself, so it is its own authority */
    int port;
    pid_t pid;
} tls_server;

/* name: the one that the certificate is for, such as "IP:127.0.0.1" or "DNS:other.example". False
 * when the program openssl is not here; fails the running test when it is and does not work. Call
 * while no other thread runs. */
bool tls_server_start(tls_server *server, const char *name);

/* What GET path is answered with from now on; path has no slash at its start. */
void tls_server_put(const tls_server *server, const char *path, const char *response);

/* Ends the program and deletes the files. */
void tls_server_stop(tls_server *server);

#endif
