/* getopt_long that takes no abbreviations: "--mode" is not "--model", nor "--api-key" "--api-keys".
 * The state is getopt's own. */
#ifndef S2A_CLI_GETOPT_EXACT_H
#define S2A_CLI_GETOPT_EXACT_H

#include <getopt.h>

/* As getopt_long; an abbreviation is '?' with optopt 0, as an unknown option is. */
int getopt_exact(int argc, char **argv, const char *shorts, const struct option *longs);

#endif
