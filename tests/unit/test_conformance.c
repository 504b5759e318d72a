/* The contract of backend.h: the script backend, and kept in front of it. */
#include <dirent.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "conformance.h"
#include "scripted.h"

#define TEXT "Gr\xc3\xbc\xc3\x9f dich, \xf0\x9f\xa6\x8a \xe2\x80\x9csaid\xe2\x80\x9d he"

static const char *const records[] = {
    [CONFORMANCE_SPEAKS] = TEXT "\n",
    [CONFORMANCE_STOPPED] = TEXT "\n",
    [CONFORMANCE_CUT] = "one two three four\n",
    [CONFORMANCE_GOES_ON] = "one two three four\n",
    [CONFORMANCE_SILENT] = "@sleep 60000\nat last\n",
    [CONFORMANCE_FAILS] = "@error timeout no answer\nnever said\n",
    [CONFORMANCE_MARKED] = "@expect <|im_start|>system\n@score 1\nyes\n",
    [CONFORMANCE_READS] = "@score 4 -4\n@score 0.5 2\nread\n",
};

static backend *open_script(conformance_way way)
{
    s2a_engine_options options;
    s2a_engine_options_init(&options);
    char *path = temporary_file(records[way], strlen(records[way]));
    options.model = path;
    backend *b = NULL;
    s2a_error err;
    if (backend_script_open(&options, NULL, &b, &err) != S2A_OK)
        fail_msg("script: %s", err.message);
    unlink(path);
    free(path);
    return b;
}

static void close_script(backend *b)
{
    b->vtable->close(b);
}

static char directory[32];

static backend *open_kept(conformance_way way)
{
    backend *b = NULL;
    strcpy(directory, "/tmp/s2a-kept-XXXXXX");
    assert_non_null(mkdtemp(directory));
    assert_int_equal(backend_kept_open(open_script(way), directory, "it", 1 << 20, &b, NULL),
                     S2A_OK);
    return b;
}

static void close_kept(backend *b)
{
    b->vtable->close(b);
    DIR *d = opendir(directory);
    assert_non_null(d);
    for (struct dirent *e; (e = readdir(d));)
        if (e->d_name[0] != '.')
            assert_int_equal(unlinkat(dirfd(d), e->d_name, 0), 0);
    closedir(d);
    assert_int_equal(rmdir(directory), 0);
}

static conformance script = { .text = TEXT, .open = open_script, .close = close_script };
static conformance kept = { .text = TEXT, .open = open_kept, .close = close_kept, .keeps = true };

int main(void)
{
    const struct CMUnitTest of_script[] = { CONFORMANCE_TESTS(&script) };
    const struct CMUnitTest of_kept[] = { CONFORMANCE_TESTS(&kept) };
    return cmocka_run_group_tests_name("script", of_script, NULL, NULL) +
           cmocka_run_group_tests_name("kept", of_kept, NULL, NULL);
}
