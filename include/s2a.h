/* s2a: System 2 Attention (Weston and Sukhbaatar, arXiv 2311.11829) as a library.
 *
 *     x' ~ S2A(x)      step 1: the model regenerates the prompt without what should not count
 *     y  ~ LLM(x')     step 2: the model answers from x' alone
 *
 * An s2a_engine is a loaded model behind a backend; it is thread-safe and meant to be shared.
 * An s2a_request is built by setters and owned by one thread at a time. An s2a_result is
 * read-only, except to s2a_answer_from. The receiver of an object frees it, once, with its _free or
 * _close function; every such function accepts NULL. Strings that an object returns live as long as
 * the object.
 *
 * Text is UTF-8 with an explicit length in bytes; it may contain NUL, and every returned string
 * is NUL-terminated as well. Spans are [start, end) in bytes. The library never prints, exits or
 * reads the environment. It keeps no mutable global state, except s2a_engine_options.kernels.
 * Functions that return s2a_status fill *err with the first fault seen, if err is not NULL and
 * the status is not S2A_OK. */
#ifndef S2A_H
#define S2A_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define S2A_API __attribute__((visibility("default")))
#else
#define S2A_API
#endif

#define S2A_VERSION_MAJOR 0
#define S2A_VERSION_MINOR 1
#define S2A_VERSION_PATCH 0

/* The version of the loaded library, "MAJOR.MINOR.PATCH"; semantic versioning. */
S2A_API const char *s2a_version(void);

/* ---- status and error ------------------------------------------------------------------- */

/* name, text. Append-only: the numbers are part of the ABI. */
#define S2A_STATUS_MAP(X)                           \
    X(OK, "ok")                                     \
    X(NOMEM, "out of memory")                       \
    X(ARGUMENT, "invalid argument")                 \
    X(INPUT, "invalid input text")                  \
    X(LIMIT, "a limit was passed")                  \
    X(IO, "input or output failed")                 \
    X(PROMPT, "invalid prompt file")                \
    X(MODEL, "model not usable")                    \
    X(BACKEND, "backend failed")                    \
    X(UNAVAILABLE, "backend not available")         \
    X(UNSUPPORTED, "not supported by this backend") \
    X(TIMEOUT, "timed out")                         \
    X(CANCELLED, "cancelled")                       \
    X(INTERNAL, "internal error")

typedef enum s2a_status {
#define S2A_STATUS_ENUM(name, text) S2A_##name,
    S2A_STATUS_MAP(S2A_STATUS_ENUM)
#undef S2A_STATUS_ENUM
} s2a_status;

/* The name ("S2A_NOMEM") and the text ("out of memory") of a status; never NULL. */
S2A_API const char *s2a_status_name(s2a_status status);
S2A_API const char *s2a_status_text(s2a_status status);

#define S2A_NO_POSITION ((size_t)-1)

typedef struct s2a_error {
    s2a_status status;
    size_t position;   /* byte offset of the fault in the text or file; S2A_NO_POSITION if none */
    char message[480]; /* one line without a newline: what, where, what to do */
} s2a_error;

/* ---- engine ----------------------------------------------------------------------------- */

typedef struct s2a_engine s2a_engine;

