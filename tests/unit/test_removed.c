/* Removed texts: an id for a text, an owner for an entry, and bounds that the oldest pay for. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "serve/removed.h"
#include "serve/serve_limits.h"

static void assert_there(removed_store *store, const char *owner, const char *text, bool there)
{
    char id[REMOVED_ID_SIZE];
    size_t len = 0;
    assert_true(removed_id(text, strlen(text), id));
    assert_int_equal(strlen(id), REMOVED_ID_SIZE - 1);
    char *copy = removed_get(store, owner, id, &len);
    assert_int_equal(copy != NULL, there);
    if (copy) {
        assert_string_equal(copy, text);
        assert_int_equal(len, strlen(text));
    }
    free(copy);
}

static void put(removed_store *store, const char *owner, const char *text)
{
    removed_put(store, owner, text, strlen(text));
}

static void test_owner(void **state)
{
    (void)state;
    removed_store *store = removed_new(8);
    put(store, "a", "One.");
    put(store, "b", "One.");
    put(store, NULL, "Two.");
    assert_there(store, "a", "One.", true);
    assert_there(store, "b", "One.", true);
    assert_there(store, "c", "One.", false);
    assert_there(store, NULL, "One.", false);
    assert_there(store, NULL, "Two.", true);
    assert_there(store, "a", "Two.", false);
    removed_free(store);
}

static void test_count(void **state)
{
    (void)state;
    removed_store *store = removed_new(2);
    put(store, NULL, "One.");
    put(store, NULL, "Two.");
    put(store, NULL, "One."); /* is there: takes no place */
    assert_there(store, NULL, "One.", true);
    assert_there(store, NULL, "Two.", true);
    put(store, NULL, "Three.");
    assert_there(store, NULL, "One.", false);
    assert_there(store, NULL, "Two.", true);
    assert_there(store, NULL, "Three.", true);
    removed_free(store);
}

/* SERVE_REMOVED_BYTES: at it, and one past it. */
static void test_bytes(void **state)
{
    (void)state;
    char *large = malloc(SERVE_REMOVED_BYTES + 2);
    assert_non_null(large);
    memset(large, 'x', SERVE_REMOVED_BYTES + 1);
    large[SERVE_REMOVED_BYTES + 1] = '\0';
    removed_store *store = removed_new(3);
    put(store, NULL, "One.");
    put(store, NULL, large); /* one past it */
    assert_there(store, NULL, large, false);
    assert_there(store, NULL, "One.", true);
    large[SERVE_REMOVED_BYTES] = '\0';
    put(store, NULL, large);
    assert_there(store, NULL, large, true);
    assert_there(store, NULL, "One.", false);
    put(store, NULL, "Two.");
    assert_there(store, NULL, large, false);
    assert_there(store, NULL, "Two.", true);
    removed_free(store);
    free(large);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_owner),
        cmocka_unit_test(test_count),
        cmocka_unit_test(test_bytes),
    };
    return cmocka_run_group_tests_name("removed", tests, NULL, NULL);
}
