/* The directory with the model files: $S2A_MODELS, else $XDG_DATA_HOME/s2a/models, else
 * ~/.local/share/s2a/models. Beside FILE stand, while it is being downloaded, FILE.part (what is
 * there so far), FILE.part.json (how much of that is safe) and FILE.lock; and afterwards FILE.ok:
 * that its sha256 was found right, of what size and time the file was then, and where it came from.
 * Others may be able to write there: no symbolic link below the directory is followed. */
#ifndef S2A_CLI_STORE_H
#define S2A_CLI_STORE_H

#include "cli/manifest.h"

/* An absolute path, malloc'ed; NULL, with *err filled, when no variable says where or memory is
 * out. The directory need not exist. */
char *store_dir(s2a_error *err);

/* Makes the directory and its parents where they are missing. S2A_IO. */
s2a_status store_make_dir(const char *dir, s2a_error *err);

/* dir/file + suffix, malloc'ed; NULL when out of memory. */
char *store_path(const char *dir, const char *file, const char *suffix);

/* open() of a regular file, with mode 0666 where flags make it. -1 with errno, which is ELOOP for a
 * symbolic link and EINVAL for what else is no regular file. */
int store_open(const char *path, int flags);
/* S2A_IO: what cannot be written, why, and what to do about it. */
s2a_status store_write_failed(const char *path, int reason, s2a_error *err);

typedef enum store_state {
    STORE_ABSENT,
    STORE_PARTIAL, /* a download was interrupted, or the file has the wrong size */
    STORE_DOWNLOADED,
} store_state;

/* "absent", "partial", "downloaded". */
const char *store_state_name(store_state state);

/* Looks at names and sizes only. *bytes is how many of the model's bytes are there. */
store_state store_look(const char *dir, const manifest_model *model, uint64_t *bytes);

/* True when path is the file whose sha256 was found right: same size, time and sha256. */
bool store_is_verified(const char *path, const manifest_model *model);
/* Remembers that the file at path has the right sha256, and which kinds of source its bytes came
 * from: "url", "wheels", "wheels+url"; NULL keeps what was known. A note that cannot be written is no
 * failure: the file is hashed again next time. */
void store_set_verified(const char *path, const manifest_model *model, const char *source);
enum { STORE_SOURCE_SIZE = 16 };
/* What was remembered, "" when nothing was, or the file is another one since. */
void store_source(const char *path, const manifest_model *model, char source[STORE_SOURCE_SIZE]);

/* What `--model NAME|FILE.gguf` means, as a malloc'ed path. A name with '/' or that ends in .gguf
 * is a file, if there is one; anything else, and NULL (the default model), is looked up in the
 * manifest and the store. S2A_UNAVAILABLE (no such file or name, not downloaded: the message says
 * what to run), S2A_NOMEM; store_resolve also what manifest_load and store_dir return. */
s2a_status store_resolve(const char *name_or_path, char **path, s2a_error *err);
s2a_status store_resolve_in(const manifest *m, const char *dir, const char *name_or_path,
                            char **path, s2a_error *err);

typedef struct store_lock {
    int fd; /* -1 = not held */
    char *path;
} store_lock;

/* One process at a time downloads a file. Waits for another one to end, at most wait_ms; calls
 * waiting (may be NULL) once when it has to. S2A_TIMEOUT, S2A_CANCELLED, S2A_IO, S2A_NOMEM. */
s2a_status store_lock_take(store_lock *lock, const char *dir, const char *file, uint32_t wait_ms,
                           const s2a_cancel *cancel, void (*waiting)(void *ctx), void *ctx,
                           s2a_error *err);
/* Removes the lock file. A lock that is not held is left alone. */
void store_lock_drop(store_lock *lock);

#endif