typedef struct s2a_engine_options {
    size_t size;             /* sizeof(s2a_engine_options); set by s2a_engine_options_init */
    const char *backend;     /* "llama" (default), "http" or "script" */
    const char *model;       /* llama: path of a GGUF file; http: the model's name, NULL = the
                                server's first model; script: path of the replay file */
    const char *url;         /* http: base URL, such as http://127.0.0.1:8080/v1 */
    const char *api_key;     /* http: bearer token; NULL = none. Never logged */
    const char *prompts_dir; /* directory whose files replace the built-in prompts; NULL = none */
    const char *library_dir; /* llama: directory of the ggml CPU/GPU libraries; NULL = next to
                                libllama */
    uint32_t ctx_tokens;     /* llama: KV cells; http: the server's context if known. 0 = default */
    uint32_t threads;        /* llama: 0 = the fastest number of the cores this process may use,
                                measured once and stored in cache_dir; without cache_dir all */
    int32_t gpu_layers;      /* llama: -1 = all that fit, 0 = none (default -1) */
    uint32_t connect_timeout_ms; /* http: default 10000 */
    uint32_t idle_timeout_ms;    /* http: no byte for this long = S2A_TIMEOUT; default 120000 */
    uint32_t request_timeout_ms; /* any backend: one generation as a whole; default 3600000 */
    uint32_t max_retries;        /* http: before the first byte of output only; default 3 */
    void (*log)(void *ctx, int level, const char *line); /* level 0 error .. 3 debug; NULL = off.
                                                            Called from any thread */
    void *log_ctx;
    const char *head;      /* llama: file of the model's head for mode select, from s2a calibrate;
                              NULL = the built-in head of this model, if there is one */
    const char *cache_dir; /* llama: an existing directory of the user for a small file with the
                              best thread count; NULL = none */
    const char *step1_cache_dir; /* any backend: an existing private directory of the user that
                                    caches results of step 1, prompts included.
                                    NULL (the default) = none */
    uint64_t step1_cache_bytes;  /* limit of these files; the oldest are deleted. 0 = 64 MiB */
    bool draft; /* llama: mode rewrite checks several tokens of a copy in one decode if that is
                   faster; the text is the same (default true) */
    uint32_t kv_bits; /* llama: bits per KV cache value: 16 (default; 0 too), or 8, which takes
                         little more than half the memory; texts may differ a little */
    s2a_engine *select_engine; /* an open engine whose model and head mode select uses: a small
                                  judge model beside a large model or a server. It must outlive the
                                  new engine and may serve others; NULL = none */
    bool kernels; /* llama: use this library's products of quantised weights (Q4_K, Q5_0, Q6_K,
                     Q8_0) if the processor has AVX-512 VNNI and libllama is the version they
                     were made for; the first engine of a process decides for all (default true) */
} s2a_engine_options;

/* Fills *options with the defaults named above. */
S2A_API void s2a_engine_options_init(s2a_engine_options *options);

/* Loads a model or connects to a server and reads the prompt files. Strings in *options are
 * copied. Errors: S2A_ARGUMENT (unknown backend, missing field), S2A_MODEL (file missing, cut,
 * not GGUF, no chat template), S2A_UNAVAILABLE (server does not answer, backend not built in),
 * S2A_INPUT (head: not a head, or of another model), S2A_PROMPT, S2A_IO, S2A_NOMEM. On failure
 * *out is NULL. */
S2A_API s2a_status s2a_engine_open(const s2a_engine_options *options, s2a_engine **out,
                                   s2a_error *err);

/* No request may be running on the engine. */
S2A_API void s2a_engine_close(s2a_engine *engine);

/* The model's name as the backend knows it (llama: general.name or the file's name). */
S2A_API const char *s2a_engine_model(const s2a_engine *engine);

/* Whether mode select is available: the engine, or its select_engine, has a head. */
S2A_API bool s2a_engine_selects(const s2a_engine *engine);

/* Context length in tokens; 0 = unknown (some servers do not report it). */
S2A_API uint32_t s2a_engine_ctx_tokens(const s2a_engine *engine);

/* ---- cancel ----------------------------------------------------------------------------- */

typedef struct s2a_cancel s2a_cancel;

/* NULL when out of memory. One handle may serve many requests. */
S2A_API s2a_cancel *s2a_cancel_new(void);
S2A_API void s2a_cancel_free(s2a_cancel *cancel);

/* May be called from any thread, also from a signal handler. Requests that hold the handle end
 * with S2A_CANCELLED: llama within one token; http within 50 ms, and the connection is closed. */
S2A_API void s2a_cancel_fire(s2a_cancel *cancel);

