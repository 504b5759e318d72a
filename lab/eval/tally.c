#include "eval/tally.h"

#include "base/ascii.h"

#include <math.h>
#include <string.h>

const tally_info tallies[TALLY_COUNT] = {
#define TALLY_INFO(id, task, name, brief, head, help, step1, cases) \
    [TALLY_##id] = { EVAL_##task, name, brief, head, help, step1, cases },
    TALLY_MAP(TALLY_INFO)
#undef TALLY_INFO
};

static void add(eval_share *share, uint64_t part, uint64_t whole)
{
    share->part += part;
    share->whole += whole;
}

/* Bytes of x from start to end, white space aside, and those of them that step 1 removed. */
static void bytes_add(const eval_item *item, const eval_record *r, size_t end, eval_share *share)
{
    size_t span = 0;
    for (size_t i = 0; i < end; i++) {
        while (span < r->removed_count && r->removed[span].end <= i)
            span++;
        if (!ascii_space(item->x[i]))
            add(share, span < r->removed_count && r->removed[span].start <= i, 1);
    }
}

/* ---- ordinary --------------------------------------------------------------------------- */

static void ordinary_add(const eval_item *item, const eval_record *r, eval_share *shares)
{
    add(&shares[TALLY_CHANGED], !r->unchanged, 1);
    add(&shares[TALLY_UNITS_CUT], r->needed_removed, r->needed);
    bytes_add(item, r, strlen(item->x), &shares[TALLY_BYTES_CUT]);
    if (r->unanswered)
        return;
    add(&shares[TALLY_FOLLOWED], r->followed, item->check_count);
    add(&shares[TALLY_LEFT_OUT], item->checks_left_out, item->check_count + item->checks_left_out);
}

/* ---- prune ------------------------------------------------------------------------------ */

static bool overlaps(const eval_record *r, size_t start, size_t end)
{
    for (size_t i = 0; i < r->removed_count; i++)
        if (r->removed[i].start < end && r->removed[i].end > start)
            return true;
    return false;
}

/* Whether the answer stands in the first len bytes of x, and whether it does so in what
 * was kept. */
static bool answer_stands(const eval_item *item, const eval_record *r, size_t len,
                          const char *answer, bool *kept)
{
    size_t n = strlen(answer);
    bool stands = false;
    for (const char *at = item->x; n > 0 && (at = strstr(at, answer)) != NULL; at++) {
        size_t start = (size_t)(at - item->x);
        if (start + n > len)
            break;
        stands = true;
        *kept |= !overlaps(r, start, start + n);
    }
    return stands;
}

static void answers_add(const eval_item *item, const eval_record *r, size_t len, eval_share *share)
{
    bool any = false, any_kept = false;
    for (size_t i = 0; i < item->alias_count; i++) {
        bool kept = false, stands = answer_stands(item, r, len, item->aliases[i], &kept);
        if (item->several)
            add(share, kept, stands);
        any |= stands;
        any_kept |= kept;
    }
    if (!item->several)
        add(share, any_kept, any);
}

static void prune_add(const eval_item *item, const eval_record *r, eval_share *shares)
{
    size_t context = item->question_start >= 2 ? item->question_start - 2 : 0;
    uint64_t kept = r->needed - r->needed_removed, idle = r->distractors - r->distractors_removed;
    add(&shares[TALLY_SUPPORT], kept, r->needed);
    add(&shares[TALLY_PRECISION], kept, kept + idle);
    answers_add(item, r, context, &shares[TALLY_ANSWERS]);
    bytes_add(item, r, context, &shares[TALLY_TEXT]);
}

double tally_f2(const eval_share shares[TALLY_COUNT])
{
    const eval_share *r = &shares[TALLY_SUPPORT], *p = &shares[TALLY_PRECISION];
    if (r->whole == 0 || p->whole == 0)
        return NAN;
    double recall = (double)r->part / (double)r->whole,
           precision = (double)p->part / (double)p->whole;
    return recall > 0 ? 5 * precision * recall / (4 * precision + recall) : 0;
}

/* ---- labelled --------------------------------------------------------------------------- */

static bool is_clean(const eval_item *item)
{
    for (size_t i = 0; i < item->piece_count; i++)
        if (eval_label_distracts(item->pieces[i].label))
            return false;
    return true;
}

static void labelled_add(const eval_item *item, const eval_record *r, eval_share *shares)
{
    static const struct {
        tally_id id;
        eval_label label;
    } kinds[] = { { TALLY_UNRELATED, EVAL_UNRELATED },
                  { TALLY_OPINIONS, EVAL_OPINION },
                  { TALLY_ORDERS, EVAL_ORDER } };
    add(&shares[TALLY_NEEDED], r->needed - r->needed_removed, r->needed);
    add(&shares[TALLY_CLEAN], is_clean(item) && r->unchanged, is_clean(item));
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
        add(&shares[kinds[i].id], r->kinds[kinds[i].label].part, r->kinds[kinds[i].label].whole);
    uint64_t mixed = r->kinds[EVAL_MIXED].whole;
    add(&shares[TALLY_MIXED], mixed, mixed + r->needed + r->distractors);
}

void tally_add(eval_task task, const eval_item *item, const eval_record *record,
               eval_share shares[TALLY_COUNT])
{
    if (task == EVAL_ORDINARY)
        ordinary_add(item, record, shares);
    else if (task == EVAL_PRUNE)
        prune_add(item, record, shares);
    else if (task == EVAL_LABELLED)
        labelled_add(item, record, shares);
}
