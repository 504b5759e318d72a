/* The report of one or more runs: one self-contained HTML page, its tables as CSV and Markdown, and
 * its plots as SVG and PNG. */
#ifndef S2A_EVAL_REPORT_H
#define S2A_EVAL_REPORT_H

#include "eval/record.h"

/* Writes into dir (made if missing): index.html, summary.csv, items.csv, summary.md,
 * TASK-MODEL-PLOT.{svg,png}, and further CSV files as the tasks need them. Each file is replaced
 * atomically, so a full disk leaves the old one. command: the command that made the results, shown
 * at the top; may be NULL. S2A_IO, S2A_NOMEM. */
s2a_status report_write(const eval_run *runs, size_t run_count, const char *command,
                        const char *dir, s2a_error *err);

#endif
