/* Full stops that do not end a sentence and that ICU's rules do not know: after titles,
 * abbreviations, initials and list numbers. English words; other languages are left to ICU. */
#ifndef S2A_ABBREV_H
#define S2A_ABBREV_H

#include <stdbool.h>
#include <stddef.h>

/* A place where a sentence may end, in a longer text. */
typedef struct abbrev_place {
    const char *text;
    size_t start; /* the sentence so far is text[start, stop) */
    size_t stop;  /* after its last mark; white space from there to at */
    size_t at;    /* where the next one would begin */
    size_t end;   /* end of the text */
    size_t lines; /* line breaks between stop and at */
} abbrev_place;

/* True if the word before the full stop is an abbreviation and the sentence continues at `at`.
 * Looks at most 128 bytes to either side. Pure. */
bool abbrev_continues(const abbrev_place *p);

/* Where a list number ("1.", "(2)", "b)", "IV.") begins that ends the sentence so far but belongs
 * to the text after it: at the sentence's start, or after a colon if the list's second number
 * follows on the line ("You need: 1. Flour. 2. Eggs."). stop if there is none. Looks at most 512
 * bytes ahead. Pure. */
size_t abbrev_number(const abbrev_place *p);

#endif
