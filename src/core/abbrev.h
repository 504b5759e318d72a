/* Where a full stop does not end a sentence, which ICU's rules alone do not know: titles,
 * abbreviations, initials. English words; other languages are left to ICU. */
#ifndef S2A_ABBREV_H
#define S2A_ABBREV_H

#include <stdbool.h>
#include <stddef.h>

/* text[at] is where a sentence may begin, after a full stop and white space. True when the word
 * before the stop is an abbreviation that the word at `at` goes on from. Looks at most 64 bytes to
 * either side. Pure. */
bool abbrev_continues(const char *text, size_t len, size_t at);

#endif
