/* Replacing a file: what lies at the place where it is written aside is nobody's to write to. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/infile.h"
#include "base/outfile.h"

typedef s2a_status (*write_fn)(const char *path, const char *data, size_t len, s2a_error *err);

static void assert_holds(const char *path, const char *text)
{
    char *data = NULL;
    size_t len = 0;
    assert_int_equal(infile_read(path, 1000, "", &data, &len, NULL), S2A_OK);
    assert_string_equal(data, text);
    free(data);
}

/* Somebody has foreseen the names that are next, and linked them to a file of the user's. */
static void check(write_fn write_to, int (*link_to)(const char *, const char *), mode_t least)
{
    enum { NAMES = 50 };
    char dir[] = "/tmp/s2a-outfile-XXXXXX", victim[64], path[64], aside[128];
    assert_non_null(mkdtemp(dir));
    snprintf(victim, sizeof victim, "%s/victim", dir);
    snprintf(path, sizeof path, "%s/file", dir);
    assert_int_equal(outfile_write(victim, "mine", 4, NULL), S2A_OK);
    for (int i = 0; i < NAMES; i++) {
        snprintf(aside, sizeof aside, "%s.%ld-%d.part", path, (long)getpid(), i);
        assert_int_equal(link_to(victim, aside), 0);
    }
    assert_int_equal(write_to(path, "new", 3, NULL), S2A_OK);
    assert_holds(victim, "mine");
    assert_holds(path, "new");
    struct stat info;
    assert_int_equal(lstat(path, &info), 0);
    assert_true(S_ISREG(info.st_mode) && info.st_nlink == 1 && (info.st_mode & 0777) <= least);
    for (int i = 0; i < NAMES; i++) {
        snprintf(aside, sizeof aside, "%s.%ld-%d.part", path, (long)getpid(), i);
        unlink(aside);
    }
    unlink(path);
    unlink(victim);
    assert_int_equal(rmdir(dir), 0);
}

static void test_links(void **state)
{
    (void)state;
    check(outfile_write, link, 0666);
    check(outfile_write, symlink, 0666);
    check(outfile_write_cache, link, 0600);
    check(outfile_write_cache, symlink, 0600);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_links) };
    return cmocka_run_group_tests_name("outfile", tests, NULL, NULL);
}
