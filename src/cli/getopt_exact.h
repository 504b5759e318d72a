/* getopt_long without abbreviations: "--mode" is not "--model", and "--api-key" is not
 * "--api-keys". Uses getopt's global state. */
#ifndef S2A_CLI_GETOPT_EXACT_H
#define S2A_CLI_GETOPT_EXACT_H

#include <getopt.h>

/* As getopt_long; an abbreviation returns '?' with optopt 0, like an unknown option. */
int getopt_exact(int argc, char **argv, const char *shorts, const struct option *longs);

#endif
