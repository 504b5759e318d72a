/* What the figures were measured on. */
#include "bench/report.h"

#include <math.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

/* The value of the first line "name : value" of a file in /proc. */
static void look_up(const char *path, const char *name, char *out, size_t size)
{
    char line[512];
    FILE *file = fopen(path, "re");
    *out = '\0';
    while (file && !*out && fgets(line, sizeof line, file)) {
        const char *colon = strchr(line, ':');
        if (!colon || strncmp(line, name, strlen(name)) != 0)
            continue;
        colon += 1 + strspn(colon + 1, " \t");
        snprintf(out, size, "%.*s", (int)strcspn(colon, "\r\n"), colon);
    }
    if (file)
        fclose(file);
}

void bench_machine_look(bench_machine *out)
{
    *out = (bench_machine){ .load = NAN };
    look_up("/proc/cpuinfo", "model name", out->cpu, sizeof out->cpu);
    char memory[64];
    look_up("/proc/meminfo", "MemTotal", memory, sizeof memory);
    out->memory_kb = strtoull(memory, NULL, 10);
    struct utsname system;
    if (uname(&system) == 0) /* without the host's name: that is nobody's business */
        snprintf(out->kernel, sizeof out->kernel, "%.40s %.40s %.40s", system.sysname,
                 system.release, system.machine);
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) == 0)
        out->cores = (uint32_t)CPU_COUNT(&set);
    double load = 0;
    if (getloadavg(&load, 1) == 1)
        out->load = load;
    time_t now = time(NULL);
    struct tm utc;
    if (gmtime_r(&now, &utc))
        strftime(out->started, sizeof out->started, "%Y-%m-%dT%H:%M:%SZ", &utc);
}
