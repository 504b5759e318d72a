/* The laboratory: evaluation and benchmark of System 2 Attention. It is a separate program,
 * s2a-lab, which the tool starts for `s2a eval`, `s2a bench` and `s2a probe`. It may include all of
 * src/. */
#ifndef S2A_LAB_H
#define S2A_LAB_H

#include "cli/option_table.h"

/* Commands, as those of cli/commands.h. */
int cmd_eval(int argc, char **argv);
int cmd_bench(int argc, char **argv);
/* A child process of cmd_bench; see bench/worker.h. Not for users. */
int cmd_bench_worker(int argc, char **argv);
int cmd_probe(int argc, char **argv);

extern const option_command command_eval, command_bench;

/* What s2a-lab --help prints. */
extern const char help_lab[];

#endif