/* Makes the handle usable again; no request that holds it may be running. */
S2A_API void s2a_cancel_reset(s2a_cancel *cancel);

/* ---- request ---------------------------------------------------------------------------- */

typedef struct s2a_request s2a_request;

typedef enum s2a_mode {
    S2A_MODE_REWRITE, /* the paper: regenerate the prompt */
    S2A_MODE_SELECT,  /* judge each unit by hidden states, keep the user's own words */
    S2A_MODE_NONE,    /* no step 1: only in results of the baseline presets */
    S2A_MODE_DEFAULT, /* only in requests: select if the engine can judge and the preset allows
                         it, else rewrite */
} s2a_mode;

/* enum suffix, name. auto: opinion in rewrite mode; opinion and relevance at once in select mode.
 * untrusted: select mode only; removes sentences of a separate context that give the assistant
 * orders (prompt injection). It lowers the risk and is no guarantee.
 * single, keep-original and not-instructed: variants of rewrite mode. plain, instructed and
 * instructed-math: baselines without step 1. docs/rewrite.md says which figure each preset is. */
#define S2A_PRESET_MAP(X)                 \
    X(AUTO, "auto")                       \
    X(OPINION, "opinion")                 \
    X(RELEVANCE, "relevance")             \
    X(SINGLE, "single")                   \
    X(KEEP_ORIGINAL, "keep-original")     \
    X(NOT_INSTRUCTED, "not-instructed")   \
    X(PLAIN, "plain")                     \
    X(INSTRUCTED, "instructed")           \
    X(INSTRUCTED_MATH, "instructed-math") \
    X(UNTRUSTED, "untrusted")

typedef enum s2a_preset {
#define S2A_PRESET_ENUM(name, text) S2A_PRESET_##name,
    S2A_PRESET_MAP(S2A_PRESET_ENUM)
#undef S2A_PRESET_ENUM
} s2a_preset;

S2A_API const char *s2a_mode_name(s2a_mode mode);       /* "rewrite", "select", ... */
S2A_API const char *s2a_preset_name(s2a_preset preset); /* "keep-original" */
/* False, and *out unchanged, if no mode or preset has that name. */
S2A_API bool s2a_mode_from_name(const char *name, s2a_mode *out);
S2A_API bool s2a_preset_from_name(const char *name, s2a_preset *out);

/* The mode of a request with these: mode itself, or what S2A_MODE_DEFAULT means with this engine;
 * none if the preset has no step 1, or is none. The request may still be refused: s2a_attend says
 * why. */
S2A_API s2a_mode s2a_engine_mode(const s2a_engine *engine, s2a_preset preset, s2a_mode mode);

/* Called with whole UTF-8 characters as they are generated, on the thread that runs the request.
 * step is 1 or 2. A non-zero return cancels the request. */
typedef int (*s2a_token_fn)(void *ctx, int step, const char *text, size_t len);

/* NULL when out of memory. Defaults: S2A_MODE_DEFAULT, auto, the paper's sampling (temperature 0.6,
 * top-p 0.9, section 4), seed 0, 1024 tokens of answer. */
S2A_API s2a_request *s2a_request_new(void);
S2A_API void s2a_request_free(s2a_request *request);

/* The prompt, in one of four forms; a later call replaces an earlier form, except that
 * s2a_request_add_message and s2a_request_add_document append. Text is copied. S2A_INPUT with the
 * position of the first bad byte when it is not UTF-8; S2A_LIMIT past 16 MiB; S2A_NOMEM. */
S2A_API s2a_status s2a_request_set_text(s2a_request *request, const char *text, size_t len,
                                        s2a_error *err);
/* Separate context and question: the question is kept as given, and only the context is judged. */
S2A_API s2a_status s2a_request_set_parts(s2a_request *request, const char *context,
                                         size_t context_len, const char *question,
                                         size_t question_len, s2a_error *err);
