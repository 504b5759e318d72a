#include "eval/record.h"

#include "base/ascii.h"

#include <stdlib.h>

bool eval_label_distracts(eval_label label)
{
    return label != EVAL_NEEDED && label != EVAL_MIXED;
}

bool eval_item_has_answer(const eval_item *item)
{
    return item->alias_count > 0 || item->check_count > 0;
}

eval_label eval_item_label(const eval_item *item, size_t start, size_t end)
{
    size_t shares[EVAL_LABELS] = { 0 };
    for (size_t i = 0; i < item->piece_count; i++) {
        const eval_piece *p = &item->pieces[i];
        size_t from = p->start > start ? p->start : start, to = p->end < end ? p->end : end;
        for (size_t k = from; k < to; k++)
            shares[p->label] += !ascii_space(item->x[k]);
    }
    eval_label most = EVAL_MIXED; /* also where nothing is known of it */
    for (eval_label label = EVAL_NEEDED; label < EVAL_LABELS; label++)
        if (shares[label] > shares[most])
            most = label;
    return eval_label_distracts(most) && shares[EVAL_NEEDED] > 0 ? EVAL_MIXED : most;
}

void eval_item_free(eval_item *item)
{
    free(item->id);
    free(item->group);
    free(item->facet);
    free(item->checks);
    free(item->x);
    free(item->oracle);
    for (size_t i = 0; i < item->alias_count; i++)
        free(item->aliases[i]);
    free(item->aliases);
    free(item->wrong);
    free(item->pieces);
    *item = (eval_item){ 0 };
}

void eval_record_free(eval_record *record)
{
    free(record->item);
    free(record->arm);
    free(record->answer);
    free(record->rewritten);
    free(record->fallback);
    free(record->removed);
    free(record->units);
    *record = (eval_record){ 0 };
}

void eval_run_free(eval_run *run)
{
    free(run->task);
    free(run->model);
    free(run->model_hash);
    free(run->prompts_hash);
    free(run->version);
    free(run->data_name);
    for (size_t i = 0; i < run->item_count; i++)
        eval_item_free(&run->items[i]);
    free(run->items);
    for (size_t i = 0; i < run->record_count; i++)
        eval_record_free(&run->records[i]);
    free(run->records);
    for (size_t i = 0; i < run->arm_count; i++)
        free(run->arms[i]);
    free(run->arms);
    *run = (eval_run){ 0 };
}
