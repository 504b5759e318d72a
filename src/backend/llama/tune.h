/* How many threads a model uses on this machine for prefill and for generation: which numbers are
 * tried, which one the measured times choose, and the file that stores it. llama/threads.c
 * measures. */
#ifndef S2A_TUNE_H
#define S2A_TUNE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TUNE_CANDIDATES 16

/* Prefill (read) decodes many rows at once and is bound by computing. Generation (write) decodes
 * one row and is bound by memory. With hyperthreads, or with slow and fast cores, their best
 * numbers differ. */
typedef struct tuning {
    uint32_t read_threads, write_threads;
} tuning;

/* Milliseconds of the same work with that number of threads. */
typedef struct tune_time {
    uint32_t threads;
    double read_ms, write_ms;
} tune_time;

/* CPU seconds of all processors since some moment: all, idle, and used by this process. */
typedef struct tune_use {
    double total, idle, own;
} tune_use;

/* Numbers of threads to try, descending: all cores, three quarters of them, a half, and further
 * halves down to 1. Returns their count. */
size_t tune_candidates(uint32_t cores, uint32_t out[TUNE_CANDIDATES]);

/* False if smaller numbers need not be tried: in both kinds of work the last number took at least
 * 1.5 times as long as the best so far. */
bool tune_goes_on(const tune_time *times, size_t count);

/* The fastest number for each kind of work: the first one (all cores), unless another takes less
 * than nine tenths of its time. count is at least 1. */
tuning tune_choose(const tune_time *times, size_t count);

/* From /proc/stat and this process's clock; false if they cannot be read. */
bool tune_use_now(tune_use *out);
/* True if other processes used processors that the measurement between the two needed. */
bool tune_was_disturbed(const tune_use *before, const tune_use *after);

/* Reads a file of tune_save for that number of cores; false if there is none or it is damaged. */
bool tune_load(const char *path, uint32_t cores, tuning *out);
/* Replaces the file atomically. On failure the old file stays, and the next start measures. */
void tune_save(const char *path, const char *cpu, uint32_t cores, const tune_time *times,
               size_t count, const tuning *chosen);

#endif
