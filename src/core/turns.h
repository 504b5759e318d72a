/* The user's side of a conversation in mode select: earlier turns are judged together with the last one,
 * as the text before it, and each is put together for itself. What the system, the assistant and tools
 * said is not touched, and neither is what the user asked for earlier: it was answered. */
#ifndef S2A_TURNS_H
#define S2A_TURNS_H

#include "core/request.h"
#include "core/segment.h"
#include "core/select.h"

typedef struct turn {
    size_t message; /* of the request */
    const char *text; /* borrowed, as the units of the last turn are */
    size_t len;
    segment_unit *units;
    size_t count;
    size_t first; /* where its units begin among those of all turns */
} turn;

typedef struct turns {
    turn *items; /* in order: the earlier ones, then the prompt */
    size_t earlier, count, cap;
    buf joined;          /* their texts with blank lines between them, and ... */
    segment_unit *units; /* ... the units of all in it; only where there are earlier ones */
    size_t unit_count;
} turns;

/* last: the prompt with its units. Of earlier turns as many as make, with it, a text no longer than a
 * prompt may be, the latest first. turns_free is due in any case. Errors as for segment_text. */
s2a_status turns_gather(const s2a_request *request, const turn *last, turns *out, s2a_error *err);
void turns_free(turns *t);

/* settings: all but the text and its units. Fills out[t->unit_count]. Errors as for select_judge. */
s2a_status turns_judge(const turns *t, const select_input *settings, select_unit *out,
                       s2a_usage *usage, s2a_error *err);

/* What is kept of turn i; the prompt's is t->earlier. Errors and ownership as for select_compose. */
s2a_status turns_compose(const turns *t, size_t i, const select_input *settings,
                         const select_unit *units, select_text *out, s2a_error *err);

/* The earlier turns that were changed, into the result, whose they are also on failure. S2A_NOMEM. */
s2a_status turns_report(const turns *t, const select_input *settings, const select_unit *units,
                        s2a_result *result, s2a_error *err);

#endif
