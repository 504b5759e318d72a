/* The user's messages of a conversation in mode select. Each is judged separately, given the
 * messages before it. So the text removed from a message stays the same in later requests, and the
 * beginning of the conversation does not change. Other messages are unchanged. */
#ifndef S2A_TURNS_H
#define S2A_TURNS_H

#include "core/request.h"
#include "core/segment.h"
#include "core/select.h"

typedef struct turn {
    size_t message;   /* index in the request */
    const char *text; /* borrowed, as the units of the last turn are */
    size_t len;
    segment_unit *units;
    size_t count;
    size_t first; /* index of its first unit among those of all turns */
    s2a_span *protect;
    size_t protect_count;
} turn;

typedef struct turns {
    turn *items; /* in order: the earlier ones, then the prompt */
    size_t earlier, count, cap;
    size_t unit_count;         /* of all turns */
    backend_message *messages; /* of the request; NULL if it is not a conversation */
} turns;

/* last: the prompt with its units. Takes earlier messages from the first on, up to
 * LIMIT_INPUT_BYTES together. Always call turns_free. Errors as for segment_text; S2A_CANCELLED
 * also while protected texts are searched. */
s2a_status turns_gather(const s2a_request *request, const turn *last, turns *out, s2a_error *err);
void turns_free(turns *t);

/* The input for judging turn i; the prompt is turn t->earlier. settings: all fields but the text,
 * its units, its protected spans and the messages before it. Valid as long as *t. */
select_input turns_input(const turns *t, size_t i, const select_input *settings);

#endif
