/* --jsonl: one request a line on standard input, one result or error a line on stdout, in the same
 * order. Each of the --concurrency threads takes a line, answers it, and writes its result after
 * the results of all earlier lines. A line is read only when a thread is free. So memory is limited
 * to a line and a result for each thread and, with --resume, the ids of the earlier results. */
#include "base/ascii.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/limits.h"
#include "cli/commands.h"
#include "cli/files.h"
#include "cli/input.h"
#include "cli/result_json.h"
#include "cli/session.h"
#include "cli/signals.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

typedef struct batch {
    session *s;
    json_t *done;         /* --resume: an object whose keys are the ids as JSON; NULL without it */
    bool newline_owed;    /* the file that is resumed ends inside a line */
    uint64_t input_bytes; /* of standard input if it is a file; otherwise 0 */
    double started_ms;

    pthread_mutex_t reading; /* guards: */
    files_lines in;
    uint64_t line, taken; /* lines read; those that threads took */
    files_line end;       /* why reading ended; FILES_LINE = it has not */
    int end_errno;

    pthread_mutex_t writing; /* guards: */
    pthread_cond_t written_more;
    uint64_t written; /* lines taken that are finished */
    uint64_t finished, failed, fell_back, skipped, bytes;
    char label[128];
    s2a_status output;
} batch;

/* A line and its result; one for each thread. */
typedef struct lane {
    batch *b;
    session *s;
    pthread_t thread;
    buf text;
    uint64_t turn, line, bytes; /* bytes: of the input, up to the line's end */
    bool too_long;
    json_t *out; /* NULL = nothing to write */
    enum { LANE_FINISHED, LANE_FELL_BACK, LANE_FAILED, LANE_SKIPPED, LANE_CANCELLED } outcome;
    bool no_memory; /* out could not be made */
} lane;

/* ---- resuming --------------------------------------------------------------------------- */

/* The id as a key: "1" and 1 differ. NULL if there is none, or when out of memory. */
static char *id_key(const json_t *id)
{
    return json_is_string(id) || json_is_integer(id) ? json_dumps(id, JSON_ENCODE_ANY) : NULL;
}

/* Reads a line of earlier output; false if it is not a result. */
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

/* Whether results go to another file than the resumed one. That file's last line then stays as it
 * is. */
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
        term_say("note: %s: %" PRIu64 " lines are not results; they are ignored", o->resume,
                 strange);
    if (torn)
        term_say("note: %s: the last line is cut off; its request is run again", o->resume);
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

static void lane_fails(lane *l, const json_t *id, const s2a_error *err)
{
    l->outcome = LANE_FAILED;
    l->out = result_json_error(id, l->line, err);
    l->no_memory = !l->out;
}

/* Runs a valid request. */
static void answer_line(lane *l, const json_t *id)
{
    s2a_result *result = NULL, *plain = NULL;
    s2a_error err = { .status = S2A_OK };
    s2a_status status = session_run(l->s, &result, &plain, &err);
    if (status == S2A_OK) {
        bool fell_back = s2a_result_fallback(result) != S2A_FALLBACK_NONE;
        l->outcome = fell_back ? LANE_FELL_BACK : LANE_FINISHED;
        l->out = result_json(result, id, plain);
        l->no_memory = !l->out;
    } else if (status != S2A_CANCELLED) {
        lane_fails(l, id, &err);
    } else {
        l->outcome = LANE_CANCELLED;
    }
    s2a_result_free(result);
    s2a_result_free(plain);
}

/* Runs a line of a command whose requests have another form. */
static void other_line(lane *l, const json_t *line, const json_t *id)
{
    s2a_error err = { .status = S2A_OK };
    s2a_status status = l->s->line_answer(l->s, line, id, &l->out, &err);
    l->outcome = status == S2A_CANCELLED ? LANE_CANCELLED : LANE_FINISHED;
    if (status != S2A_OK && status != S2A_CANCELLED)
        lane_fails(l, id, &err);
}

static bool already_done(const batch *b, const json_t *id)
{
    char *key = b->done ? id_key(id) : NULL;
    bool done = key && json_object_get(b->done, key);
    free(key);
    return done;
}

