/* A long run of mixed requests on one engine: select, rewrite and plain, texts of random length, 8
 * threads, some cancelled at a random moment. In the end each result that was not cancelled is the
 * one that its request gets alone, memory is where it was, and no slot is lost. 40 requests in
 * ctest; scripts/soak.sh runs 2,000 (S2A_SOAK_REQUESTS, S2A_SOAK_SEED, and S2A_SOAK_THREADS of the
 * engine).
 *
 * Requests come from a pool of KINDS, each run alone first: what is compared is text. The rounding
 * of a batch may decide between two tokens that are as good as tied, and how often depends on the
 * processor: a request whose text is another one when it is asked again, alone, with its prompt in
 * the cache, or at a temperature so low that only such tokens change places, is in doubt, and its
 * results are not compared. Of the others that differ more than MISMATCH_SHARE is a failure. Text
 * that two requests mixed up, or a cache that holds the wrong tokens, is no matter of a tie: it
 * shows as a result with the question of another request of the pool, which is never allowed, or in
 * the slots' books. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "bench/prompt.h"
#include "eval/stats.h"
#include "live.h"
#include "llama_inspect.h"

#define THREADS 8u
#define KINDS 12u
#define REQUESTS 40u
#define CTX_TOKENS 4096u
#define MAX_TOKENS 12u
#define CANCEL_SHARE 4      /* one in so many requests is cancelled */
#define MISMATCH_SHARE 0.2  /* of the results compared: ties that were not found */
#define GROWTH_KB 16384     /* between the first quarter and the last, at most */
#define TIE_TEMPERATURE 0.1 /* a nat less is then drawn once in 20,000 times ... */
#define TIE_TRIES 8         /* ... and a tenth of a nat once in four */
#define LAST_MS 60000       /* for a short request at the end, alone */

typedef struct kind {
    s2a_mode mode;
    s2a_preset preset;
    char *text;
    char *rewritten, *answer; /* alone */
    bool doubtful;            /* alone, but not each time */
    double ms;
    atomic_size_t compared, mismatched;
} kind;

typedef struct soak {
    s2a_engine *engine;
    kind kinds[KINDS];
    uint64_t seed;
    size_t requests;
    atomic_size_t next, cancelled, failed, foreign;
    pthread_mutex_t lock;  /* of what follows */
    uint64_t *resident_kb; /* after each request */
    size_t noted;
    char first_fault[600];
} soak;

static soak s;

static size_t from_environment(const char *name, size_t otherwise)
{
    const char *text = getenv(name);
    size_t n = text ? strtoul(text, NULL, 10) : 0;
    return n > 0 ? n : otherwise;
}

/* ---- memory --------------------------------------------------------------------------------- */

static uint64_t resident_kb(void)
{
    unsigned long pages = 0;
    FILE *file = fopen("/proc/self/statm", "re");
    if (file && fscanf(file, "%*u %lu", &pages) != 1)
        pages = 0;
    if (file)
        fclose(file);
    return pages * ((uint64_t)sysconf(_SC_PAGESIZE) / 1024);
}

static double quarter_median(size_t from, size_t to)
{
    double values[4096];
    size_t n = 0;
    for (size_t i = from; i < to && n < 4096; i++)
        values[n++] = (double)s.resident_kb[i];
    return stats_quantile(values, n, 0.5);
}

/* ---- requests ------------------------------------------------------------------------------- */

/* At no temperature: greedy. */
static s2a_request *request_of(const kind *k, double temperature, uint32_t seed, s2a_cancel *cancel)
{
    s2a_request *request = s2a_request_new();
    s2a_error err;
    if (!request || s2a_request_set_text(request, k->text, strlen(k->text), &err) != S2A_OK ||
        s2a_request_set_sampling(request, temperature, 1, seed, &err) != S2A_OK) {
        s2a_request_free(request);
        return NULL;
    }
    s2a_request_set_mode(request, k->mode);
    s2a_request_set_preset(request, k->preset);
    s2a_request_set_max_tokens(request, MAX_TOKENS);
    s2a_request_set_cancel(request, cancel);
    return request;
}

static size_t count_quarter_words(void *ctx, const char *text, size_t len)
{
    (void)ctx;
    (void)text;
    return len / 4 + 1; /* about the tokens of English */
}

static void kinds_make(void)
{
    static const struct {
        s2a_mode mode;
        s2a_preset preset;
    } forms[] = { { S2A_MODE_SELECT, S2A_PRESET_AUTO },
                  { S2A_MODE_REWRITE, S2A_PRESET_OPINION },
                  { S2A_MODE_DEFAULT, S2A_PRESET_PLAIN } };
    stats_rng rng;
    stats_rng_seed(&rng, s.seed);
    for (size_t i = 0; i < KINDS; i++) {
        kind *k = &s.kinds[i];
        buf text;
        s2a_error err;
        buf_init(&text, 1 << 20);
        uint32_t tokens = BENCH_PROMPT_TOKENS_MIN + (uint32_t)stats_rng_below(&rng, 140);
        if (bench_prompt_build(s.seed * 1000 + i, tokens, count_quarter_words, NULL, &text, &err) !=
            S2A_OK)
            fail_msg("prompt: %s", err.message);
        *k = (kind){ .mode = forms[i % 3].mode,
                     .preset = forms[i % 3].preset,
                     .text = buf_take(&text, NULL) };
    }
}

