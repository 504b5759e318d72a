#include "eval/json.h"

#include "base/buf.h"
#include "core/engine.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* A text that a model wrote is UTF-8; jansson wants to see it. */
static json_t *text_json(const char *text)
{
    return text ? json_string(text) : json_null();
}

static bool text_from(const json_t *object, const char *name, char **out)
{
    const json_t *value = json_object_get(object, name);
    *out = NULL;
    if (!value || json_is_null(value))
        return true;
    if (!json_is_string(value))
        return false;
    *out = bytes_dup(json_string_value(value), json_string_length(value));
    return *out != NULL;
}

static size_t count_from(const json_t *object, const char *name)
{
    json_int_t n = json_integer_value(json_object_get(object, name));
    return n > 0 ? (size_t)n : 0;
}

json_t *eval_spans_json(const s2a_span *spans, size_t count)
{
    json_t *list = json_array();
    for (size_t i = 0; list && i < count; i++)
        if (json_array_append_new(list, json_pack("[I,I]", (json_int_t)spans[i].start,
                                                  (json_int_t)spans[i].end)) != 0) {
            json_decref(list);
            list = NULL;
        }
    return list;
}

bool eval_spans_from_json(const json_t *value, s2a_span **spans, size_t *count)
{
    size_t n = json_array_size(value);
    *spans = calloc(n + 1, sizeof **spans);
    *count = n;
    for (size_t i = 0; *spans && i < n; i++) {
        const json_t *pair = json_array_get(value, i);
        (*spans)[i].start = (size_t)json_integer_value(json_array_get(pair, 0));
        (*spans)[i].end = (size_t)json_integer_value(json_array_get(pair, 1));
    }
    return *spans != NULL;
}

json_t *eval_usage_json(const s2a_usage *u)
{
    return json_pack("{s:I,s:I,s:I,s:I,s:I,s:f}", "prompt_tokens", (json_int_t)u->prompt_tokens,
                     "cached_tokens", (json_int_t)u->cached_tokens, "completion_tokens",
                     (json_int_t)u->completion_tokens, "drafted_tokens",
                     (json_int_t)u->drafted_tokens, "accepted_tokens",
                     (json_int_t)u->accepted_tokens, "ms", u->ms);
}

bool eval_usage_from_json(const json_t *value, s2a_usage *u)
{
    *u = (s2a_usage){ .prompt_tokens = count_from(value, "prompt_tokens"),
                      .cached_tokens = count_from(value, "cached_tokens"),
                      .completion_tokens = count_from(value, "completion_tokens"),
                      .drafted_tokens = count_from(value, "drafted_tokens"),
                      .accepted_tokens = count_from(value, "accepted_tokens"),
                      .ms = json_number_value(json_object_get(value, "ms")) };
    return json_is_object(value);
}

/* What items of some tasks have; the object is taken over. */
static json_t *with_task(json_t *object, const eval_item *item)
{
    bool ok = object != NULL;
    if (ok && item->facet)
        ok = json_object_set_new(object, "facet", json_string(item->facet)) == 0;
    if (ok && item->untrusted)
        ok = json_object_set_new(object, "untrusted", json_true()) == 0;
    if (ok && item->several)
        ok = json_object_set_new(object, "several", json_true()) == 0;
    if (ok && item->check_count + item->checks_left_out > 0)
        ok = json_object_set_new(object, "checks", text_json(item->checks)) == 0 &&
             json_object_set_new(object, "check_count",
                                 json_integer((json_int_t)item->check_count)) == 0 &&
             json_object_set_new(object, "checks_left_out",
                                 json_integer((json_int_t)item->checks_left_out)) == 0;
    if (ok)
        return object;
    json_decref(object);
    return NULL;
}

json_t *eval_item_json(const eval_item *item)
{
    json_t *aliases = json_array(), *pieces = json_array();
    bool ok = aliases && pieces;
    for (size_t i = 0; ok && i < item->alias_count; i++)
        ok = json_array_append_new(aliases, json_string(item->aliases[i])) == 0;
    for (size_t i = 0; ok && i < item->piece_count; i++) {
        const eval_piece *p = &item->pieces[i];
        ok = json_array_append_new(pieces, json_pack("[I,I,i]", (json_int_t)p->start,
                                                     (json_int_t)p->end, (int)p->label)) == 0;
    }
    if (!ok) {
        json_decref(aliases);
        json_decref(pieces);
        return NULL;
    }
    return with_task(json_pack("{s:s,s:s,s:s,s:s,s:I,s:o,s:o,s:o,s:i,s:b}", "id", item->id, "group",
                               item->group, "x", item->x, "oracle", item->oracle, "question_start",
                               (json_int_t)item->question_start, "aliases", aliases, "wrong",
                               text_json(item->wrong), "pieces", pieces, "k", item->k, "numeric",
                               (int)item->numeric),
                     item);
}

