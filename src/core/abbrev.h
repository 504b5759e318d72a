/* Where a full stop does not end a sentence, which ICU's rules alone do not know: titles,
 * abbreviations, initials, numbers of a list. English words; other languages are left to ICU. */
#ifndef S2A_ABBREV_H
#define S2A_ABBREV_H

#include <stdbool.h>
#include <stddef.h>

/* A place where a sentence may end, in a longer text. */
typedef struct abbrev_place {
    const char *text;
    size_t start; /* the sentence so far is text[start, stop) */
    size_t stop;  /* behind its last mark; white space from there to at */
    size_t at;    /* where the next one would begin */
    size_t end;   /* of the text */
    size_t lines; /* line breaks between stop and at */
} abbrev_place;

/* True when the word before the full stop is an abbreviation that the word at `at` goes on from.
 * Looks at most 128 bytes to either side. Pure. */
bool abbrev_continues(const abbrev_place *p);

/* Where the number of a list item begins ("1.", "(2)", "b)", "IV.") that the sentence so far ends
 * in, and that belongs to what follows on its line: at the sentence's start, or behind a colon when
 * the next number follows as well ("You need: 1. Flour. 2. Eggs."). stop where there is none. Looks
 * at most 512 bytes ahead. Pure. */
size_t abbrev_number(const abbrev_place *p);

#endif
