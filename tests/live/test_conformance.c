/* The contract of backend.h: the embedded engine. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "conformance.h"
#include "live.h"
#include "llama_inspect.h"

/* A fox and an owl, whose tokens end within characters. */
#define TEXT "\xf0\x9f\xa6\x8a and \xf0\x9f\xa6\x89"
#define ANIMALS                            \
    { "user", "Animals!", 8 },             \
    {                                      \
        "assistant", TEXT, sizeof TEXT - 1 \
    }

static s2a_engine *engine;

static backend *open_llama(conformance_way way)
{
    (void)way;
    return live_backend(engine);
}

/* One engine serves all tests: the next one finds it as this one leaves it. */
static void leave_llama(backend *b)
{
    assert_true(llama_inspect_slots_agree(b));
}

static char longest[8192]; /* 4,096 tokens; the context holds 2,048 */

static conformance_asked ask(conformance_way way)
{
    static const backend_message animals[] = {
        ANIMALS, ANIMALS, ANIMALS, ANIMALS, { "user", "Animals!", 8 }
    };
    static const backend_message count_up = { "user",
                                              "Write the numbers 1 to 300, separated by commas.",
                                              48 };
    static const backend_message too_long = { "user", longest, sizeof longest };
    static const backend_message long_enough = { "user", longest, 3600 }; /* read for a second */
    if (way == CONFORMANCE_FAILS)
        return (conformance_asked){ &too_long, 1 };
    if (way == CONFORMANCE_SILENT)
        return (conformance_asked){ &long_enough, 1 };
    if (way == CONFORMANCE_SPEAKS || way == CONFORMANCE_STOPPED || way == CONFORMANCE_READS)
        return (conformance_asked){ animals, 9 };
    return (conformance_asked){ &count_up, 1 };
}

static conformance llama = { .text = TEXT, .open = open_llama, .close = leave_llama, .ask = ask };

static int setup(void **state)
{
    (void)state;
    engine = live_engine(2048);
    for (size_t i = 0; i < sizeof longest; i += 2)
        memcpy(longest + i, " a", 2);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    s2a_engine_close(engine);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = { CONFORMANCE_TESTS(&llama) };
    if (!live_model())
        return 77; /* ctest: skipped */
    return cmocka_run_group_tests_name("llama", tests, setup, teardown);
}
