/* What --help and --version print. */
#ifndef S2A_CLI_HELP_H
#define S2A_CLI_HELP_H

extern const char help_main[];
extern const char help_ask[];
extern const char help_attend[];
extern const char help_calibrate[];
extern const char help_serve[];

void help_version(void);

#endif
