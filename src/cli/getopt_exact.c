#include "cli/getopt_exact.h"

#include <stdbool.h>
#include <string.h>

int getopt_exact(int argc, char **argv, const char *shorts, const struct option *longs)
{
    int index = -1;
    int code = getopt_long(argc, argv, shorts, longs, &index);
    if (index < 0 || code == '?' || code == ':' || code == -1)
        return code;
    /* The value is a separate word after the option. */
    bool apart = optarg && optarg == argv[optind - 1];
    const char *word = argv[optind - (apart ? 2 : 1)] + 2; /* after "--" */
    size_t len = strcspn(word, "=");
    if (len == strlen(longs[index].name) && !strncmp(word, longs[index].name, len))
        return code;
    optind -= apart; /* the word at fault is the one before, as with an unknown option */
    optopt = 0;
    return '?';
}
