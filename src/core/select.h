/* Mode select: judging each unit of a text from one reading, and putting together what is kept, in
 * the input's own words and order. The way of a text goes down this page: marked, read, decided,
 * composed.
 *
 * Which units there are and which stay whatever is said of them stands in select_units.c, what
 * is read in core/reading.h, what it says in core/head.h, and whose messages are judged in
 * core/turns.h. All functions are thread-safe; the model runs in reading.c alone. */
#ifndef S2A_SELECT_H
#define S2A_SELECT_H

#include "base/buf.h"
#include "core/head.h"
#include "core/memo.h"
#include "core/segment.h"

struct run;

/* Step 1. Fills x' and all that goes with it. Errors as for s2a_attend; the result then holds no
 * x'. */
s2a_status select_run(struct run *r, s2a_error *err);

typedef struct select_input {
    backend *backend;
    const judge_head *head;
    memo *memo; /* NULL = none */
    const char *text;
    const segment_unit *units; /* of text; those from question_start on are the question */
    size_t count;
    size_t question_start; /* byte where a question that was given apart begins; SIZE_MAX = none */
    const s2a_span *documents; /* of text, in order, before the question; NULL = none */
    size_t document_count;
    const backend_message *before; /* the conversation before the text, the latest last */
    size_t before_count;
    const s2a_span *protect; /* of text, by their starts: units that touch one stay */
    size_t protect_count;
    s2a_preset preset;
    double threshold;     /* NaN = the head's for the preset */
    double keep;          /* 0 = the threshold decides */
    size_t window_tokens; /* of the text that are read at once; 0 = the default */
    const s2a_cancel *cancel;
    const char *request_id;
} select_input;

typedef struct select_unit {
    bool question; /* of the question that was given apart: not judged */
    bool whole;    /* stays whatever is said of it */
    bool scored;   /* of a document: read although it stays */
    bool loose;    /* of a document: goes when nothing else of it stays */
    bool judged;
    double odds[HEAD_FORM_ROWS_MAX]; /* of the rows of the form, in order */
    bool asked;                      /* says what is to be done, or how */
    double score;                    /* log-odds of being kept; 0 where it is not judged */
    bool kept;
    const char *label; /* "question", "needed", "unrelated", "opinion", "data" or "instruction" */
} select_unit;

/* The label of what is kept and not asked. */
static inline const char *select_kept_label(s2a_preset preset)
{
    return preset == S2A_PRESET_UNTRUSTED ? "data" : "needed";
}

/* How the text is read. */
head_form select_form(const select_input *in);

/* Cuts fenced code and what is longer than a piece into lines and pieces, for a preset that
 * judges those too. *units is replaced. S2A_NOMEM, and *units is then as it was. */
s2a_status select_refine(s2a_preset preset, const char *text, segment_unit **units, size_t *count,
                         s2a_error *err);

/* The units of a text as the preset judges them. question_start: byte where a question that was
 * given apart begins; 0 or SIZE_MAX = none. *units is the caller's, malloc'ed. S2A_NOMEM,
 * S2A_CANCELLED. */
s2a_status select_segment(s2a_preset preset, const char *text, size_t len, size_t question_start,
                          const s2a_cancel *cancel, segment_unit **units, size_t *count,
                          s2a_error *err);

/* Fills out[in->count] but for what the model says: what the question is, and what stays: code,
 * tables and headings, what stands between quotation marks or tags that are open where a unit
 * begins or ends, marks without words, and what the caller protects. Pure. */
void select_mark(const select_input *in, select_unit *out);

/* select_mark, then one reading, then select_decide. *usage counts the tokens of all windows.
 * Without anything to judge the model is not asked. Errors as for backend_vtable.read. */
s2a_status select_judge(const select_input *in, select_unit *out, s2a_usage *usage, s2a_error *err);

/* Sets asked, score, kept and label from odds. What is asked stays, and a text in which nothing is
 * asked stays as it is. Of documents never everything goes. Pure. S2A_NOMEM with in->keep > 0. */
s2a_status select_decide(const select_input *in, select_unit *out, s2a_error *err);

/* x', or its two halves where what is asked stands last in it. */
typedef struct select_text {
    buf text; /* x' */
    bool changed;
    s2a_span context, question; /* of text; question.end == 0 = it is not in two halves */
    s2a_span *removed;          /* of the input */
    size_t removed_count, removed_cap;
} select_text;

/* Units that are kept, in their order; where others stood between two, the white space with most
 * line breaks of that between them. x byte for byte when nothing goes. select_text_free is due
 * in any case. S2A_NOMEM. */
s2a_status select_compose(const select_input *in, const select_unit *units, size_t x_len,
                          select_text *out, s2a_error *err);
void select_text_free(select_text *text);

#endif