static char *copy(const char *text)
{
    return strdup(text ? text : "");
}

static s2a_result *ask_alone(const kind *k, double temperature, uint32_t seed)
{
    s2a_request *request = request_of(k, temperature, seed, NULL);
    s2a_result *result = NULL;
    s2a_error err;
    assert_non_null(request);
    if (s2a_answer(s.engine, request, &result, &err) != S2A_OK)
        fail_msg("request %td, alone: %s", k - s.kinds, err.message);
    s2a_request_free(request);
    live_check_result(result);
    return result;
}

static bool differs(const kind *k, const s2a_result *result)
{
    return strcmp(k->rewritten, s2a_result_rewritten(result, NULL)) != 0 ||
           strcmp(k->answer, s2a_result_answer(result, NULL)) != 0;
}

static bool in_doubt(const kind *k)
{
    bool doubtful = false;
    for (uint32_t i = 0; i <= TIE_TRIES && !doubtful; i++) {
        s2a_result *result = ask_alone(k, i == 0 ? 0 : TIE_TEMPERATURE, i);
        doubtful = differs(k, result);
        s2a_result_free(result);
    }
    return doubtful;
}

/* Each alone: this is what is right. */
static void alone(void)
{
    size_t doubtful = 0;
    for (kind *k = s.kinds; k < s.kinds + KINDS; k++) {
        double start = clock_ms();
        s2a_result *result = ask_alone(k, 0, 0);
        k->ms = clock_ms() - start;
        k->rewritten = copy(s2a_result_rewritten(result, NULL));
        k->answer = copy(s2a_result_answer(result, NULL));
        s2a_result_free(result);
        k->doubtful = in_doubt(k);
        doubtful += k->doubtful;
    }
    print_message("%zu of %u kinds of requests are in doubt\n", doubtful, KINDS);
    assert_true(doubtful <= KINDS - 2);
}

/* ---- many at once --------------------------------------------------------------------------- */

typedef struct canceller {
    s2a_cancel *cancel;
    unsigned after_ms;
} canceller;

static void *cancel_later(void *ctx)
{
    const canceller *c = ctx;
    live_sleep_ms(c->after_ms);
    s2a_cancel_fire(c->cancel);
    return NULL;
}

/* Shown from a little before the place where the two part. */
static void fault(const char *what, size_t request, const char *got, const char *want)
{
    size_t same = 0;
    while (got[same] && got[same] == want[same])
        same++;
    size_t from = same > 40 ? same - 40 : 0;
    while (from > 0 && ((unsigned char)got[from] & 0xC0) == 0x80)
        from--;
    pthread_mutex_lock(&s.lock);
    if (!s.first_fault[0])
        snprintf(s.first_fault, sizeof s.first_fault,
                 "request %zu: %s, from byte %zu: \"%.120s\", not \"%.120s\"", request, what, from,
                 got + from, want + from);
    pthread_mutex_unlock(&s.lock);
}

/* An x' that belongs to another text holds that text's own question. */
static bool of_another(const kind *k, const char *rewritten)
{
    for (size_t i = 0; i < KINDS; i++) {
        const char *question = strstr(s.kinds[i].text, "In which year");
        if (&s.kinds[i] != k && question && !strstr(k->text, question) &&
            strstr(rewritten, question))
            return true;
    }
    return false;
}

static void compare(kind *k, size_t request, const s2a_result *result)
{
    const char *rewritten = s2a_result_rewritten(result, NULL);
    const char *answer = s2a_result_answer(result, NULL);
    atomic_fetch_add(&k->compared, 1);
    if (of_another(k, rewritten)) {
        atomic_fetch_add(&s.foreign, 1);
        fault("it has another request's text", request, rewritten, k->rewritten);
    } else if (differs(k, result)) {
        atomic_fetch_add(&k->mismatched, 1);
        if (k->doubtful)
            return;
        bool same = !strcmp(rewritten, k->rewritten);
        fault(same ? "answer" : "rewritten", request, same ? answer : rewritten,
              same ? k->answer : k->rewritten);
    }
}

