/* What `s2a ask` and `s2a attend` work with from the first request to the last. One thread each. */
#ifndef S2A_CLI_SESSION_H
#define S2A_CLI_SESSION_H

#include "cli/options.h"
#include "cli/progress.h"

typedef struct session {
    const options *o;
    term term;
    progress progress;
    s2a_cancel *cancel; /* never freed: a signal may come until the end */
    s2a_engine *engine;
    s2a_engine *selector; /* of --select-model, or NULL; the engine's, and closed after it */
    bool alone;           /* --select-model is not for this command, nor what was taught: it may be damaged */
    bool unjudged;        /* the server will rewrite, for want of a model that judges */
    s2a_request *request; /* has all settings; a prompt is put in before each run */
    bool stream;          /* step 2 goes to stdout as it comes */
    char streamed;        /* the last byte that did; 0 = none yet */
    const char *label;    /* of the progress line; NULL: "step N" */
} session;

/* The exit status for a failure. */
int session_exit(s2a_status status);

/* What the settings say of an engine; the rest of *e stays. path: the model's file; NULL: as named. Texts
 * are borrowed, and o is the log's. */
void session_engine_options(const options *o, const char *path, s2a_engine_options *e);

/* Makes what a session needs before its engine, o and the terminal being set, and installs the
 * handlers of signals. False after a line on stderr. session_end in any case. */
bool session_begin(session *s);
void session_end(session *s);

/* Opens the selector alone, where there is to be one; then as session_open. */
int session_open_selector(session *s);
/* Where there is none in front of a server, and nobody said that there is to be none, says how to get one. */
void session_hint(const session *s);

/* Finds the model and opens the engine, and the selector before it. On failure the exit status, after a
 * line on stderr; 0 otherwise. From then on signals end what runs in order. */
int session_open(session *s);

/* Another one on the engine of an open session, with a request of its own and no progress line, for
 * another thread; session_lane_free ends it. S2A_NOMEM. */
s2a_status session_lane(const session *s, session *lane, s2a_error *err);
void session_lane_free(session *lane);

/* Before each prompt but the first: what the last one protected of itself is forgotten, what the options protect is
 * not. S2A_NOMEM. */
s2a_status session_next(session *s, s2a_error *err);

/* One request, and with --compare a second one without step 1. *result may be there also after a
 * failure: when the second one failed. */
s2a_status session_run(session *s, s2a_result **result, s2a_result **plain, s2a_error *err);

/* --jsonl: from standard input to its end; the exit status. Opens the engine. */
int jsonl_run(session *s);

#endif