static void lane_answer(lane *l)
{
    s2a_error err = { .status = S2A_OK };
    l->out = NULL;
    l->no_memory = false;
    if (l->too_long) {
        error_set(&err, S2A_LIMIT, "the line is longer than %zu bytes; shorten it",
                  LIMIT_JSON_LINE_BYTES);
        lane_fails(l, NULL, &err);
        return;
    }
    json_t *line = input_parse_json("the line", l->text.data, l->text.len, &err);
    json_t *id = line ? json_object_get(line, "id") : NULL;
    s2a_status status = line ? S2A_OK : err.status;
    if (id && !json_is_string(id) && !json_is_integer(id) && !json_is_null(id)) {
        status = error_set(&err, S2A_INPUT, "id must be a string or a whole number");
        id = NULL;
    }
    if (status == S2A_OK && already_done(l->b, id))
        l->outcome = LANE_SKIPPED;
    else if (status != S2A_OK || (status = session_next(l->s, &err)) != S2A_OK)
        lane_fails(l, id, &err);
    else if (l->s->line_answer)
        other_line(l, line, id);
    else if (input_from_json(line, l->s->request, &err) != S2A_OK)
        lane_fails(l, id, &err);
    else
        answer_line(l, id);
    json_decref(line);
}

/* ---- all lines -------------------------------------------------------------------------- */

/* Reads the next line that is not blank. False if there is none, or if reading has stopped. */
static bool lane_take(lane *l)
{
    batch *b = l->b;
    pthread_mutex_lock(&b->reading);
    files_line kind = b->end;
    do {
        if (signals_caught())
            b->end = FILES_STOPPED;
        if (b->end != FILES_LINE)
            break;
        kind = files_lines_next(&b->in);
        b->line += kind == FILES_LINE || kind == FILES_TOO_LONG;
        if (kind != FILES_LINE && kind != FILES_TOO_LONG) {
            b->end = kind;
            b->end_errno = errno;
        }
    } while (b->end == FILES_LINE && kind == FILES_LINE &&
             ascii_blank(b->in.line.data, b->in.line.len));
    bool took = b->end == FILES_LINE;
    if (took) {
        l->too_long = kind == FILES_TOO_LONG;
        l->turn = b->taken++;
        l->line = b->line;
        l->bytes = b->in.bytes;
        buf_reset(&l->text);
        if (!l->too_long)
            buf_add(&l->text, b->in.line.data, b->in.line.len);
        buf_add(&l->text, "", 0);
    }
    pthread_mutex_unlock(&b->reading);
    return took;
}

