/* --jsonl: one request a line on standard input, one result or error a line on stdout, in the same
 * order, each written before the next is read. Memory is bounded by one line and, with --resume, by
 * the ids of the results that are there. */
#include "backend/backend.h"
#include "cli/commands.h"
#include "cli/files.h"
#include "cli/input.h"
#include "cli/result_json.h"
#include "cli/session.h"
#include "cli/signals.h"
#include "core/ascii.h"
#include "core/error.h"
#include "core/limits.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* A result holds its prompt several times. */
#define LIMIT_RESULT_LINE_BYTES (8 * LIMIT_JSON_LINE_BYTES)

typedef struct batch {
    session *s;
    files_lines in;
    json_t *done;      /* --resume: an object whose keys are the ids as JSON; NULL without it */
    bool newline_owed; /* the file that is resumed ends inside a line */
    uint64_t line, finished, failed, fell_back, skipped;
    uint64_t input_bytes; /* of standard input when it is a file; otherwise 0 */
    double started_ms;
    char label[128];
    s2a_status output;
} batch;

/* ---- resuming --------------------------------------------------------------------------- */

/* The id as a key: "1" and 1 are two. NULL when there is none, or no memory. */
static char *id_key(const json_t *id)
{
    return json_is_string(id) || json_is_integer(id) ? json_dumps(id, JSON_ENCODE_ANY) : NULL;
}

/* A line of earlier output. False when it is none. */
static bool resume_line(batch *b, const char *text, size_t len)
{
    json_t *line = json_loadb(text, len, JSON_ALLOW_NUL, NULL);
    bool known = json_is_object(line) && json_object_get(line, "id");
    if (known && !json_object_get(line, "error")) {
        char *key = id_key(json_object_get(line, "id"));
        if (key)
            json_object_set_new(b->done, key, json_true());
        free(key);
    }
    json_decref(line);
    return known;
}

/* Results that go to another file than the one that is resumed need no line ended for them. */
static bool other_file(int fd)
{
    struct stat from, to;
    return fstat(STDOUT_FILENO, &to) == 0 && S_ISREG(to.st_mode) && fstat(fd, &from) == 0 &&
           (from.st_dev != to.st_dev || from.st_ino != to.st_ino);
}

static void resume_say(const batch *b, uint64_t strange, bool torn)
{
    const options *o = b->s->o;
    if (o->quiet)
        return;
    if (strange > 0)
        term_say("note: %s: %" PRIu64 " lines are no results; they are left aside", o->resume,
                 strange);
    if (torn)
        term_say("note: %s: the last line is cut off; its request is done again", o->resume);
}

static s2a_status resume_read(batch *b, s2a_error *err)
{
    const char *path = b->s->o->resume;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return error_set(err, S2A_IO, "--resume %s: %s; name a file with earlier results", path,
                         strerror(errno));
    files_lines lines;
    b->done = json_object();
    if (!files_lines_init(&lines, fd, LIMIT_RESULT_LINE_BYTES) || !b->done) {
        files_lines_free(&lines);
        close(fd);
        return error_nomem(err);
    }
    uint64_t strange = 0;
    bool torn = false;
    files_line kind;
    while ((kind = files_lines_next(&lines)) == FILES_LINE || kind == FILES_TOO_LONG) {
        const buf *l = &lines.line;
        bool known =
            kind == FILES_LINE && (ascii_blank(l->data, l->len) || resume_line(b, l->data, l->len));
        if (lines.torn) {
            torn = !known;
            b->newline_owed = !other_file(fd);
        } else if (!known) {
            strange++;
        }
    }
    s2a_status status = S2A_OK;
    if (kind == FILES_FAILED)
        status = error_set(err, S2A_IO, "--resume %s: %s; name a file with earlier results", path,
                           strerror(errno));
    else
        resume_say(b, strange, torn);
    files_lines_free(&lines);
    close(fd);
    return status;
}

/* ---- one line --------------------------------------------------------------------------- */

static void label_draw(batch *b)
{
    double minutes = (clock_ms() - b->started_ms) / 6e4;
    double rate = minutes > 0 ? (double)b->finished / minutes : 0;
    char bar[48] = "";
    if (b->input_bytes > 0) {
        double share = (double)b->in.bytes / (double)b->input_bytes;
        size_t full = share < 1 ? (size_t)(share * 20) : 20;
        snprintf(bar, sizeof bar, "[%.*s%.*s] ", (int)full, "####################",
                 (int)(20 - full), "....................");
    }
    char speed[32] = "";
    if (b->finished > 0)
        snprintf(speed, sizeof speed, ", %.3g/min", rate);
    snprintf(b->label, sizeof b->label, "%s%" PRIu64 " done, %" PRIu64 " failed%s", bar,
             b->finished, b->failed, speed);
    b->s->label = b->label;
}

static void owed_newline(batch *b)
{
    if (b->newline_owed)
        fputc('\n', stdout);
    b->newline_owed = false;
}

