/* Mode select: scores each unit of a text in one pass of the judge model, and joins the kept units
 * in the input's own words and order. The steps are in this page's order: mark, read, decide,
 * compose.
 *
 * select_units.c finds the units and those that are always kept. core/reading.h makes the model's
 * input, core/head.h the log-odds, and core/turns.h the list of judged messages. All functions are
 * thread-safe; only reading.c runs the model. */
#ifndef S2A_SELECT_H
#define S2A_SELECT_H

#include "base/buf.h"
#include "core/head.h"
#include "core/memo.h"
#include "core/segment.h"

struct run;

/* Step 1. Fills x' and its fields in the result. Errors as for s2a_attend; the result then holds no
 * x'. */
s2a_status select_run(struct run *r, s2a_error *err);

typedef struct select_input {
    backend *backend;
    const judge_head *head;
    memo *memo; /* NULL = none */
    const char *text;
    const segment_unit *units; /* of text; from question_start on they are the question */
    size_t count;
    size_t question_start;     /* first byte of a separate question; SIZE_MAX = none */
    const s2a_span *documents; /* of text, in order, before the question; NULL = none */
    size_t document_count;
    const backend_message *before; /* the conversation before the text, the latest last */
    size_t before_count;
    const s2a_span *protect; /* spans of text, sorted by start: units that touch one are kept */
    size_t protect_count;
    s2a_preset preset;
    double threshold;     /* NaN = the head's for the preset */
    double keep;          /* 0 = the threshold decides */
    size_t window_tokens; /* tokens of text in a window; 0 = the default */
    const s2a_cancel *cancel;
    const char *request_id;
} select_input;

typedef struct select_unit {
    bool question; /* part of a separate question: not judged */
    bool whole;    /* kept whatever its score */
    bool scored;   /* documents: judged even if whole */
    bool loose;    /* documents: removed if no other unit is kept */
    bool judged;
    double odds[HEAD_FORM_ROWS_MAX]; /* one for each row of the form, in order */
    bool asked;                      /* says what to do, or how */
    double score;                    /* log-odds of being kept; 0 if not judged */
    bool kept;
    const char *label; /* "question", "needed", "unrelated", "opinion", "data" or "instruction" */
} select_unit;

/* The label of kept units that are not asked. */
static inline const char *select_kept_label(s2a_preset preset)
{
    return preset == S2A_PRESET_UNTRUSTED ? "data" : "needed";
}

/* The form of the judge model's input. */
head_form select_form(const select_input *in);

/* Preset untrusted: cuts code and long units into lines and pieces, because it judges those too.
 * Replaces *units; S2A_NOMEM leaves it unchanged. */
s2a_status select_refine(s2a_preset preset, const char *text, segment_unit **units, size_t *count,
                         s2a_error *err);

/* The units of a text as the preset judges them. question_start: first byte of a separate question;
 * 0 or SIZE_MAX = none. The caller frees *units. S2A_NOMEM, S2A_CANCELLED. */
s2a_status select_segment(s2a_preset preset, const char *text, size_t len, size_t question_start,
                          const s2a_cancel *cancel, segment_unit **units, size_t *count,
                          s2a_error *err);

/* Fills out[in->count], except the model's values: the separate question, and the units that are
 * always kept: code, tables and headings, quotations and tags over several units, units without
 * words, and protected text. Pure. */
void select_mark(const select_input *in, select_unit *out);

/* select_mark, reading_run, select_decide. *usage counts the tokens of all windows. The model does
 * not run if there is no unit to judge. Errors as for backend_vtable.read. */
s2a_status select_judge(const select_input *in, select_unit *out, s2a_usage *usage, s2a_error *err);

/* The threshold of a text, from its units' scores: what the caller set, or the head's for the
 * preset. The head has two of each. A text with a score below the first holds what does not belong,
 * and then more of it is likelier, so that the second, higher one holds. NaN if in->keep > 0. */
double select_threshold(const select_input *in, const select_unit *units);

/* Sets asked, score, kept and label from odds. Asked units are kept. A text without one stays
 * unchanged, unless keep > 0 or the preset is untrusted. A text that would lose every unit stays
 * unchanged, too. Pure. S2A_NOMEM with in->keep > 0. */
s2a_status select_decide(const select_input *in, select_unit *out, s2a_error *err);

/* x', and its two parts if the asked units are last. */
typedef struct select_text {
    buf text; /* x' */
    bool changed;
    s2a_span context, question; /* in text; question.end == 0 = x' is not split */
    s2a_span *removed;          /* spans of the input */
    size_t removed_count, removed_cap;
} select_text;

/* Joins the kept units in order. Between two units that lost others between them is the white space
 * with the most line breaks there. x byte for byte if nothing is removed. Always call
 * select_text_free. S2A_NOMEM. */
s2a_status select_compose(const select_input *in, const select_unit *units, size_t x_len,
                          select_text *out, s2a_error *err);
void select_text_free(select_text *text);

#endif