/* OpenAI roles: system, developer, user, assistant, tool. The last message must be the user's;
 * step 1 works on its text. In mode select the user's earlier messages are judged too. All other
 * messages stay as they are. */
S2A_API s2a_status s2a_request_add_message(s2a_request *request, const char *role,
                                           const char *content, size_t len, s2a_error *err);

/* Documents and a question: the fourth form, for mode select and preset relevance (auto is the
 * same). s2a_request_set_question starts it and removes earlier documents; s2a_request_add_document
 * appends one. The question is kept as given. The documents are judged together, in one window if
 * they fit; no sentence spans two documents. A document may be empty. Text is copied. Errors name a
 * document by its index, from 0: S2A_INPUT with the position of the first byte in it that is not
 * UTF-8; S2A_LIMIT past 1024 documents, or past 16 MiB of documents and question together;
 * S2A_ARGUMENT (add_document before set_question); S2A_NOMEM. */
S2A_API s2a_status s2a_request_set_question(s2a_request *request, const char *question, size_t len,
                                            s2a_error *err);
S2A_API s2a_status s2a_request_add_document(s2a_request *request, const char *text, size_t len,
                                            s2a_error *err);
/* More fields of the message that was added last: a JSON object as in OpenAI's chat completions,
 * with tool_calls (assistant), tool_call_id and name (tool). With a preset without step 1 the last
 * message may also be a tool's. Copied. Its texts are data, like a message's content. S2A_ARGUMENT
 * (no message), S2A_INPUT (not UTF-8), S2A_NOMEM. */
S2A_API s2a_status s2a_request_set_message_fields(s2a_request *request, const char *json,
                                                  size_t len, s2a_error *err);
/* Tools that the answer may call, and the answer's format: a JSON object as in OpenAI's chat
 * completions, with tools, tool_choice, parallel_tool_calls, response_format. Step 1 is not
 * affected. Copied; NULL = none. llama: uses the model's own template; S2A_UNSUPPORTED from
 * s2a_answer if the library was built without llama.cpp's common. http: sent unchanged. S2A_INPUT
 * (not UTF-8), S2A_NOMEM; other faults of the JSON are errors of s2a_answer and s2a_count_tokens
 * (S2A_INPUT). */
S2A_API s2a_status s2a_request_set_chat_fields(s2a_request *request, const char *json, size_t len,
                                               s2a_error *err);

S2A_API void s2a_request_set_mode(s2a_request *request, s2a_mode mode);
S2A_API void s2a_request_set_preset(s2a_request *request, s2a_preset preset);
/* Select: a unit is kept if its score is at least this. Default: the thresholds that the judge's
 * head has for the preset, a second, higher one for texts with a score below the first. They are
 * not above 0, because an extra sentence does less harm than a missing one. S2A_ARGUMENT unless
 * finite. */
S2A_API s2a_status s2a_request_set_threshold(s2a_request *request, double log_odds, s2a_error *err);
/* Select: keep the best-scored units up to this share of the text's bytes, instead of comparing
 * with a threshold; 0 (the default) = use the threshold. S2A_ARGUMENT unless 0 <= share <= 1. */
S2A_API s2a_status s2a_request_set_keep(s2a_request *request, double share, s2a_error *err);
/* Select: keep sentences that contain or overlap this text, anywhere in the user's messages,
 * whatever their score. May be called again. The text is copied. S2A_INPUT (empty, not UTF-8),
 * S2A_LIMIT past 1024 texts and line ranges together, S2A_NOMEM. */
S2A_API s2a_status s2a_request_protect_text(s2a_request *request, const char *text, size_t len,
                                            s2a_error *err);
/* The same for lines first to last of the prompt, counted from 1. S2A_ARGUMENT unless
 * 1 <= first <= last. */
S2A_API s2a_status s2a_request_protect_lines(s2a_request *request, size_t first, size_t last,
                                             s2a_error *err);
