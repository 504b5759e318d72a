/* Select: step 1 without writing. Each unit's first words are repeated in the assistant's turn, and
 * what the model would say of it there (needed, unrelated, opinion) is read instead of sampled: one
 * prefill of the text, one short branch a unit. What is kept are the user's own bytes. The paper
 * names "only generate the difference, or the parts not to include" as future work (section 6).
 *
 * prompts/select-system.txt is the instruction, prompts/select-examples.txt turns that come before
 * every text: both are computed once. prompts/select.txt is the turn of the text itself. Preset untrusted
 * has an instruction, examples and labels of its own (data, instruction). All functions are thread-safe. */
#ifndef S2A_SELECT_H
#define S2A_SELECT_H

#include "backend/backend.h"
#include "core/buf.h"
#include "core/prompt.h"
#include "core/segment.h"

/* The instruction and the turns of select-examples.txt, ready to be sent; immutable. */
typedef struct select_examples {
    backend_message *messages; /* their texts are malloc'ed */
    size_t count;
    size_t tokens; /* of all of them, where they were counted */
} select_examples;

/* Lines "needed: ...", "unrelated: ...", "opinion: ..." and "question: ..."; of preset untrusted
 * "data: ...", "instruction: ..." and "question: ..."; blank lines between examples, each with one
 * question. S2A_PROMPT (position is the byte at fault), S2A_NOMEM. On
 * failure *out holds nothing to free. */
s2a_status select_examples_build(const prompt_set *prompts, s2a_preset preset, select_examples *out,
                                 s2a_error *err);
void select_examples_free(select_examples *examples);
/* Their tokens, for the judgement of texts that are nearly as long as the context. */
void select_examples_count(select_examples *examples, backend *b);

/* Exact where the backend can count; otherwise an estimate that is rather too high. */
size_t select_count_tokens(backend *b, const char *text, size_t len);

/* What is said of one unit. */
typedef struct select_unit {
    bool question;   /* always kept, not judged */
    bool asked;      /* it is what is to be answered now */
    bool whole;      /* code, table, list, heading, inside a quotation: kept unless a share of the text
                        is asked for. Preset untrusted: fenced code alone */
    bool judged;
    double needed, unrelated, opinion; /* log-probabilities of the labels; preset untrusted: of
                                          data and instruction, and 0; with a lens less needed's */
    double attention;                  /* of the question's, on a byte of the unit */
    bool attended;                     /* attention is what was read, not the labels */
    double score;                      /* log-odds of being kept; 0 when not judged */
    bool kept;
    const char *label; /* "question", "needed", "unrelated", "opinion", "data", "instruction" */
} select_unit;

typedef struct select_input {
    backend *backend;
    const prompt_set *prompts;
    const select_examples *examples;
    const char *text; /* x */
    const segment_unit *units;
    size_t count;
    size_t question_start; /* units from here on are the question, given apart; SIZE_MAX = find it */
    s2a_preset preset;     /* auto, opinion, relevance or untrusted; examples are that preset's */
    const s2a_calibration *calibration;
    const struct tuned_lens *lens; /* reads the judgement, but not with preset untrusted; NULL = by labels */
    double threshold; /* kept from this score on */
    double keep;      /* 0, or the share of the judged bytes to keep, best scores first. Scores are
                         then the question's attention, where the backend can read it */
    size_t window_tokens; /* of the text that is judged at once; 0 = the default */
    const s2a_cancel *cancel;
    const char *request_id; /* as in backend_params */
} select_input;

/* Fills out[count]. A text longer than a window is judged in several, one call of the backend each, and
 * their usage is added up; a unit longer than a window is not judged, and stays. Errors are those of
 * the backend; S2A_LIMIT where its context has no room beside the question. Where no unit could go the
 * backend is not asked. Our own work is linear in the text, but for a sort of the scores with keep. */
s2a_status select_judge(const select_input *in, select_unit *out, s2a_usage *usage, s2a_error *err);

/* Its two halves: what is asked, and all the rest. S2A_NOMEM; as above. */
s2a_status select_mark(const select_input *in, select_unit *out, s2a_error *err);
s2a_status select_score(const select_input *in, select_unit *out, s2a_usage *usage, s2a_error *err);

/* For what the user said earlier in a conversation. Instead of select_mark: every question, request and
 * standing instruction stays, and none is asked now. S2A_NOMEM. */
s2a_status select_mark_earlier(const select_input *in, select_unit *out, s2a_error *err);
/* Afterwards: what a kept sentence refers back to stays (unless a share is asked for), and all of it
 * where nothing would be left. */
void select_spare(const select_input *in, select_unit *out);

/* The second half of it: scores from log-probabilities, over the whole text, and who stays. S2A_NOMEM. */
s2a_status select_decide(const select_input *in, select_unit *out, s2a_error *err);

/* x': the kept units as they stand in x. If something went, what is asked is handed over last; a
 * request that is no question ("Comment on the following.") stays where it was. A space is added
 * where that joins units that stood apart. */
typedef struct select_text {
    buf text;
    s2a_span context, question; /* in text; question is empty where its place is not known */
    s2a_span *removed;          /* of x, in order, not touching; malloc'ed */
    size_t removed_count, removed_cap;
    bool changed; /* otherwise text is x */
} select_text;

/* S2A_NOMEM. select_text_free is due in any case. */
s2a_status select_compose(const select_input *in, const select_unit *units, size_t x_len,
                          select_text *out, s2a_error *err);
void select_text_free(select_text *text);

#endif
