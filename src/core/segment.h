/* Units: the pieces of a prompt that step 1 keeps or removes.
 *
 * A unit is a sentence (ICU sentence rules, with abbreviations and decimals held together), a list
 * item, a table row, or a whole fenced code block. Units are contiguous and join to the input byte
 * for byte; white space belongs to the unit before it (leading white space to the first unit). */
#ifndef S2A_SEGMENT_H
#define S2A_SEGMENT_H

#include "s2a.h"

typedef enum segment_kind {
    SEGMENT_SENTENCE,
    SEGMENT_LIST_ITEM,
    SEGMENT_TABLE_ROW,
    SEGMENT_CODE,    /* a fenced block with its fences, or an indented block */
    SEGMENT_HEADING, /* a Markdown heading line */
    SEGMENT_BLANK,   /* the whole text is white space */
} segment_kind;

typedef struct segment_unit {
    size_t start, end; /* bytes; end includes trailing white space */
    size_t text_end;   /* end without trailing white space; start == text_end when blank */
    segment_kind kind;
    bool question; /* ends in a question mark of any script, closing quotes aside */
} segment_unit;

/* *units is malloc'ed (free it with free) and holds *count units; an empty text has none.
 * Valid UTF-8 is the caller's duty, but any bytes give units that join. Pure and thread-safe; the
 * time is linear in len. cancel, which may be NULL, is looked at all the way.
 * S2A_NOMEM, S2A_INTERNAL (ICU data missing), S2A_CANCELLED. */
s2a_status segment_text(const char *text, size_t len, const s2a_cancel *cancel,
                        segment_unit **units, size_t *count, s2a_error *err);

/* The same of a text in two parts, the second of which begins at byte `at` (0 = there is one part):
 * no sentence, list or fence goes across. */
s2a_status segment_apart(const char *text, size_t len, size_t at, const s2a_cancel *cancel,
                         segment_unit **units, size_t *count, s2a_error *err);

/* Words: maximal runs that ICU's word rules call letters, numbers, kana or ideographs; decimals
 * ("3.14", "1,000") and contractions ("don't") are one word; one of more than SEGMENT_WORD_BYTES is
 * cut there. *words is malloc'ed. Time, cancel and errors as above. */
s2a_status segment_words(const char *text, size_t len, const s2a_cancel *cancel, s2a_span **words,
                         size_t *count, s2a_error *err);

/* ICU looks a run of letters of scripts without spaces up in a dictionary at one go, and nothing
 * can stop it: it is given this much at a time. */
#define SEGMENT_WORD_BYTES ((size_t)64 << 10)

#endif