/* Removes all protected texts and lines, for another prompt in the same request. */
S2A_API void s2a_request_unprotect(s2a_request *request);
/* temperature 0 is greedy. S2A_ARGUMENT unless 0 <= temperature <= 5 and 0 < top_p <= 1. */
S2A_API s2a_status s2a_request_set_sampling(s2a_request *request, double temperature, double top_p,
                                            uint32_t seed, s2a_error *err);
/* How the answer's tokens are sampled; step 1 is not affected. Backend http sends the fields that
 * are set, under llama-server's and vLLM's names.
 * top_k: only the k likeliest tokens; 0 (the default) = all. */
S2A_API void s2a_request_set_top_k(s2a_request *request, uint32_t top_k);
/* Only tokens at least min_p times as likely as the likeliest one. Default 0. S2A_ARGUMENT unless
 * 0 <= min_p <= 1. */
S2A_API s2a_status s2a_request_set_min_p(s2a_request *request, double min_p, s2a_error *err);
/* Subtracted from the logit of each token that the answer already has: frequency for each
 * occurrence, and presence once. Default 0. S2A_ARGUMENT unless both are from -2 to 2. */
S2A_API s2a_status s2a_request_set_penalties(s2a_request *request, double frequency,
                                             double presence, s2a_error *err);
/* Adds to the logit of a token, by its number in the model's vocabulary. May be called again.
 * S2A_ARGUMENT unless -100 <= bias <= 100, S2A_LIMIT past 1024 tokens, S2A_NOMEM. */
S2A_API s2a_status s2a_request_add_bias(s2a_request *request, uint32_t token, double bias,
                                        s2a_error *err);
/* The answer ends before this text, which is not part of it. May be called again. The text is
 * copied. S2A_INPUT (empty, not UTF-8), S2A_LIMIT past 16 texts or 1024 bytes, S2A_NOMEM. */
S2A_API s2a_status s2a_request_add_stop(s2a_request *request, const char *text, size_t len,
                                        s2a_error *err);
/* Removes all stop texts. */
S2A_API void s2a_request_clear_stops(s2a_request *request);

/* A token, and the natural logarithm of its probability. The text may be part of a character. */
typedef struct s2a_logprob {
    const char *text;
    size_t len;
    double logprob;
} s2a_logprob;

/* Called for each token of the answer, before the s2a_token_fn gets its text, on the same thread.
 * top has the likeliest tokens, best first. All is borrowed. */
typedef void (*s2a_logprob_fn)(void *ctx, const s2a_logprob *token, const s2a_logprob *top,
                               size_t top_count);
/* The probabilities are those of the model, before temperature and all other sampling parameters.
 * fn NULL (the default) = not wanted. S2A_ARGUMENT unless top <= 20. */
S2A_API s2a_status s2a_request_set_logprobs(s2a_request *request, uint32_t top, s2a_logprob_fn fn,
                                            void *ctx, s2a_error *err);
/* The answer's token limit, 1 or more. Step 1 has another limit, which fits a whole copy of x. */
S2A_API void s2a_request_set_max_tokens(s2a_request *request, uint32_t max_tokens);
S2A_API void s2a_request_set_on_token(s2a_request *request, s2a_token_fn fn, void *ctx);
/* http: the header field X-Request-Id of every HTTP request made for this request, so that the
 * server's log can be matched with the caller's. Copied; NULL = none. S2A_ARGUMENT unless it is 1
 * to 128 visible ASCII characters; S2A_NOMEM. */
S2A_API s2a_status s2a_request_set_id(s2a_request *request, const char *id, s2a_error *err);
/* http: the header field traceparent of the same requests (W3C Trace Context). As above. */
S2A_API s2a_status s2a_request_set_trace(s2a_request *request, const char *traceparent,
                                         s2a_error *err);
/* The handle must outlive the request's runs; NULL = none. */
S2A_API void s2a_request_set_cancel(s2a_request *request, s2a_cancel *cancel);

/* ---- result ----------------------------------------------------------------------------- */

typedef struct s2a_result s2a_result;

