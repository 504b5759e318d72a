/* Results in readable form: what step 1 removed and added, and two answers side by side. Writes to
 * stdout; program_run detects its errors. */
#ifndef S2A_CLI_EXPLAIN_H
#define S2A_CLI_EXPLAIN_H

#include "cli/term.h"

/* --explain: the prompt with removed text struck through, its units, x' with added words marked,
 * and why step 1 was not used, if so. */
void explain_step1(const term *t, const s2a_result *result);

/* The prompt alone, with removed text struck through. */
void explain_prompt(const term *t, const s2a_result *result);

/* The units with their scores and the threshold; without units, why there are none. */
void explain_units(const term *t, const s2a_result *result);

/* A heading and the answer under it. */
void explain_answer(const term *t, const s2a_result *result);

/* --compare: side by side if the terminal has 80 columns or more, otherwise one above the other. */
void explain_compare(const term *t, const s2a_result *plain, const s2a_result *result);

/* One line: tokens and time of each step that ran; plain may be NULL. */
void explain_usage(const term *t, const s2a_result *result, const s2a_result *plain);

#endif
