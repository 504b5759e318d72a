#include "eval/record.h"

#include <stdlib.h>

void eval_item_free(eval_item *item)
{
    free(item->id);
    free(item->group);
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