/* Why step 1 could not be trusted, so that step 2 got the original prompt. */
#define S2A_FALLBACK_MAP(X)                                                             \
    X(NONE, "none")                                                                     \
    X(NO_QUESTION, "no_question")   /* x' has no question, or one that is not from x */ \
    X(EMPTY, "empty")               /* the model wrote nothing */                       \
    X(CUT_OFF, "cut_off")           /* generation hit its token limit */                \
    X(NEW_NUMBER, "new_number")     /* x' has a number that x lacks */                  \
    X(NEW_QUOTE, "new_quote")       /* x' has a quoted string that x lacks */           \
    X(NEW_CODE, "new_code")         /* x' has code that x lacks */                      \
    X(TOO_LONG, "too_long")         /* x' is much longer than x: docs/rewrite.md */     \
    X(REFUSAL, "refusal")           /* the model declined instead of rewriting */       \
    X(STEP1_FAILED, "step1_failed") /* the backend failed in step 1; see the detail */

typedef enum s2a_fallback {
#define S2A_FALLBACK_ENUM(name, text) S2A_FALLBACK_##name,
    S2A_FALLBACK_MAP(S2A_FALLBACK_ENUM)
#undef S2A_FALLBACK_ENUM
} s2a_fallback;

S2A_API const char *s2a_fallback_name(s2a_fallback fallback);

typedef struct s2a_span {
    size_t start, end;
} s2a_span;

typedef struct s2a_unit {
    size_t start, end; /* in the input; all units together are the input, byte for byte */
    bool kept;         /* rewrite: at least half of its words are in x' */
    bool has_score;    /* select: false for units that are not judged: a separate question, code,
                          tables, headings, protected text */
    double score;      /* select: log-odds of being kept */
    const char *label; /* rewrite: "question", "kept" or "removed"; select: "question", "needed",
                          "unrelated" or "opinion"; with preset untrusted "question",
                          "data" or "instruction" */
} s2a_unit;

typedef struct s2a_usage {
    uint64_t prompt_tokens, cached_tokens, completion_tokens, drafted_tokens, accepted_tokens;
    double ms;
} s2a_usage;

S2A_API void s2a_result_free(s2a_result *result);
S2A_API s2a_mode s2a_result_mode(const s2a_result *result);
S2A_API s2a_preset s2a_result_preset(const s2a_result *result);
S2A_API const char *s2a_result_model(const s2a_result *result);

/* Texts. len may be NULL. Returns NULL if the text does not exist: context and question of an
 * unsplit x', the answer of s2a_attend. */
S2A_API const char *s2a_result_input(const s2a_result *result, size_t *len);     /* x */
S2A_API const char *s2a_result_rewritten(const s2a_result *result, size_t *len); /* x' */
S2A_API const char *s2a_result_context(const s2a_result *result, size_t *len);
S2A_API const char *s2a_result_question(const s2a_result *result, size_t *len);
S2A_API const char *s2a_result_answer(const s2a_result *result, size_t *len);
/* The user message of step 2, for programs that send step 2 themselves: x', or the preset's
 * prompt with x' in it; the original prompt after a fallback. */
S2A_API const char *s2a_result_prompt(const s2a_result *result, size_t *len);
/* Rewrite: the text that the model wrote in step 1, unparsed. */
S2A_API const char *s2a_result_step1_text(const s2a_result *result, size_t *len);

S2A_API s2a_fallback s2a_result_fallback(const s2a_result *result);
S2A_API const char *s2a_result_fallback_detail(const s2a_result *result); /* "" if none */
/* True if the answer ended at max_tokens or at 64 MiB, not at the model's end token. */
S2A_API bool s2a_result_answer_cut(const s2a_result *result);
/* The answer's tool calls: a JSON list, as tool_calls in OpenAI's chat completions. NULL if it has
 * none. */
S2A_API const char *s2a_result_tool_calls(const s2a_result *result, size_t *len);
/* The stop text that ended the answer; len may be NULL. NULL if none did, or if a server did not
 * say which one. */