static void label_draw(batch *b)
{
    double minutes = (clock_ms() - b->started_ms) / 6e4;
    double rate = minutes > 0 ? (double)b->finished / minutes : 0;
    char bar[48] = "";
    if (b->input_bytes > 0) {
        double share = (double)b->bytes / (double)b->input_bytes;
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
    progress_draw(&b->s->progress, "%s", b->label);
}

/* Writes the line's result after all earlier ones. False if no more can be written. */
static bool lane_write(lane *l)
{
    batch *b = l->b;
    pthread_mutex_lock(&b->writing);
    while (b->written != l->turn)
        pthread_cond_wait(&b->written_more, &b->writing);
    b->finished += l->outcome == LANE_FINISHED || l->outcome == LANE_FELL_BACK;
    b->fell_back += l->outcome == LANE_FELL_BACK;
    b->failed += l->outcome == LANE_FAILED;
    b->skipped += l->outcome == LANE_SKIPPED;
    b->bytes = l->bytes;
    if (b->output == S2A_OK && l->no_memory)
        b->output = S2A_NOMEM;
    if (l->out && b->output == S2A_OK) {
        progress_clear(&b->s->progress);
        if (b->newline_owed)
            fputc('\n', stdout);
        b->newline_owed = false;
        b->output = result_json_write(&b->s->term, l->out, false);
    } else {
        json_decref(l->out);
    }
    label_draw(b);
    bool more = b->output == S2A_OK;
    b->written++;
    pthread_cond_broadcast(&b->written_more);
    pthread_mutex_unlock(&b->writing);
    return more;
}

static void *lane_run(void *ctx)
{
    lane *l = ctx;
    bool more = true;
    while (more && lane_take(l)) {
        if (l->text.status != S2A_OK) {
            l->outcome = LANE_FAILED;
            l->out = NULL;
            l->no_memory = true;
        } else {
            lane_answer(l);
        }
        more = lane_write(l);
    }
    if (!more) { /* stop the other threads' reading; one may hold the lock while it waits */
        signals_stop_waiting();
        pthread_mutex_lock(&l->b->reading);
        if (l->b->end == FILES_LINE)
            l->b->end = FILES_STOPPED;
        pthread_mutex_unlock(&l->b->reading);
    }
    return NULL;
}

/* The first lane runs on this thread. A single lane uses the session itself, whose progress line
 * counts tokens. */
static s2a_status lanes_run(batch *b, s2a_error *err)
{
    uint32_t count = b->s->o->concurrency > 0 ? b->s->o->concurrency : 1, ready = 0, started = 1;
    lane *lanes = calloc(count, sizeof *lanes);
    session *sessions = calloc(count, sizeof *sessions);
    s2a_status status = lanes && sessions ? S2A_OK : error_nomem(err);
    for (; ready < count && status == S2A_OK; ready++) {
        lanes[ready] = (lane){ .b = b, .s = count > 1 ? &sessions[ready] : b->s };
        buf_init(&lanes[ready].text, LIMIT_JSON_LINE_BYTES + 1);
        if (count > 1)
            status = session_lane(b->s, &sessions[ready], err);
    }
    if (status == S2A_OK) {
        label_draw(b);
        while (started < count &&
               pthread_create(&lanes[started].thread, NULL, lane_run, &lanes[started]) == 0)
            started++;
        lane_run(&lanes[0]);
        for (uint32_t i = 1; i < started; i++)
            pthread_join(lanes[i].thread, NULL);
    }
    for (uint32_t i = 0; i < ready; i++) {
        buf_free(&lanes[i].text);
        if (count > 1)
            session_lane_free(&sessions[i]);
    }
    free(sessions);
    free(lanes);
    return status;
}

static int outcome(const batch *b)
{
    const options *o = b->s->o;
    if (b->output == S2A_NOMEM)
        term_say("out of memory");
    if (b->output != S2A_OK)
        return EXIT_FAILED;
    if (b->end == FILES_FAILED)
        term_say("standard input: %s; check where it comes from", strerror(b->end_errno));
    if (!o->quiet && b->fell_back > 0)
        term_say("note: %" PRIu64 " of %" PRIu64 " requests fell back to the original prompt; "
                 "\"fallback\" in their results says why",
                 b->fell_back, b->finished);
    if (!o->quiet && b->failed > 0)
        term_say("note: %" PRIu64 " of %" PRIu64 " requests failed; \"error\" in their lines says "
                 "why",
                 b->failed, b->finished + b->failed);
    if (signals_caught())
        return 128 + signals_caught();
    if (b->end == FILES_FAILED || b->failed > 0)
        return EXIT_FAILED;
    return o->strict && b->fell_back > 0 ? EXIT_FELL_BACK : EXIT_DONE;
}

static int run_open(batch *b)
{
    struct stat st;
    s2a_error err = { .status = S2A_OK };
    if (!files_lines_init(&b->in, STDIN_FILENO, LIMIT_JSON_LINE_BYTES)) {
        term_say("out of memory");
        return EXIT_FAILED;
    }
    if (fstat(STDIN_FILENO, &st) == 0 && S_ISREG(st.st_mode) && st.st_size > 0)
        b->input_bytes = (uint64_t)st.st_size;
    b->started_ms = clock_ms();
    s2a_status status = lanes_run(b, &err);
    progress_clear(&b->s->progress);
    if (status == S2A_OK)
        return outcome(b);
    term_say("%s", err.message);
    return EXIT_FAILED;
}

int jsonl_run(session *s)
{
    batch b = { .s = s,
                .output = S2A_OK,
                .end = FILES_LINE,
                .reading = PTHREAD_MUTEX_INITIALIZER,
                .writing = PTHREAD_MUTEX_INITIALIZER,
                .written_more = PTHREAD_COND_INITIALIZER };
    s2a_error err = { .status = S2A_OK };
    int code = EXIT_FAILED;
    if (s->o->resume && resume_read(&b, &err) != S2A_OK)
        term_say("%s", err.message);
    else if ((code = session_open(s)) == EXIT_DONE)
        code = run_open(&b);
    files_lines_free(&b.in);
    json_decref(b.done);
    s->label = NULL;
    return code;
}