static void write_error(batch *b, const json_t *id, const s2a_error *err)
{
    b->failed++;
    progress_clear(&b->s->progress);
    owed_newline(b);
    b->output = result_json_write(&b->s->term, result_json_error(id, b->line, err), false);
}

/* A request that was understood. */
static void answer_line(batch *b, const json_t *id)
{
    s2a_result *result = NULL, *plain = NULL;
    s2a_error err = { .status = S2A_OK };
    s2a_status status = session_run(b->s, &result, &plain, &err);
    if (status == S2A_OK) {
        b->finished++;
        b->fell_back += s2a_result_fallback(result) != S2A_FALLBACK_NONE;
        owed_newline(b);
        b->output = result_json_write(&b->s->term, result_json(result, id, plain), false);
    } else if (status != S2A_CANCELLED) {
        write_error(b, id, &err);
    }
    s2a_result_free(result);
    s2a_result_free(plain);
}

static bool already_done(const batch *b, const json_t *id)
{
    char *key = b->done ? id_key(id) : NULL;
    bool done = key && json_object_get(b->done, key);
    free(key);
    return done;
}

static void one_line(batch *b, const char *text, size_t len)
{
    s2a_error err = { .status = S2A_OK };
    json_t *line = input_parse_json("the line", text, len, &err);
    json_t *id = line ? json_object_get(line, "id") : NULL;
    s2a_status status = line ? S2A_OK : err.status;
    if (id && !json_is_string(id) && !json_is_integer(id) && !json_is_null(id)) {
        status = error_set(&err, S2A_INPUT, "id must be a string or a whole number");
        id = NULL;
    }
    if (status == S2A_OK && already_done(b, id))
        b->skipped++;
    else if (status != S2A_OK || (status = input_from_json(line, b->s->request, &err)) != S2A_OK)
        write_error(b, id, &err);
    else
        answer_line(b, id);
    json_decref(line);
}

/* ---- all lines -------------------------------------------------------------------------- */

static files_line all_lines(batch *b)
{
    files_line kind;
    for (;;) {
        label_draw(b);
        progress_draw(&b->s->progress, "%s", b->label);
        kind = files_lines_next(&b->in);
        if (kind != FILES_LINE && kind != FILES_TOO_LONG)
            return kind;
        b->line++;
        if (kind == FILES_TOO_LONG) {
            s2a_error err;
            error_set(&err, S2A_LIMIT, "the line is longer than %zu bytes; shorten it",
                      LIMIT_JSON_LINE_BYTES);
            write_error(b, NULL, &err);
        } else if (!ascii_blank(b->in.line.data, b->in.line.len)) {
            one_line(b, b->in.line.data, b->in.line.len);
        }
        if (signals_caught())
            return FILES_STOPPED;
        if (b->output != S2A_OK)
            return kind;
    }
}

static int outcome(const batch *b, files_line end)
{
    const options *o = b->s->o;
    if (b->output == S2A_NOMEM)
        term_say("out of memory");
    if (b->output != S2A_OK)
        return EXIT_FAILED;
    if (end == FILES_FAILED)
        term_say("standard input: %s; check where it comes from", strerror(errno));
    if (!o->quiet && b->fell_back > 0)
        term_say("note: %" PRIu64 " of %" PRIu64 " requests went on with the original prompt; "
                 "\"fallback\" in their results says why",
                 b->fell_back, b->finished);
    if (!o->quiet && b->failed > 0)
        term_say("note: %" PRIu64 " of %" PRIu64 " requests failed; \"error\" in their lines says "
                 "why",
                 b->failed, b->finished + b->failed);
    if (signals_caught())
        return 128 + signals_caught();
    if (end == FILES_FAILED || b->failed > 0)
        return EXIT_FAILED;
    return o->strict && b->fell_back > 0 ? EXIT_FELL_BACK : EXIT_DONE;
}

int jsonl_run(session *s)
{
    batch b = { .s = s, .output = S2A_OK };
    s2a_error err = { .status = S2A_OK };
    if (s->o->resume && resume_read(&b, &err) != S2A_OK) {
        term_say("%s", err.message);
        json_decref(b.done);
        return EXIT_FAILED;
    }
    int code = session_open(s);
    if (code == EXIT_DONE && !files_lines_init(&b.in, STDIN_FILENO, LIMIT_JSON_LINE_BYTES)) {
        term_say("out of memory");
        code = EXIT_FAILED;
    } else if (code == EXIT_DONE) {
        struct stat st;
        if (fstat(STDIN_FILENO, &st) == 0 && S_ISREG(st.st_mode) && st.st_size > 0)
            b.input_bytes = (uint64_t)st.st_size;
        b.started_ms = clock_ms();
        files_line end = all_lines(&b);
        int reason = errno;
        progress_clear(&s->progress);
        errno = reason;
        code = outcome(&b, end);
    }
    files_lines_free(&b.in);
    json_decref(b.done);
    s->label = NULL;
    return code;
}