bool eval_item_from_json(const json_t *value, eval_item *out)
{
    *out = (eval_item){ 0 };
    const json_t *aliases = json_object_get(value, "aliases");
    const json_t *pieces = json_object_get(value, "pieces");
    bool ok = text_from(value, "id", &out->id) && text_from(value, "group", &out->group) &&
              text_from(value, "x", &out->x) && text_from(value, "oracle", &out->oracle) &&
              text_from(value, "wrong", &out->wrong) && text_from(value, "facet", &out->facet) &&
              text_from(value, "checks", &out->checks) && out->id && out->group && out->x &&
              out->oracle;
    out->question_start = count_from(value, "question_start");
    out->k = (int)count_from(value, "k");
    out->numeric = json_is_true(json_object_get(value, "numeric"));
    out->untrusted = json_is_true(json_object_get(value, "untrusted"));
    out->several = json_is_true(json_object_get(value, "several"));
    out->check_count = count_from(value, "check_count");
    out->checks_left_out = count_from(value, "checks_left_out");
    out->aliases = calloc(json_array_size(aliases) + 1, sizeof *out->aliases);
    out->pieces = calloc(json_array_size(pieces) + 1, sizeof *out->pieces);
    ok = ok && out->aliases && out->pieces;
    for (size_t i = 0; ok && i < json_array_size(aliases); i++) {
        const char *text = json_string_value(json_array_get(aliases, i));
        ok = text && (out->aliases[i] = bytes_dup(text, strlen(text))) != NULL;
        out->alias_count += ok;
    }
    for (size_t i = 0; ok && i < json_array_size(pieces); i++) {
        const json_t *p = json_array_get(pieces, i);
        json_int_t label = json_integer_value(json_array_get(p, 2));
        ok = label >= EVAL_NEEDED && label < EVAL_LABELS;
        out->pieces[out->piece_count++] = (eval_piece){
            (size_t)json_integer_value(json_array_get(p, 0)),
            (size_t)json_integer_value(json_array_get(p, 1)),
            (eval_label)label,
        };
    }
    return ok;
}

/* [start, end, kept, score, label] each. */
static json_t *units_json(const eval_record *r)
{
    json_t *list = json_array();
    for (size_t i = 0; list && i < r->unit_count; i++) {
        const eval_unit *u = &r->units[i];
        json_t *one = json_pack("[I,I,b,f,i]", (json_int_t)u->start, (json_int_t)u->end,
                                (int)u->kept, u->score, (int)u->label);
        if (json_array_append_new(list, one) != 0) {
            json_decref(list);
            list = NULL;
        }
    }
    return list;
}

static bool units_from_json(const json_t *value, eval_record *out)
{
    size_t n = json_array_size(value);
    out->units = calloc(n + 1, sizeof *out->units);
    for (size_t i = 0; out->units && i < n; i++) {
        const json_t *u = json_array_get(value, i), *score = json_array_get(u, 3);
        json_int_t label = json_integer_value(json_array_get(u, 4));
        if (!json_is_number(score) || label < EVAL_NEEDED || label >= EVAL_LABELS)
            return false;
        out->units[out->unit_count++] = (eval_unit){
            (size_t)json_integer_value(json_array_get(u, 0)),
            (size_t)json_integer_value(json_array_get(u, 1)),
            json_is_true(json_array_get(u, 2)),
            json_number_value(score),
            (eval_label)label,
        };
    }
    return out->units != NULL;
}

/* What only records of arm select have; the object is taken over. */
static json_t *with_scores(json_t *object, const eval_record *r)
{
    bool ok = object != NULL;
    if (ok && r->unit_count > 0)
        ok = json_object_set_new(object, "units", units_json(r)) == 0;
    if (ok && (r->unit_count > 0 || r->reader != 0))
        ok = json_object_set_new(object, "judge", json_sprintf("%016" PRIx64, r->reader)) == 0;
    if (ok)
        return object;
    json_decref(object);
    return NULL;
}

/* Units of labels that have no field of their own; the object is taken over. */
static json_t *with_kinds(json_t *object, const eval_record *r)
{
    json_t *kinds = json_array();
    bool any = false, ok = object && kinds;
    for (eval_label i = EVAL_MIXED; ok && i < EVAL_LABELS; i++) {
        any |= r->kinds[i].whole > 0;
        ok = json_array_append_new(kinds, json_pack("[I,I]", (json_int_t)r->kinds[i].part,
                                                    (json_int_t)r->kinds[i].whole)) == 0;
    }
    if (ok && any)
        ok = json_object_set(object, "kinds", kinds) == 0;
    json_decref(kinds);
    if (ok)
        return object;
    json_decref(object);
    return NULL;
}

