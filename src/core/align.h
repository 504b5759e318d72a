/* Maps x' back to x, word by word: which bytes of x were removed, which words of x' are new.
 *
 * The longest run of words that both have is matched first, then the same on either side of it
 * (Ratcliff and Obershelp's method), so that a kept sentence is matched as a whole, not word by
 * word across removed ones. Letter case, commas inside numbers and the kind of apostrophe do not
 * count. */
#ifndef S2A_ALIGN_H
#define S2A_ALIGN_H

#include "core/segment.h"
#include "s2a.h"

typedef struct align_result {
    s2a_span *removed; /* spans of x, in order, not touching */
    size_t removed_count;
    s2a_span *added; /* spans of y, in order */
    size_t added_count;
    bool *unit_kept;        /* one for each unit: at least half of its words are matched */
    int *unit_region;       /* the region of y that most of its matched words are in; -1 for none */
    size_t *region_words;   /* words of each region of y */
    size_t *region_matched; /* matched words of each region */
    bool identical;         /* same words in the same order: nothing removed, added or moved */
} align_result;

/* y is x'; regions are its parts (question, context), matched in the given order, each against the
 * words of x that are still unmatched, so a part may have moved. Bytes of y outside all regions are
 * ignored. Regions do not overlap. cancel may be NULL. S2A_NOMEM, S2A_INTERNAL (ICU),
 * S2A_CANCELLED. On failure *out holds nothing to free. */
s2a_status align_texts(const char *x, size_t x_len, const segment_unit *units, size_t unit_count,
                       const char *y, size_t y_len, const s2a_span *regions, size_t region_count,
                       const s2a_cancel *cancel, align_result *out, s2a_error *err);
void align_result_free(align_result *result);

#endif
