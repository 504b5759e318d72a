/* How many threads a model is read and written with on this machine: which numbers are tried, which
 * one is taken for the times they took, and the file that remembers it. The measuring itself is in
 * llama/threads.c. */
#ifndef S2A_TUNE_H
#define S2A_TUNE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TUNE_CANDIDATES 16

/* Reading decodes many rows at once and is bound by computing, writing one and is bound by memory:
 * with threads that share a core, or with slow cores beside fast ones, their best numbers differ. */
typedef struct tuning {
    uint32_t read_threads, write_threads;
} tuning;

/* Milliseconds of the same work with so many threads. */
typedef struct tune_time {
    uint32_t threads;
    double read_ms, write_ms;
} tune_time;

/* Seconds of all processors since some moment: in sum, of which nobody used, of which this process
 * did. */
typedef struct tune_use {
    double total, idle, own;
} tune_use;

/* Numbers of threads worth a try, falling: all cores, three quarters of them, a half, and on by halves
 * to 1. Returns how many they are. */
size_t tune_candidates(uint32_t cores, uint32_t out[TUNE_CANDIDATES]);

/* False when fewer threads than those of the last time need not be tried any more: they were
 * slower in both by half than the best so far. */
bool tune_goes_on(const tune_time *times, size_t count);

/* The quickest for either; the first, all cores, unless another takes less than nine tenths of its
 * time. count is at least 1. */
tuning tune_choose(const tune_time *times, size_t count);

/* From /proc/stat and this process's clock; false where they cannot be read. */
bool tune_use_now(tune_use *out);
/* Others took processors that were then missing: what was measured between the two says little. */
bool tune_was_disturbed(const tune_use *before, const tune_use *after);

/* What is in a file of tune_save for as many cores; false when there is none, or it is damaged. */
bool tune_load(const char *path, uint32_t cores, tuning *out);
/* Replaces the file in one step. A failure leaves it as it was: then it is measured again. */
void tune_save(const char *path, const char *cpu, uint32_t cores, const tune_time *times,
               size_t count, const tuning *chosen);

#endif