static void one(size_t request, stats_rng *rng)
{
    kind *k = &s.kinds[stats_rng_below(rng, KINDS)];
    bool cancelled = stats_rng_below(rng, CANCEL_SHARE) == 0;
    canceller c = { .cancel = s2a_cancel_new(),
                    .after_ms = (unsigned)stats_rng_below(rng, (uint64_t)(2 * k->ms) + 2) };
    pthread_t thread;
    s2a_request *r = c.cancel ? request_of(k, 0, 0, c.cancel) : NULL;
    s2a_result *result = NULL;
    s2a_error err = { .status = S2A_OK };
    if (cancelled && pthread_create(&thread, NULL, cancel_later, &c) != 0)
        cancelled = false;
    s2a_status status = r ? s2a_answer(s.engine, r, &result, &err) : S2A_NOMEM;
    if (cancelled)
        pthread_join(thread, NULL);
    if (status == S2A_OK) {
        compare(k, request, result);
    } else if (status == S2A_CANCELLED && cancelled) {
        atomic_fetch_add(&s.cancelled, 1);
    } else {
        atomic_fetch_add(&s.failed, 1);
        fault(s2a_status_name(status), request, err.message, "an answer");
    }
    s2a_result_free(result);
    s2a_request_free(r);
    s2a_cancel_free(c.cancel);
    uint64_t kb = resident_kb();
    pthread_mutex_lock(&s.lock);
    s.resident_kb[s.noted++] = kb;
    pthread_mutex_unlock(&s.lock);
}

static void *work(void *ctx)
{
    (void)ctx;
    for (;;) {
        size_t request = atomic_fetch_add(&s.next, 1);
        stats_rng rng;
        if (request >= s.requests)
            return NULL;
        stats_rng_seed(&rng, s.seed * 1000003 + request);
        one(request, &rng);
    }
}

static void test_soak(void **state)
{
    (void)state;
    pthread_t threads[THREADS];
    alone();
    for (size_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, work, NULL), 0);
    for (size_t i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    size_t answered = 0, sure = 0, mismatched = 0;
    for (kind *k = s.kinds; k < s.kinds + KINDS; k++) {
        size_t compared = atomic_load(&k->compared), other = atomic_load(&k->mismatched);
        answered += compared;
        sure += k->doubtful ? 0 : compared;
        mismatched += k->doubtful ? 0 : other;
        print_message("kind %2td: %s, %3zu answered, %3zu other than alone%s\n", k - s.kinds,
                      s2a_mode_name(k->mode), compared, other, k->doubtful ? " (in doubt)" : "");
    }
    double first = quarter_median(0, (s.noted + 3) / 4);
    double last = quarter_median(s.noted - (s.noted + 3) / 4, s.noted);
    print_message("%zu requests: %zu answered, %zu of them compared, %zu cancelled, %zu other than "
                  "alone; memory %.0f MiB, then %.0f\n",
                  s.requests, answered, sure, atomic_load(&s.cancelled), mismatched, first / 1024,
                  last / 1024);
    if (s.first_fault[0])
        print_message("the first: %s\n", s.first_fault);
    assert_int_equal(answered + atomic_load(&s.cancelled), s.requests);
    assert_int_equal(atomic_load(&s.failed), 0);
    assert_int_equal(atomic_load(&s.foreign), 0);
    if ((double)mismatched > MISMATCH_SHARE * (double)sure + 1)
        fail_msg("%zu of %zu results are not those that the requests get alone", mismatched, sure);
    if (s.requests >= 200 && last - first > GROWTH_KB)
        fail_msg("memory grew by %.0f KiB", last - first);
}

/* All slots are free: as many requests as there are threads run together, then one at once. */
static void test_no_slot_lost(void **state)
{
    (void)state;
    static const char ask[] = "What is two and two?";
    assert_true(llama_inspect_slots_agree(live_backend(s.engine)));
    kind k = { .mode = S2A_MODE_DEFAULT, .preset = S2A_PRESET_PLAIN, .text = copy(ask) };
    s2a_request *request = request_of(&k, 0, 0, NULL);
    s2a_result *result = NULL;
    s2a_error err;
    double start = clock_ms();
    assert_non_null(request);
    if (s2a_answer(s.engine, request, &result, &err) != S2A_OK)
        fail_msg("%s", err.message);
    assert_true(clock_ms() - start < LAST_MS);
    s2a_result_free(result);
    s2a_request_free(request);
    free(k.text);
}

static int setup(void **state)
{
    (void)state;
    s.seed = from_environment("S2A_SOAK_SEED", 1);
    s.requests = from_environment("S2A_SOAK_REQUESTS", REQUESTS);
    s.resident_kb = calloc(s.requests, sizeof *s.resident_kb);
    pthread_mutex_init(&s.lock, NULL);
    s2a_engine_options options = live_options(CTX_TOKENS);
    options.threads = (uint32_t)from_environment("S2A_SOAK_THREADS", 1);
    s.engine = live_engine_with(&options);
    kinds_make();
    return s.resident_kb ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    s2a_engine_close(s.engine);
    for (size_t i = 0; i < KINDS; i++) {
        free(s.kinds[i].text);
        free(s.kinds[i].rewritten);
        free(s.kinds[i].answer);
    }
    free(s.resident_kb);
    pthread_mutex_destroy(&s.lock);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_soak),
        cmocka_unit_test(test_no_slot_lost),
    };
    if (!live_model())
        return 77; /* ctest: skipped */
    return cmocka_run_group_tests(tests, setup, teardown);
}
