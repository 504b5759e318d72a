#include "backend/llama/tune.h"

#include "base/outfile.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define WORTH 0.9     /* share of all cores' time that another number must beat */
#define HOPELESS 1.5  /* times the best: even fewer threads will not be faster */
#define DISTURBED 0.1 /* share of all CPU time that others used, which disturbs */
#define SPARE 0.25    /* share of it that must be idle, so that others do not disturb */
#define FORMAT 1

size_t tune_candidates(uint32_t cores, uint32_t out[TUNE_CANDIDATES])
{
    size_t count = 0;
    out[count++] = cores > 0 ? cores : 1;
    if (cores >= 4)
        out[count++] = cores - cores / 4;
    for (uint32_t n = cores / 2; n > 0 && count < TUNE_CANDIDATES; n /= 2)
        out[count++] = n;
    return count;
}

static tune_time best_of(const tune_time *times, size_t count)
{
    tune_time best = times[0];
    for (size_t i = 1; i < count; i++) {
        best.read_ms = times[i].read_ms < best.read_ms ? times[i].read_ms : best.read_ms;
        best.write_ms = times[i].write_ms < best.write_ms ? times[i].write_ms : best.write_ms;
    }
    return best;
}

bool tune_goes_on(const tune_time *times, size_t count)
{
    if (count == 0)
        return true;
    tune_time best = best_of(times, count), last = times[count - 1];
    return last.read_ms < HOPELESS * best.read_ms || last.write_ms < HOPELESS * best.write_ms;
}

tuning tune_choose(const tune_time *times, size_t count)
{
    const tune_time *read = times, *write = times;
    for (size_t i = 1; i < count; i++) {
        if (times[i].read_ms < read->read_ms && times[i].read_ms < WORTH * times[0].read_ms)
            read = &times[i];
        if (times[i].write_ms < write->write_ms && times[i].write_ms < WORTH * times[0].write_ms)
            write = &times[i];
    }
    return (tuning){ .read_threads = read->threads, .write_threads = write->threads };
}

/* ---- use by other processes ----------------------------------------------------------------- */

bool tune_use_now(tune_use *out)
{
    double user = 0, nice = 0, system = 0, idle = 0, iowait = 0, irq = 0, softirq = 0, steal = 0;
    FILE *stat = fopen("/proc/stat", "r");
    int found = stat ? fscanf(stat, "cpu %lf %lf %lf %lf %lf %lf %lf %lf", &user, &nice, &system,
                              &idle, &iowait, &irq, &softirq, &steal)
                     : 0;
    if (stat)
        fclose(stat);
    struct timespec own;
    long ticks = sysconf(_SC_CLK_TCK);
    if (found != 8 || ticks <= 0 || clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &own) != 0)
        return false;
    double all = user + nice + system + idle + iowait + irq + softirq + steal;
    *out = (tune_use){ .total = all / (double)ticks,
                       .idle = (idle + iowait) / (double)ticks,
                       .own = (double)own.tv_sec + (double)own.tv_nsec / 1e9 };
    return true;
}

bool tune_was_disturbed(const tune_use *before, const tune_use *after)
{
    double total = after->total - before->total, idle = after->idle - before->idle;
    double others = total - idle - (after->own - before->own);
    return total > 0 && others > DISTURBED * total && idle < SPARE * total;
}

/* ---- the file -------------------------------------------------------------------------------- */

static bool threads_of(const json_t *object, const char *key, uint32_t most, uint32_t *out)
{
    json_int_t n = json_integer_value(json_object_get(object, key)); /* 0 if it is not an integer */
    if (n < 1 || n > most)
        return false;
    *out = (uint32_t)n;
    return true;
}

bool tune_load(const char *path, uint32_t cores, tuning *out)
{
    json_t *file = json_load_file(path, JSON_REJECT_DUPLICATES, NULL);
    bool ok = json_integer_value(json_object_get(file, "format")) == FORMAT &&
              json_integer_value(json_object_get(file, "cores")) == cores &&
              threads_of(file, "read_threads", cores, &out->read_threads) &&
              threads_of(file, "write_threads", cores, &out->write_threads);
    json_decref(file);
    return ok;
}

void tune_save(const char *path, const char *cpu, uint32_t cores, const tune_time *times,
               size_t count, const tuning *chosen)
{
    json_t *measured = json_array();
    for (size_t i = 0; i < count; i++)
        json_array_append_new(measured, json_pack("{s:i, s:f, s:f}", "threads",
                                                  (int)times[i].threads, "read_ms",
                                                  times[i].read_ms, "write_ms", times[i].write_ms));
    json_t *file =
        json_pack("{s:i, s:s%, s:i, s:i, s:i, s:o}", "format", FORMAT, "cpu", cpu, strlen(cpu),
                  "cores", (int)cores, "read_threads", (int)chosen->read_threads, "write_threads",
                  (int)chosen->write_threads, "measured", measured);
    char *text = file ? json_dumps(file, JSON_INDENT(1) | JSON_REAL_PRECISION(6)) : NULL;
    if (text)
        outfile_write_cache(path, text, strlen(text), NULL);
    free(text);
    json_decref(file);
}
