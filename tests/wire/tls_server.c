/* The program runs in a temporary directory; its output goes to the file "out" there, from which
 * its port is read. */
#include "tls_server.h"

#include <fcntl.h>
#include <ftw.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

enum { LIFE_SECONDS = 60, START_MAX_MS = 15000, NO_PROGRAM = 127 };

/* In the directory, without a standard input, bounded by an alarm, which exec keeps. */
static pid_t spawn(const char *directory, char *const arguments[])
{
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid > 0)
        return pid;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    int in = open("/dev/null", O_RDONLY);
    if (chdir(directory) != 0 || in < 0)
        _exit(1);
    int out = open("out", O_WRONLY | O_CREAT | O_TRUNC, 0600);
    if (out < 0 || dup2(in, 0) < 0 || dup2(out, 1) < 0 || dup2(out, 2) < 0)
        _exit(1);
    alarm(LIFE_SECONDS);
    execvp(arguments[0], arguments);
    _exit(NO_PROGRAM);
}

static int wait_for(pid_t pid)
{
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}

static int read_port(const tls_server *server)
{
    char path[96], text[200];
    int port = 0;
    snprintf(path, sizeof path, "%s/out", server->directory);
    for (int waited = 0; !port && waited < START_MAX_MS; waited += 10) {
        FILE *file = fopen(path, "r");
        while (file && fgets(text, sizeof text, file))
            if (!strncmp(text, "ACCEPT ", 7) && strrchr(text, ':') && strchr(text, '\n'))
                port = atoi(strrchr(text, ':') + 1);
        if (file)
            fclose(file);
        nanosleep(&(struct timespec){ .tv_nsec = 10000000 }, NULL);
    }
    return port;
}

bool tls_server_start(tls_server *server, const char *name)
{
    memset(server, 0, sizeof *server);
    snprintf(server->directory, sizeof server->directory, "/tmp/s2a-test-tls-XXXXXX");
    assert_non_null(mkdtemp(server->directory));
    snprintf(server->ca_file, sizeof server->ca_file, "%s/cert.pem", server->directory);
    char names[96];
    snprintf(names, sizeof names, "subjectAltName=%s", name);
    char *make[] = { "openssl",
                     "req",
                     "-x509",
                     "-newkey",
                     "ec",
                     "-pkeyopt",
                     "ec_paramgen_curve:prime256v1",
                     "-nodes",
                     "-keyout",
                     "key.pem",
                     "-out",
                     "cert.pem",
                     "-days",
                     "2",
                     "-subj",
                     "/CN=s2a test",
                     "-addext",
                     names,
                     NULL };
    int rc = wait_for(spawn(server->directory, make));
    if (rc == NO_PROGRAM) {
        tls_server_stop(server);
        return false;
    }
    assert_int_equal(rc, 0);
    char *serve[] = { "openssl", "s_server", "-HTTP",       "-cert",    "cert.pem", "-key",
                      "key.pem", "-accept",  "127.0.0.1:0", "-naccept", "32",       NULL };
    server->pid = spawn(server->directory, serve);
    server->port = read_port(server);
    if (!server->port)
        tls_server_stop(server);
    assert_true(server->port > 0);
    return true;
}

void tls_server_put(const tls_server *server, const char *path, const char *response)
{
    char full[160];
    snprintf(full, sizeof full, "%s/%s", server->directory, path);
    char *slash = full + strlen(server->directory) + 1;
    for (; (slash = strchr(slash, '/')); slash++) {
        *slash = '\0';
        mkdir(full, 0700);
        *slash = '/';
    }
    FILE *file = fopen(full, "wb");
    assert_non_null(file);
    assert_true(fputs(response, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static int delete_entry(const char *path, const struct stat *entry, int kind, struct FTW *place)
{
    (void)entry;
    (void)kind;
    (void)place;
    return remove(path);
}

void tls_server_stop(tls_server *server)
{
    if (server->pid > 0) {
        kill(server->pid, SIGKILL);
        wait_for(server->pid);
    }
    nftw(server->directory, delete_entry, 8, FTW_DEPTH | FTW_PHYS);
    server->pid = 0;
}
