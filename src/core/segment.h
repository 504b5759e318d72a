/* Units: the pieces of a prompt that step 1 keeps or removes.
 *
 * A unit is a sentence (ICU's rules; abbreviations and decimals do not end it), a list item, a
 * table row, or a whole fenced code block. Units are contiguous and join to the input byte for
 * byte; white space belongs to the unit before it (leading white space to the first unit). */
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

/* *units is malloc'ed (free it with free) and has *count units; an empty text has none. The caller
 * passes valid UTF-8; units of other bytes still join to the input. Pure and thread-safe; the time
 * is linear in len. cancel may be NULL and is polled throughout. S2A_NOMEM, S2A_INTERNAL (ICU data
 * missing), S2A_CANCELLED. */
s2a_status segment_text(const char *text, size_t len, const s2a_cancel *cancel,
                        segment_unit **units, size_t *count, s2a_error *err);

/* The same for a text in two parts; the second begins at byte `at` (0 = one part). No sentence,
 * list or fence spans both. */
s2a_status segment_apart(const char *text, size_t len, size_t at, const s2a_cancel *cancel,
                         segment_unit **units, size_t *count, s2a_error *err);

/* Words: maximal runs that ICU's word rules call letters, numbers, kana or ideographs; decimals
 * ("3.14", "1,000") and contractions ("don't") are one word; a longer word is cut at
 * SEGMENT_WORD_BYTES. *words is malloc'ed. Time, cancel and errors as above. */
s2a_status segment_words(const char *text, size_t len, const s2a_cancel *cancel, s2a_span **words,
                         size_t *count, s2a_error *err);

/* In scripts without spaces ICU looks up a whole run of letters in a dictionary and cannot be
 * cancelled: give it at most this many bytes at a time. */
#define SEGMENT_WORD_BYTES ((size_t)64 << 10)

#endif
