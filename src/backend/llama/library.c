#include "backend/llama/library.h"

#include "backend/llama/embedded.h"
#include "base/error.h"

#include <dirent.h>
#include <dlfcn.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static const char *kernels_name; /* under the lock */

static void library_init(void)
{
    library_log_here();
    llama_backend_init();
}

/* The path of the file that contains the code at an address. */
static bool file_of(void *address, char *path, size_t size)
{
    Dl_info info;
    if (!address || !dladdr(address, &info) || !info.dli_fname)
        return false;
    int n = snprintf(path, size, "%s", info.dli_fname);
    return n > 0 && (size_t)n < size;
}

/* The directory of the loaded libllama, where its ggml libraries are as well. */
static bool library_own_dir(char *dir, size_t size)
{
    char *slash = file_of((void *)llama_backend_init, dir, size) ? strrchr(dir, '/') : NULL;
    if (!slash || slash == dir)
        return false;
    *slash = '\0';
    return true;
}

static bool has_cpu(void)
{
    return ggml_backend_dev_by_type(GGML_BACKEND_DEVICE_TYPE_CPU) != NULL;
}

/* dlopen finds the modules by the run path of the program or library that contains this code. ggml
 * would search by its own run path, so it gets a path. It refuses modules that do not suit the
 * processor. */
static bool kernels_load(void)
{
    static const char *const variants[] = { "zen4", "cooperlake", "icelake", "cascadelake" };
    for (size_t i = 0; i < sizeof variants / sizeof *variants; i++) {
        char name[64], path[PATH_MAX];
        snprintf(name, sizeof name, "libs2a-kernels-%s.so", variants[i]);
        void *module = dlopen(name, RTLD_NOW | RTLD_LOCAL);
        if (!module)
            continue;
        bool loaded = file_of(dlsym(module, "ggml_gemm_q4_K_8x8_q8_K"), path, sizeof path) &&
                      ggml_backend_load(path) && has_cpu();
        dlclose(module);
        if (loaded) {
            kernels_name = variants[i];
            return true;
        }
    }
    return false;
}

static bool starts_with(const char *text, const char *with)
{
    return strncmp(text, with, strlen(with)) == 0;
}

/* Loads all of ggml's backends in dir except those for CPUs. */
static void load_others(const char *dir)
{
    DIR *all = opendir(dir);
    if (!all)
        return;
    for (struct dirent *entry; (entry = readdir(all));) {
        const char *name = entry->d_name, *end = strrchr(name, '.');
        char path[PATH_MAX];
        int n = snprintf(path, sizeof path, "%s/%s", dir, name);
        if (n > 0 && (size_t)n < sizeof path && starts_with(name, "libggml-") && end &&
            strcmp(end, ".so") == 0 && !starts_with(name, "libggml-cpu") &&
            !starts_with(name, "libggml-base"))
            ggml_backend_load(path);
    }
    closedir(all);
}

s2a_status library_load(const char *dir, bool kernels, s2a_error *err)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    char own[PATH_MAX];
    pthread_once(&once, library_init);
    bool is_own = !dir && library_own_dir(own, sizeof own);
    /* Without a directory nothing is searched: ggml's default is the current one, and would run
     * libraries that somebody left there. */
    if (is_own)
        dir = own;
    pthread_mutex_lock(&lock);
    bool loaded = has_cpu();
    if (!loaded && is_own && kernels && kernels_load()) {
        load_others(dir);
        loaded = true;
    }
    if (!loaded && dir && access(dir, R_OK | X_OK) == 0) {
        ggml_backend_load_all_from_path(dir);
        loaded = has_cpu();
    }
    pthread_mutex_unlock(&lock);
    if (!loaded)
        return error_set(err, S2A_UNAVAILABLE,
                         "%s: no ggml library for this processor (libggml-cpu*.so); set the "
                         "library directory to that of libllama",
                         dir ? dir : "libllama's directory is unknown");
    return S2A_OK;
}

const char *library_kernels(void)
{
    pthread_mutex_lock(&lock);
    const char *name = kernels_name;
    pthread_mutex_unlock(&lock);
    return name;
}