S2A_API const char *s2a_result_stop(const s2a_result *result, size_t *len);

S2A_API size_t s2a_result_unit_count(const s2a_result *result);
S2A_API s2a_unit s2a_result_unit(const s2a_result *result, size_t index);
/* Select: the threshold that scores were compared with: the request's, or else the head's. NaN if
 * none was used: with keep, in other modes, and after a fallback. */
S2A_API double s2a_result_threshold(const s2a_result *result);
/* Spans of the input that x' lacks, in order, not touching. */
S2A_API size_t s2a_result_removed_count(const s2a_result *result);
S2A_API s2a_span s2a_result_removed(const s2a_result *result, size_t index);
/* Spans of x' (s2a_result_rewritten) whose words are not from the input. */
S2A_API size_t s2a_result_added_count(const s2a_result *result);
S2A_API s2a_span s2a_result_added(const s2a_result *result, size_t index);
/* Select: the user's earlier messages from which text was removed, in order; docs/select.md. */
typedef struct s2a_turn {
    size_t index;                  /* of the message in the request, from 0 */
    const char *input, *rewritten; /* the original text, and the text for step 2 */
    size_t input_len, rewritten_len;
    const s2a_span *removed; /* spans of input, in order, not touching */
    size_t removed_count;
} s2a_turn;
S2A_API size_t s2a_result_turn_count(const s2a_result *result);
S2A_API s2a_turn s2a_result_turn(const s2a_result *result, size_t index);
/* A document of the request; documents are in the request's order. The result's input is the
 * documents, each followed by a blank line unless it is empty, and then the question. Headings and
 * lines without words are removed if no other unit of their document is kept. If no other unit of
 * any document is kept, all documents stay unchanged; with keep, the unit with the highest score is
 * kept. Units that are always kept have a score, too. */
typedef struct s2a_document {
    const char *text, *pruned; /* text: as given; pruned: its kept units, in order, made of its own
                                  bytes; "" if none is kept */
    size_t text_len, pruned_len;
    const s2a_span *removed; /* spans of text, in order, not touching */
    size_t removed_count;
    const s2a_unit *units; /* start and end are in text; all together are the text */
    size_t unit_count;
    double relevance; /* 0 to 1, to rank the documents of one request: 1 / (1 + exp(-s)); s is the
                         mean of its units' two highest scores, or its only score; 0 without scores
                         and after a fallback */
} s2a_document;
S2A_API size_t s2a_result_document_count(const s2a_result *result);
/* Pointers live as long as the result. */
S2A_API s2a_document s2a_result_document(const s2a_result *result, size_t index);
/* step is 1 or 2; all zero if the step did not run. */
S2A_API s2a_usage s2a_result_usage(const s2a_result *result, int step);

/* ---- the two steps ---------------------------------------------------------------------- */

/* Step 1 only. If the model writes nonsense, returns S2A_OK, a fallback and x' = x. Errors:
 * S2A_ARGUMENT (no prompt, last message not the user's), S2A_INPUT (empty prompt), S2A_LIMIT
 * (does not fit the context), S2A_UNSUPPORTED, those of the backend, S2A_TIMEOUT,
 * S2A_CANCELLED, S2A_NOMEM. On failure *out is NULL. */
S2A_API s2a_status s2a_attend(s2a_engine *engine, const s2a_request *request, s2a_result **out,
                              s2a_error *err);

/* Both steps. If the backend fails in step 1 only, the result has the fallback
 * S2A_FALLBACK_STEP1_FAILED. S2A_CANCELLED and S2A_NOMEM of step 1, and all errors of step 2, are
 * returned; errors as above. */
S2A_API s2a_status s2a_answer(s2a_engine *engine, const s2a_request *request, s2a_result **out,
                              s2a_error *err);

