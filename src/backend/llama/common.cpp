/* The only C++ file; see common.h. */
#include "backend/llama/common.h"

#include <common/chat.h>
#include <common/json-schema-to-grammar.h>
#include <common/log.h>
#include <common/sampling.h>

#include <cstring>
#include <new>

extern "C" {
#include "base/error.h"
}

struct common_chat {
    common_chat_templates_ptr templates;
};

struct common_plan {
    common_sampler_ptr sampler;
    common_params_sampling sampling;
    common_chat_parser_params parser;
    std::vector<std::string> stops;
};

/* Runs code that may throw. what begins the message; status: for exceptions except bad_alloc. */
template <typename F>
static s2a_status guarded(const char *what, s2a_status status, s2a_error *err, F run)
{
    try {
        run();
        return S2A_OK;
    } catch (const std::bad_alloc &) {
        return error_nomem(err);
    } catch (const std::exception &e) {
        return error_set(err, status, "%s: %.300s", what, e.what());
    } catch (...) {
        return error_set(err, status, "%s: failed", what);
    }
}

static char *copy(const std::string &text)
{
    char *out = static_cast<char *>(malloc(text.size() + 1));
    if (!out)
        throw std::bad_alloc();
    memcpy(out, text.c_str(), text.size() + 1);
    return out;
}

s2a_status common_chat_open(const llama_model *model, common_chat **out, s2a_error *err)
{
    *out = nullptr;
    common_log_set_verbosity_thold(-1); /* the library would log to stderr */
    return guarded("the model's chat template", S2A_UNSUPPORTED, err, [&] {
        common_chat_templates_ptr templates = common_chat_templates_init(model, "");
        *out = new common_chat{ std::move(templates) };
    });
}

void common_chat_close(common_chat *chat)
{
    delete chat;
}

static common_chat_params apply(const common_chat *chat, const common_ask *ask)
{
    common_chat_templates_inputs inputs;
    inputs.messages = common_chat_msgs_parse_oaicompat(common_json::parse(ask->messages));
    if (ask->tools)
        inputs.tools = common_chat_tools_parse_oaicompat(common_json::parse(ask->tools));
    inputs.tool_choice =
        common_chat_tool_choice_parse_oaicompat(ask->choice ? ask->choice : "auto");
    inputs.parallel_tool_calls =
        ask->parallel < 0
            ? common_chat_templates_get_caps(chat->templates.get())["supports_parallel_tool_calls"]
            : ask->parallel > 0;
    return common_chat_templates_apply(chat->templates.get(), inputs);
}

s2a_status common_chat_render(const common_chat *chat, const common_ask *ask, char **prompt,
                              s2a_error *err)
{
    *prompt = nullptr;
    return guarded("messages, tools", S2A_INPUT, err,
                   [&] { *prompt = copy(apply(chat, ask).prompt); });
}

/* Their order and meaning are llama-server's. */
static common_params_sampling sampling_of(const backend_params *params, uint32_t ctx_tokens)
{
    common_params_sampling s;
    s.seed = params->seed == LLAMA_DEFAULT_SEED ? LLAMA_DEFAULT_SEED - 1 : params->seed;
    s.temp = static_cast<float>(params->temperature);
    s.top_k = params->top_k < INT32_MAX ? static_cast<int32_t>(params->top_k) : 0;
    s.top_p = static_cast<float>(params->top_p);
    s.min_p = static_cast<float>(params->min_p);
    s.penalty_freq = static_cast<float>(params->frequency_penalty);
    s.penalty_present = static_cast<float>(params->presence_penalty);
    s.penalty_last_n = static_cast<int32_t>(ctx_tokens);
    for (size_t i = 0; i < params->bias_count; i++)
        s.logit_bias.push_back({ static_cast<llama_token>(params->biases[i].token),
                                 static_cast<float>(params->biases[i].bias) });
    s.samplers = { COMMON_SAMPLER_TYPE_PENALTIES, COMMON_SAMPLER_TYPE_TOP_K,
                   COMMON_SAMPLER_TYPE_TOP_P, COMMON_SAMPLER_TYPE_MIN_P,
                   COMMON_SAMPLER_TYPE_TEMPERATURE };
    s.no_perf = true;
    return s;
}

