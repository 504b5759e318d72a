/* What the live tests share: an engine on the test model, conversations whose next answer is known,
 * and generations of which all is recorded. Only live_engine, live_backend, live_request and
 * live_check_* may fail the running test; the rest may be called on any thread. */
#ifndef TESTS_LIVE_H
#define TESTS_LIVE_H

#include "backend/backend.h"
#include "s2a.h"

/* The path of the test model, S2A_TEST_MODEL; NULL when it is not set. */
const char *live_model(void);

/* Options for the test model, with one thread: two that spin until the other is done take many
 * times as long on a machine that is busy otherwise. */
s2a_engine_options live_options(uint32_t ctx_tokens);
s2a_engine *live_engine(uint32_t ctx_tokens);
s2a_engine *live_engine_with(const s2a_engine_options *options);
backend *live_backend(const s2a_engine *engine);

/* A conversation whose next answer is known. Four times the user says a word and the assistant a
 * sentence that is always the same but for that word; then the user says another word. The model
 * goes on with the sentence, and at each token the best one is at least four times as probable as
 * the next (measured with llama-server: 1.4 nats or more for each of them), which the rounding of
 * different batches and kernels does not change. */
#define LIVE_TALKS 16u
typedef struct live_talk {
    backend_message messages[9]; /* they point into text: do not copy a live_talk */
    size_t count;
    char text[1024];
    char want[64]; /* the answer */
} live_talk;
void live_talk_make(live_talk *talk, size_t index);
/* The same with another last word: all but the end is the prompt of live_talk_make. */
void live_talk_make_other(live_talk *talk, size_t index);

/* One generation. Zero-initialise, set what is to differ: greedy, no limit of tokens. */
typedef struct live_run {
    double temperature;
    uint32_t seed, max_tokens;
    const s2a_cancel *cancel;
    const backend_draft *copied;       /* of the last message */
    int (*hook)(struct live_run *run); /* after each piece; what it returns on_token returns */
    void *hook_ctx;

    s2a_status status;
    s2a_error err;
    backend_usage usage;
    size_t pieces, len;
    bool torn; /* a piece was empty or not whole UTF-8 */
    char text[16384];
} live_run;
void live_generate(backend *b, const backend_message *messages, size_t count, live_run *run);
/* One message of the user's. */
void live_generate_text(backend *b, const char *text, size_t len, live_run *run);

/* The answer of live_talk_make(index), greedy and without a limit, into *run; no other call may be
 * running. Fails the test when it is another one, or the slots do not agree with the cache. */
void live_check_talk(backend *b, size_t index, live_run *run);

/* Fails the test when the result breaks what holds of every result: units join to the input, spans
 * are inside their texts and in order. */
void live_check_result(const s2a_result *result);

/* A request of these messages, greedy, with that many tokens of answer. Fails the test. */
s2a_request *live_request(const backend_message *messages, size_t count, uint32_t max_tokens);

void live_sleep_ms(unsigned ms);

#endif
