/* The user's side of a conversation in mode select: each message is judged for itself, by what
 * was said before it. So what goes of an earlier message is what went when it was the last one,
 * and the beginning of a conversation does not change with its next turn. What the system, the
 * assistant and tools said is not touched. */
#ifndef S2A_TURNS_H
#define S2A_TURNS_H

#include "core/request.h"
#include "core/segment.h"
#include "core/select.h"

typedef struct turn {
    size_t message;   /* of the request */
    const char *text; /* borrowed, as the units of the last turn are */
    size_t len;
    segment_unit *units;
    size_t count;
    size_t first; /* where its units begin among those of all turns */
    s2a_span *protect;
    size_t protect_count;
} turn;

typedef struct turns {
    turn *items; /* in order: the earlier ones, then the prompt */
    size_t earlier, count, cap;
    size_t unit_count;         /* of all turns */
    backend_message *messages; /* of the request; NULL where it is no conversation */
} turns;

/* last: the prompt with its units. Earlier messages from the first one on, as many as make a
 * text no longer than a prompt may be. turns_free is due in any case. Errors as for
 * segment_text. */
s2a_status turns_gather(const s2a_request *request, const turn *last, turns *out, s2a_error *err);
void turns_free(turns *t);

/* How turn i is judged; the prompt's is t->earlier. settings: all but the text, its units and
 * what stands around it. Lives as long as *t. */
select_input turns_input(const turns *t, size_t i, const select_input *settings);

#endif
