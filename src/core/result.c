#include "core/result.h"

#include "base/buf.h"

#include <stdlib.h>
#include <string.h>

static const char *const fallback_names[] = {
#define FALLBACK_ROW(name, text) text,
    S2A_FALLBACK_MAP(FALLBACK_ROW)
#undef FALLBACK_ROW
};

static const char *const preset_names[] = {
#define PRESET_ROW(name, text) text,
    S2A_PRESET_MAP(PRESET_ROW)
#undef PRESET_ROW
};

static const char *const mode_names[] = { "rewrite", "select", "none", "default" };

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

bool result_text_set(result_text *t, const char *data, size_t len)
{
    free(t->data);
    t->data = bytes_dup(data, len);
    t->len = t->data ? len : 0;
    return t->data != NULL;
}

const char *s2a_fallback_name(s2a_fallback fallback)
{
    return (size_t)fallback < COUNT(fallback_names) ? fallback_names[fallback] : "unknown";
}

const char *s2a_mode_name(s2a_mode mode)
{
    return (size_t)mode < COUNT(mode_names) ? mode_names[mode] : "unknown";
}

const char *s2a_preset_name(s2a_preset preset)
{
    return (size_t)preset < COUNT(preset_names) ? preset_names[preset] : "unknown";
}

static bool name_find(const char *const *names, size_t count, const char *name, size_t *index)
{
    for (size_t i = 0; name && i < count; i++) {
        if (!strcmp(names[i], name)) {
            *index = i;
            return true;
        }
    }
    return false;
}

bool s2a_mode_from_name(const char *name, s2a_mode *out)
{
    size_t index = 0;
    if (!name_find(mode_names, COUNT(mode_names), name, &index))
        return false;
    *out = (s2a_mode)index;
    return true;
}

bool s2a_preset_from_name(const char *name, s2a_preset *out)
{
    size_t index = 0;
    if (!name_find(preset_names, COUNT(preset_names), name, &index))
        return false;
    *out = (s2a_preset)index;
    return true;
}

static void turns_free(s2a_result *result)
{
    for (size_t i = 0; i < result->turn_count; i++) {
        free(result->turns[i].input.data);
        free(result->turns[i].rewritten.data);
        free(result->turns[i].removed);
    }
    free(result->turns);
}

void s2a_result_free(s2a_result *result)
{
    if (!result)
        return;
    free(result->model);
    free(result->input.data);
    free(result->rewritten.data);
    free(result->context.data);
    free(result->question.data);
    free(result->answer.data);
    free(result->step1_text.data);
    free(result->prompt.data);
    free(result->stop.data);
    free(result->tool_calls.data);
    free(result->units);
    free(result->removed);
    free(result->added);
    turns_free(result);
    for (size_t i = 0; i < result->document_count; i++) {
        free(result->documents[i].pruned.data);
        free(result->documents[i].removed);
    }
    free(result->documents);
    free(result->document_units);
    free(result);
}

s2a_mode s2a_result_mode(const s2a_result *result)
{
    return result->mode;
}

s2a_preset s2a_result_preset(const s2a_result *result)
{
    return result->preset;
}

const char *s2a_result_model(const s2a_result *result)
{
    return result->model;
}

static const char *text_get(const result_text *t, size_t *len)
{
    if (len)
        *len = t->len;
    return t->data;
}

const char *s2a_result_input(const s2a_result *result, size_t *len)
{
    return text_get(&result->input, len);
}

const char *s2a_result_rewritten(const s2a_result *result, size_t *len)
{
    return text_get(&result->rewritten, len);
}

const char *s2a_result_context(const s2a_result *result, size_t *len)
{
    return text_get(&result->context, len);
}

const char *s2a_result_question(const s2a_result *result, size_t *len)
{
    return text_get(&result->question, len);
}

const char *s2a_result_answer(const s2a_result *result, size_t *len)
{
    return text_get(&result->answer, len);
}

const char *s2a_result_prompt(const s2a_result *result, size_t *len)
{
    return text_get(&result->prompt, len);
}

const char *s2a_result_step1_text(const s2a_result *result, size_t *len)
{
    return text_get(&result->step1_text, len);
}

s2a_fallback s2a_result_fallback(const s2a_result *result)
{
    return result->fallback;
}

const char *s2a_result_fallback_detail(const s2a_result *result)
{
    return result->detail;
}

const char *s2a_result_tool_calls(const s2a_result *result, size_t *len)
{
    return text_get(&result->tool_calls, len);
}

const char *s2a_result_stop(const s2a_result *result, size_t *len)
{
    return text_get(&result->stop, len);
}

bool s2a_result_answer_cut(const s2a_result *result)
{
    return result->answer_cut;
}

size_t s2a_result_unit_count(const s2a_result *result)
{
    return result->unit_count;
}

s2a_unit s2a_result_unit(const s2a_result *result, size_t index)
{
    return index < result->unit_count ? result->units[index] : (s2a_unit){ .label = "" };
}

double s2a_result_threshold(const s2a_result *result)
{
    return result->threshold;
}

size_t s2a_result_removed_count(const s2a_result *result)
{
    return result->removed_count;
}

s2a_span s2a_result_removed(const s2a_result *result, size_t index)
{
    return index < result->removed_count ? result->removed[index] : (s2a_span){ 0, 0 };
}

size_t s2a_result_added_count(const s2a_result *result)
{
    return result->added_count;
}

s2a_span s2a_result_added(const s2a_result *result, size_t index)
{
    return index < result->added_count ? result->added[index] : (s2a_span){ 0, 0 };
}

size_t s2a_result_turn_count(const s2a_result *result)
{
    return result->turn_count;
}

s2a_turn s2a_result_turn(const s2a_result *result, size_t index)
{
    if (index >= result->turn_count)
        return (s2a_turn){ .input = "", .rewritten = "" };
    const result_turn *t = &result->turns[index];
    return (s2a_turn){ .index = t->index,
                       .input = t->input.data,
                       .input_len = t->input.len,
                       .rewritten = t->rewritten.data,
                       .rewritten_len = t->rewritten.len,
                       .removed = t->removed,
                       .removed_count = t->removed_count };
}

size_t s2a_result_document_count(const s2a_result *result)
{
    return result->document_count;
}

s2a_document s2a_result_document(const s2a_result *result, size_t index)
{
    if (index >= result->document_count)
        return (s2a_document){ .text = "", .pruned = "" };
    const result_document *d = &result->documents[index];
    return (s2a_document){ .text = result->input.data + d->start,
                           .text_len = d->len,
                           .pruned = d->pruned.data,
                           .pruned_len = d->pruned.len,
                           .removed = d->removed,
                           .removed_count = d->removed_count,
                           .units = result->document_units + d->first,
                           .unit_count = d->unit_count,
                           .relevance = d->relevance };
}

s2a_usage s2a_result_usage(const s2a_result *result, int step)
{
    return step == 1 || step == 2 ? result->usage[step - 1] : (s2a_usage){ 0 };
}
