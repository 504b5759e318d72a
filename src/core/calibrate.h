/* Where the borders of a model's judgements lie: chosen on units of which it is known what they are.
 * A needed unit that is cut does harm, an unrelated one that stays does little: borders keep nearly
 * all needed units first, and remove what they can then. Pure; thread-safe. */
#ifndef S2A_CALIBRATE_H
#define S2A_CALIBRATE_H

#include "core/select.h"

/* What a unit is. */
typedef enum calibrate_kind {
    CALIBRATE_NEEDED,
    CALIBRATE_UNRELATED,
    CALIBRATE_OPINION,
    CALIBRATE_KINDS,
} calibrate_kind;

typedef struct calibrate_unit {
    size_t prompt; /* units of one prompt stand together; even and odd prompts are the two halves */
    calibrate_kind kind;
    double needed, unrelated, opinion; /* log-probabilities of the labels */
} calibrate_unit;

#define CALIBRATE_MAX_UNITS ((size_t)4096)
#define CALIBRATE_LEAST_AUC 0.8 /* below it a judgement is left alone */
#define CALIBRATE_NEEDED_KEPT \
    0.99                           /* of the needed units, at the least; but one may always go, so
                                      that no single sentence decides */
#define CALIBRATE_HARMLESS -1000.0 /* a border that no unit is below */

/* How many units of each kind there are, and how many of them are dealt with as they should be:
 * needed ones kept, the others removed. */
typedef struct calibrate_counts {
    size_t all[CALIBRATE_KINDS], right[CALIBRATE_KINDS];
} calibrate_counts;

typedef struct calibrate_result {
    s2a_calibration borders; /* never all zero, which would be the default */
    double relevance_auc,
        opinion_auc; /* of needed against each of the other kinds; NaN without any */
    bool relevance,
        opinion; /* told apart well enough to remove some; if not, the border is harmless */
    calibrate_counts chosen;   /* at the borders, on the units that they were chosen on */
    calibrate_counts held_out; /* each half at borders that were chosen on the other one */
} calibrate_result;

/* The borders for preset auto. S2A_INPUT (no needed unit, or a figure that is not finite), S2A_LIMIT,
 * S2A_NOMEM. */
s2a_status calibrate_fit(const calibrate_unit *units, size_t count, calibrate_result *out,
                         s2a_error *err);

/* What s2a_attend would make of the units at these borders. S2A_NOMEM. */
s2a_status calibrate_count(const calibrate_unit *units, size_t count,
                           const s2a_calibration *borders, calibrate_counts *out, s2a_error *err);

#endif