/* Step 2 alone: answers from a result of s2a_attend, on this engine or another one. request is step
 * 1's, or one with the same messages; its mode and preset are ignored. The answer replaces the
 * result's earlier answer; no other thread may use the result meanwhile. On failure the result has
 * no answer and is otherwise unchanged; the call can be repeated. Errors: S2A_ARGUMENT (an earlier
 * message with removed text differs from step 1's), those of the backend, S2A_TIMEOUT,
 * S2A_CANCELLED, S2A_NOMEM. */
S2A_API s2a_status s2a_answer_from(s2a_engine *engine, const s2a_request *request,
                                   s2a_result *result, s2a_error *err);

/* Counts the tokens of the request's unchanged prompt, with the chat template; step 1 does not run.
 * Errors: S2A_ARGUMENT (no prompt), S2A_UNSUPPORTED (backend http; tools, if the library was built
 * without llama.cpp's common), S2A_INPUT (the chat fields), S2A_LIMIT, S2A_NOMEM. */
S2A_API s2a_status s2a_count_tokens(s2a_engine *engine, const s2a_request *request, size_t *tokens,
                                    s2a_error *err);

/* ---- teaching a judge ------------------------------------------------------------------- */

/* A head: what mode select learned about one model file. */
typedef struct s2a_calibration s2a_calibration;

/* A head's results on kinds of prompts that were left out of its training. Shares, 0 to 1; NaN if
 * there were no such units or prompts. */
typedef struct s2a_calibration_report {
    double auc, needed_kept, unrelated_removed, opinion_removed, clean_unchanged; /* sentences */
    double order_auc, order_removed, documents_unchanged; /* orders in untrusted text */
    bool cuts, cuts_orders; /* false: the head removes nothing of this kind, because its AUC is too
                               low or every threshold changes too many clean prompts */
    size_t prompts, units;  /* read from the labelled prompts */
    uint64_t tokens;        /* of these prompts */
    double ms;              /* time of reading them */
} s2a_calibration_report;

/* done of count prompts have been read; reading ends within left_ms. At done = count the fitting
 * begins, which takes a minute or two. Called on the thread that calibrates. */
typedef void (*s2a_progress_fn)(void *ctx, size_t done, size_t count, double left_ms);

/* Teaches the engine's model to judge, from labelled prompts: JSON lines as described in
 * data/labelled/README.md; NULL = the built-in ones. Ends within ten minutes on two cores. The
 * report says whether the model can tell the labels apart; it is not an error if it cannot. cancel
 * and progress may be NULL. Errors: S2A_UNSUPPORTED (no hidden states), S2A_INPUT (bad labelled
 * prompts, or too few kinds), S2A_CANCELLED, those of the backend, S2A_NOMEM. On failure *out is
 * NULL. */
S2A_API s2a_status s2a_calibrate(s2a_engine *engine, const char *labelled, size_t len,
                                 const s2a_cancel *cancel, s2a_progress_fn progress,
                                 void *progress_ctx, s2a_calibration **out, s2a_error *err);

/* Read and write the bytes of a file for s2a_engine_options.head. where: the name of the data in
 * messages. The caller frees *data with free(). S2A_INPUT (not a head), S2A_NOMEM. A calibration
 * that was read has an empty report. */
S2A_API s2a_status s2a_calibration_read(const char *where, const char *data, size_t len,
                                        s2a_calibration **out, s2a_error *err);
S2A_API s2a_status s2a_calibration_write(const s2a_calibration *calibration, char **data,
                                         size_t *len, s2a_error *err);

S2A_API const char *s2a_calibration_model(const s2a_calibration *calibration);
/* Log-odds below which a sentence is removed; NaN for presets that do not judge. */
S2A_API double s2a_calibration_threshold(const s2a_calibration *calibration, s2a_preset preset);
S2A_API s2a_calibration_report s2a_calibration_reached(const s2a_calibration *calibration);
S2A_API void s2a_calibration_free(s2a_calibration *calibration);

#ifdef __cplusplus
}
#endif
#endif
