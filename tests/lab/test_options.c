/* The option table: no command has two options of one name, and defaults are those of the parts
 * that use them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "cli/help.h"
#include "cli/serve_options.h"
#include "eval/arms.h"
#include "lab.h"

static const option_command *const commands[] = {
    &command_ask,   &command_attend, &command_chat,      &command_serve,
    &command_pull,  &command_models, &command_calibrate, &command_eval,
    &command_bench, &command_prune,  &command_mcp,
};

static void test_rows(void **state)
{
    (void)state;
    for (size_t c = 0; c < sizeof commands / sizeof commands[0]; c++) {
        const option_row *rows[OPTION_ROWS_MAX];
        size_t count = option_list(commands[c], rows);
        for (size_t i = 0; i < count; i++) {
            bool flag = rows[i]->kind == OPTION_FLAG || rows[i]->kind == OPTION_LEVEL;
            assert_true(flag == !(rows[i]->hint || rows[i]->choices));
            assert_true(rows[i]->kind != OPTION_OWN || rows[i]->take || rows[i]->key);
            assert_true(!rows[i]->key || option_of_key(rows[i]->key));
            /* Texts of settings are copied, as those of a file go: settings_apply does NAME alone.
             */
            assert_true(!rows[i]->key ||
                        (rows[i]->kind != OPTION_TEXT && rows[i]->kind != OPTION_ONCE &&
                         rows[i]->kind != OPTION_CHOICE));
            for (size_t k = 0; k < i; k++) {
                assert_string_not_equal(rows[i]->name, rows[k]->name);
                assert_true(!rows[i]->letter || rows[i]->letter != rows[k]->letter);
            }
        }
    }
}

static void test_engine_defaults(void **state)
{
    (void)state;
    settings s;
    s2a_engine_options e;
    settings_init(&s);
    s2a_engine_options_init(&e);
    assert_int_equal(s.gpu_layers, e.gpu_layers);
    assert_int_equal(s.draft, e.draft);
    assert_int_equal(s.kernels, e.kernels);
    assert_int_equal(s.kv_bits, e.kv_bits);
    assert_int_equal(s.mode, S2A_MODE_DEFAULT);
    assert_int_equal(s.preset, S2A_PRESET_AUTO);
    assert_string_equal(s.backend, "llama");
}

static void test_serve_defaults(void **state)
{
    (void)state;
    char name[] = "serve";
    char *argv[] = { name, NULL };
    serve_flags f;
    serve_options o;
    s2a_error err;
    serve_options_init(&o);
    assert_int_equal(serve_flags_read(&f, 1, argv, &err), S2A_OK);
    assert_int_equal(f.drain_ms, SERVE_DRAIN_MS);
    assert_int_equal(f.serve.max_body, o.max_body);
    assert_int_equal(f.serve.max_connections, o.max_connections);
    assert_int_equal(f.serve.workers, o.workers);
    assert_int_equal(f.serve.queue, o.queue);
    assert_int_equal(f.serve.head_ms, o.head_ms);
    assert_int_equal(f.serve.body_ms, o.body_ms);
    assert_int_equal(f.serve.upstream_idle_ms, o.upstream_idle_ms);
    assert_int_equal(f.serve.step1_budget_ms, o.step1_budget_ms);
    assert_int_equal(f.serve.max_tokens, o.max_tokens);
    assert_int_equal(f.serve.ask.show, o.ask.show);
    assert_true(f.serve.temperature == o.temperature && f.serve.top_p == o.top_p);
    assert_string_equal(f.serve.prefix, o.prefix);
    assert_string_equal(f.serve.access_log, o.access_log);
    options_free(&f.base);
}

static void test_arms(void **state)
{
    (void)state;
    const option_row *row = command_eval.rows;
    while (strcmp(row->name, "arms") != 0)
        row++;
    for (size_t i = 0; i < arm_count; i++)
        assert_int_equal(option_choice(row->choices, arms[i].name), i);
    assert_int_equal(option_choice(row->choices, "what"), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows),
        cmocka_unit_test(test_engine_defaults),
        cmocka_unit_test(test_serve_defaults),
        cmocka_unit_test(test_arms),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
