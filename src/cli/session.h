/* The state of `s2a ask` and `s2a attend` from the first request to the last. One thread each. */
#ifndef S2A_CLI_SESSION_H
#define S2A_CLI_SESSION_H

#include "cli/options.h"
#include "cli/progress.h"

#include <jansson.h>

typedef struct session {
    const options *o;
    term term;
    progress progress;
    s2a_cancel *cancel; /* never freed: a signal may come until the end */
    s2a_engine *engine;
    s2a_engine *selector; /* the judge model of --select-model, or NULL; closed after engine */
    bool alone;           /* ignore --select-model, and a user's head, which may be damaged */
    bool unjudged;        /* the server will rewrite, because there is no judge model */
    s2a_request *request; /* has all settings; the prompt is set before each run */
    bool stream;          /* print step 2 as it is generated */
    char streamed;        /* the last byte printed; 0 = none yet */
    buf *answer;          /* with stream: also gets the printed text; NULL = not wanted */
    const char *label;    /* label of the progress line; NULL: "step N" */
    /* With --jsonl: makes the result of a line, after the options' protected texts are set; NULL =
     * as ask and attend do. The caller has the reference. S2A_NOMEM if *out is NULL. */
    s2a_status (*line_answer)(struct session *s, const json_t *line, const json_t *id, json_t **out,
                              s2a_error *err);
} session;

/* The exit status for a failure. */
int session_exit(s2a_status status);

/* Whether a command should run after its options were read. If not, its error, its help or the
 * version has been printed, and *code is its exit status. */
bool session_goes_on(const option_command *command, const options *o, s2a_status status,
                     const s2a_error *err, int *code);

/* Sets the fields of *e that have a setting; the others stay. path: the model's file; NULL = the
 * model as named. Borrows the texts, and o for the log. */
void session_engine_options(const options *o, const char *path, s2a_engine_options *e);

/* Prepares a session before its engine is opened, and installs the signal handlers. o, term and
 * progress must be set. False after a line on stderr. Call session_end in any case. */
bool session_begin(session *s);
void session_end(session *s);

/* Opens only the judge model, if there should be one. Returns as session_open. */
int session_open_selector(session *s);
/* If a server will rewrite because there is no judge model, says how to get one. */
void session_hint(const session *s);

/* Finds the model, opens the judge model, if any, and then the engine. 0, or on failure the exit
 * status after a line on stderr. From then on the first signal ends the work cleanly. */
int session_open(session *s);

/* Opens another model with the same settings and judge model, and closes the current one. On
 * failure the current one stays. Errors as for s2a_engine_open and store_resolve. */
s2a_status session_model(session *s, const char *name, s2a_error *err);

/* Makes a session for another thread, on the engine of an open session, with its own request and
 * without a progress line; session_lane_free ends it. S2A_NOMEM. */
s2a_status session_lane(const session *s, session *lane, s2a_error *err);
void session_lane_free(session *lane);

/* Call it before each prompt except the first: removes what the last prompt's line protected, and
 * keeps what the options protect. S2A_NOMEM. */
s2a_status session_next(session *s, s2a_error *err);

/* Notes on stderr: why step 1 was not used, if so; that the answer was cut off, if so. */
void session_note_fallback(const session *s, s2a_fallback fallback, const char *detail);
void session_note_cut(const session *s, const s2a_result *result);

/* Whether the preset has no step 1. */
bool session_is_plain(const session *s);

/* Runs one request, and with --compare a second one without step 1. If only the second one fails,
 * *result is set although the status is an error. */
s2a_status session_run(session *s, s2a_result **result, s2a_result **plain, s2a_error *err);

/* --jsonl: opens the engine and runs all lines of standard input. Returns the exit status. */
int jsonl_run(session *s);

#endif
