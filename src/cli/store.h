/* The directory of the model files: $S2A_MODELS, else $XDG_DATA_HOME/s2a/models, else
 * ~/.local/share/s2a/models. During a download FILE has FILE.part (the bytes so far),
 * FILE.part.json (how many of them are safe) and FILE.lock beside it; afterwards FILE.ok, which
 * says that the sha256 was right, the file's size and time then, and its source. Other users may be
 * able to write there: writing never follows a symbolic link below the directory. */
#ifndef S2A_CLI_STORE_H
#define S2A_CLI_STORE_H

#include "cli/manifest.h"

/* The absolute path of the directory, malloc'ed; it need not exist. NULL, with *err filled, if no
 * variable is set or when out of memory. */
char *store_dir(s2a_error *err);

/* Makes the directory and its parents if they are missing. S2A_IO. */
s2a_status store_make_dir(const char *dir, s2a_error *err);

/* A directory of the tool, made if it is missing, for this user alone: $VARIABLE/s2a + name if the
 * variable is an absolute path, else ~/ + below_home + name. malloc'ed; NULL if that fails. */
char *store_private_dir(const char *variable, const char *below_home, const char *name);

/* dir/file + suffix, malloc'ed; NULL when out of memory. */
char *store_path(const char *dir, const char *file, const char *suffix);

/* open() for regular files, with mode 0666 if flags create one. -1 with errno: ELOOP for a symbolic
 * link, EINVAL for anything else that is not a regular file. */
int store_open(const char *path, int flags);
/* Fills *err with S2A_IO: the path, the reason (an errno), and what to do. */
s2a_status store_write_failed(const char *path, int reason, s2a_error *err);

typedef enum store_state {
    STORE_ABSENT,
    STORE_PARTIAL, /* a download was interrupted, or the file has the wrong size */
    STORE_DOWNLOADED,
} store_state;

/* "absent", "partial", "downloaded". */
const char *store_state_name(store_state state);

/* Checks names and sizes only. *bytes is how many of the model's bytes exist. */
store_state store_look(const char *dir, const manifest_model *model, uint64_t *bytes);

/* True if the sha256 of the file at path was verified and its size and time have not changed. */
bool store_is_verified(const char *path, const manifest_model *model);
/* Notes in FILE.ok that the file at path has the right sha256, and the kinds of source of its
 * bytes: "url", "wheels", "wheels+url"; NULL keeps the old note's. A failed write is ignored: the
 * file is then hashed again next time. */
void store_set_verified(const char *path, const manifest_model *model, const char *source);
enum { STORE_SOURCE_SIZE = 16 };
/* The source in FILE.ok; "" if there is none, or if the file has changed. */
void store_source(const char *path, const manifest_model *model, char source[STORE_SOURCE_SIZE]);

/* The file that `--model NAME|FILE.gguf` means, as a malloc'ed path. A name that contains '/' or
 * ends in .gguf is a file, if that exists. Anything else, and NULL (the default model), is looked
 * up in the manifest and the store. S2A_UNAVAILABLE (no such file or name, or not downloaded: the
 * message says what to run), S2A_NOMEM; store_resolve also the errors of manifest_load and
 * store_dir. */
s2a_status store_resolve(const char *name_or_path, char **path, s2a_error *err);
s2a_status store_resolve_in(const manifest *m, const char *dir, const char *name_or_path,
                            char **path, s2a_error *err);

typedef struct store_lock {
    int fd; /* -1 = not held */
    char *path;
} store_lock;

/* Takes the lock for downloading a file. Waits for another process at most wait_ms, after calling
 * waiting (may be NULL) once. S2A_TIMEOUT, S2A_CANCELLED, S2A_IO, S2A_NOMEM. */
s2a_status store_lock_take(store_lock *lock, const char *dir, const char *file, uint32_t wait_ms,
                           const s2a_cancel *cancel, void (*waiting)(void *ctx), void *ctx,
                           s2a_error *err);
/* Releases the lock and removes its file; does nothing if the lock is not held. */
void store_lock_drop(store_lock *lock);

#endif