/* As in llama-server, a trigger word that is one preserved token becomes a token trigger. */
static void triggers_add(common_params_sampling *s, const llama_vocab *vocab,
                         const common_chat_params &chat)
{
    for (const std::string &text : chat.preserved_tokens) {
        std::vector<llama_token> ids = common_tokenize(vocab, text, false, true);
        if (ids.size() == 1)
            s->preserved_tokens.insert(ids[0]);
    }
    for (common_grammar_trigger trigger : chat.grammar_triggers) {
        if (trigger.type == COMMON_GRAMMAR_TRIGGER_TYPE_WORD) {
            std::vector<llama_token> ids = common_tokenize(vocab, trigger.value, false, true);
            if (ids.size() == 1 && s->preserved_tokens.count(ids[0]) > 0) {
                trigger.type = COMMON_GRAMMAR_TRIGGER_TYPE_TOKEN;
                trigger.token = ids[0];
            }
        }
        s->grammar_triggers.push_back(trigger);
    }
}

static void tools_add(common_plan *plan, const common_chat *chat, const llama_vocab *vocab,
                      const common_ask *ask)
{
    common_chat_params params = apply(chat, ask);
    common_params_sampling *s = &plan->sampling;
    if (!params.grammar.empty())
        s->grammar = { COMMON_GRAMMAR_TYPE_TOOL_CALLS, params.grammar };
    s->grammar_lazy = params.grammar_lazy;
    s->generation_prompt = params.generation_prompt;
    triggers_add(s, vocab, params);
    plan->stops = params.additional_stops;
    plan->parser = common_chat_parser_params(params);
    if (!params.parser.empty())
        plan->parser.parser.load(params.parser);
}

s2a_status common_plan_new(const common_chat *chat, const llama_model *model, const common_ask *ask,
                           const backend_params *params, uint32_t ctx_tokens, common_plan **out,
                           s2a_error *err)
{
    const char *what = ask->schema ? "response_format" : "tools";
    *out = nullptr;
    common_log_set_verbosity_thold(-1);
    return guarded(what, S2A_INPUT, err, [&] {
        std::unique_ptr<common_plan> plan(new common_plan);
        plan->sampling = sampling_of(params, ctx_tokens);
        if (ask->schema)
            plan->sampling.grammar = { COMMON_GRAMMAR_TYPE_USER,
                                       json_schema_to_grammar(common_json::parse(ask->schema)) };
        else
            tools_add(plan.get(), chat, llama_model_get_vocab(model), ask);
        plan->sampler.reset(common_sampler_init(model, plan->sampling));
        if (!plan->sampler)
            throw std::runtime_error("llama.cpp cannot create a sampler for it");
        *out = plan.release();
    });
}

void common_plan_free(common_plan *plan)
{
    delete plan;
}

const char *common_plan_stop(const common_plan *plan, size_t index)
{
    return index < plan->stops.size() ? plan->stops[index].c_str() : nullptr;
}

bool common_plan_shows(const common_plan *plan, int32_t token)
{
    return plan->sampling.preserved_tokens.count(token) > 0;
}

int32_t common_plan_sample(common_plan *plan, llama_context *ctx, int32_t row, s2a_error *err)
{
    int32_t token = -1;
    s2a_status status = guarded("grammar", S2A_BACKEND, err, [&] {
        token = common_sampler_sample(plan->sampler.get(), ctx, row);
        common_sampler_accept(plan->sampler.get(), token, true);
    });
    return status == S2A_OK ? token : -1;
}

s2a_status common_plan_read(const common_plan *plan, const char *text, size_t len, bool partial,
                            char **message, s2a_error *err)
{
    *message = nullptr;
    return guarded("the model's tool call", S2A_BACKEND, err, [&] {
        common_chat_msg read = common_chat_parse(std::string(text, len), partial, plan->parser);
        if (read.role.empty())
            read.role = "assistant";
        *message = copy(read.to_json_oaicompat().dump());
    });
}