static void kinds_from_json(const json_t *value, eval_record *out)
{
    for (eval_label i = EVAL_MIXED; i < EVAL_LABELS; i++) {
        const json_t *pair = json_array_get(value, i - EVAL_MIXED);
        out->kinds[i] = (eval_share){ (uint64_t)json_integer_value(json_array_get(pair, 0)),
                                      (uint64_t)json_integer_value(json_array_get(pair, 1)) };
    }
}

/* What only task ordinary has, or a run of step 1 alone; the object is taken over. */
static json_t *with_checks(json_t *object, const eval_record *r)
{
    bool ok = object != NULL;
    if (ok && r->followed > 0)
        ok = json_object_set_new(object, "followed", json_integer((json_int_t)r->followed)) == 0;
    if (ok && r->unanswered)
        ok = json_object_set_new(object, "unanswered", json_true()) == 0;
    if (ok)
        return object;
    json_decref(object);
    return NULL;
}

/* What only task injection has, where the judge said it; the object is taken over. */
static json_t *with_attack(json_t *object, const eval_record *r)
{
    if (!object || !r->attack_judged ||
        json_object_set_new(object, "carried_out", json_boolean(r->carried_out)) == 0)
        return object;
    json_decref(object);
    return NULL;
}

json_t *eval_record_json(const eval_record *r)
{
    json_t *object = json_pack(
        "{s:s,s:s,s:I,s:o,s:o,s:b,s:b,s:b,s:o,s:b,s:o,s:I,s:I,s:I,s:I,s:o,s:o,s:b,s:f,s:f}", "item",
        r->item, "arm", r->arm, "seed", (json_int_t)r->seed, "answer", text_json(r->answer),
        "rewritten", text_json(r->rewritten), "correct", (int)r->correct, "follows_wrong",
        (int)r->follows_wrong, "unchanged", (int)r->unchanged, "fallback", text_json(r->fallback),
        "answer_cut", (int)r->answer_cut, "removed", eval_spans_json(r->removed, r->removed_count),
        "distractors", (json_int_t)r->distractors, "distractors_removed",
        (json_int_t)r->distractors_removed, "needed", (json_int_t)r->needed, "needed_removed",
        (json_int_t)r->needed_removed, "step1", eval_usage_json(&r->step1), "step2",
        eval_usage_json(&r->step2), "judged", (int)r->judged, "sentiment", r->sentiment, "quality",
        r->quality);
    return with_checks(with_kinds(with_attack(with_scores(object, r), r), r), r);
}

bool eval_record_from_json(const json_t *value, eval_record *out)
{
    *out = (eval_record){ 0 };
    bool ok = text_from(value, "item", &out->item) && text_from(value, "arm", &out->arm) &&
              text_from(value, "answer", &out->answer) &&
              text_from(value, "rewritten", &out->rewritten) &&
              text_from(value, "fallback", &out->fallback) && out->item && out->arm &&
              eval_spans_from_json(json_object_get(value, "removed"), &out->removed,
                                   &out->removed_count) &&
              units_from_json(json_object_get(value, "units"), out) &&
              eval_usage_from_json(json_object_get(value, "step1"), &out->step1) &&
              eval_usage_from_json(json_object_get(value, "step2"), &out->step2);
    const char *judge = json_string_value(json_object_get(value, "judge"));
    out->reader = judge ? strtoull(judge, NULL, 16) : 0;
    out->seed = (uint32_t)count_from(value, "seed");
    out->correct = json_is_true(json_object_get(value, "correct"));
    out->follows_wrong = json_is_true(json_object_get(value, "follows_wrong"));
    out->unchanged = json_is_true(json_object_get(value, "unchanged"));
    out->answer_cut = json_is_true(json_object_get(value, "answer_cut"));
    out->distractors = (uint32_t)count_from(value, "distractors");
    out->distractors_removed = (uint32_t)count_from(value, "distractors_removed");
    out->needed = (uint32_t)count_from(value, "needed");
    out->needed_removed = (uint32_t)count_from(value, "needed_removed");
    kinds_from_json(json_object_get(value, "kinds"), out);
    out->followed = (uint32_t)count_from(value, "followed");
    out->unanswered = json_is_true(json_object_get(value, "unanswered"));
    out->judged = json_is_true(json_object_get(value, "judged"));
    const json_t *carried_out = json_object_get(value, "carried_out");
    out->attack_judged = json_is_boolean(carried_out);
    out->carried_out = json_is_true(carried_out);
    out->sentiment = json_number_value(json_object_get(value, "sentiment"));
    out->quality = json_number_value(json_object_get(value, "quality"));
    return ok;
}
