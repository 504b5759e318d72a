/* The report: figures, plots, and the files they go to. */
#include "eval/report.h"

#include "base/error.h"
#include "base/limits.h"
#include "base/outfile.h"
#include "eval/report_parts.h"
#include "eval/text.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define BOOTSTRAP_ROUNDS 2000

static void part_free(report_part *part)
{
    eval_summary_free(&part->summary);
    eval_judgement_free(&part->judgement);
    free(part->item_of);
    free(part->slug);
    for (size_t i = 0; i < part->figure_count; i++) {
        free(part->figures[i].name);
        free(part->figures[i].svg);
    }
    free(part->figures);
}

/* Records follow the items' order, so the next item is nearly always the same or the next one. */
static bool find_items(report_part *part)
{
    const eval_run *run = part->run;
    part->item_of = malloc((run->record_count ? run->record_count : 1) * sizeof *part->item_of);
    if (!part->item_of)
        return false;
    size_t at = 0;
    for (size_t r = 0; r < run->record_count; r++) {
        size_t tried = 0;
        while (tried < run->item_count && strcmp(run->items[at].id, run->records[r].item) != 0) {
            at = (at + 1) % run->item_count;
            tried++;
        }
        part->item_of[r] = tried < run->item_count ? at : run->item_count;
    }
    return true;
}

/* Records are ordered by item, arm and seed: the most that one item and arm have. */
static size_t count_seeds(const eval_run *run)
{
    size_t most = 0, count = 0;
    for (size_t r = 0; r < run->record_count; r++) {
        const eval_record *now = &run->records[r], *before = r > 0 ? now - 1 : NULL;
        bool same = before && !strcmp(before->item, now->item) && !strcmp(before->arm, now->arm);
        count = same ? count + 1 : 1;
        most = count > most ? count : most;
    }
    return most;
}

/* Names of files differ also where letter case does not count. */
static bool name_part(report_part *parts, size_t index)
{
    buf slug;
    buf_init(&slug, LIMIT_NONE);
    for (size_t number = 1;; number++) {
        buf_reset(&slug);
        text_add_slug(&slug, parts[index].run->task);
        buf_adds(&slug, "-");
        text_add_slug(&slug, parts[index].run->model);
        if (slug.len > 120) { /* leaves room for the plot's name within 255 bytes */
            slug.len = 120;
            slug.data[slug.len] = '\0';
        }
        if (number > 1)
            buf_addf(&slug, "-%zu", number);
        size_t i = 0;
        while (slug.status == S2A_OK && i < index && strcasecmp(parts[i].slug, slug.data) != 0)
            i++;
        if (i == index || slug.status != S2A_OK)
            break;
    }
    parts[index].slug = buf_take(&slug, NULL);
    buf_free(&slug);
    return parts[index].slug != NULL;
}

static s2a_status write_text(buf *text, const char *dir, const char *name, s2a_error *err)
{
    buf path;
    buf_init(&path, LIMIT_NONE);
    buf_addf(&path, "%s/%s", dir, name);
    s2a_status status = S2A_OK;
    if (text->status != S2A_OK || path.status != S2A_OK)
        status = error_nomem(err);
    else
        status = outfile_write(path.data, text->data, text->len, err);
    buf_free(&path);
    buf_reset(text);
    return status;
}

static s2a_status write_texts(const report_part *parts, size_t count, const char *command,
                              const char *dir, s2a_error *err)
{
    buf text;
    buf_init(&text, LIMIT_NONE);
    report_summary_csv(&text, parts, count);
    s2a_status status = write_text(&text, dir, "summary.csv", err);
    if (status == S2A_OK) {
        report_items_csv(&text, parts, count);
        status = write_text(&text, dir, "items.csv", err);
    }
    if (status == S2A_OK) {
        report_judgement_csv(&text, parts, count);
        status = write_text(&text, dir, "judgement.csv", err);
    }
    bool injection = false;
    for (size_t i = 0; i < count; i++)
        injection |= report_has_injection(&parts[i]);
    if (status == S2A_OK && injection) {
        report_injection_csv(&text, parts, count);
        status = write_text(&text, dir, "injection.csv", err);
    }
    bool shares = false;
    for (size_t i = 0; i < count; i++)
        shares |= report_has_shares(&parts[i]);
    if (status == S2A_OK && shares) {
        report_shares_csv(&text, parts, count);
        status = write_text(&text, dir, "shares.csv", err);
    }
    if (status == S2A_OK) {
        report_summary_markdown(&text, parts, count, command);
        status = write_text(&text, dir, "summary.md", err);
    }
    if (status == S2A_OK) {
        report_html(&text, parts, count, command);
        status = write_text(&text, dir, "index.html", err);
    }
    buf_free(&text);
    return status;
}

s2a_status report_write(const eval_run *runs, size_t run_count, const char *command,
                        const char *dir, s2a_error *err)
{
    report_part *parts = calloc(run_count ? run_count : 1, sizeof *parts);
    if (!parts)
        return error_nomem(err);
    s2a_status status = outfile_make_dir(dir, err);
    for (size_t i = 0; i < run_count && status == S2A_OK; i++) {
        parts[i].run = &runs[i];
        parts[i].seed_count = count_seeds(&runs[i]);
        if (!find_items(&parts[i]) || !name_part(parts, i))
            status = error_nomem(err);
        else
            status = eval_summarise(&runs[i], BOOTSTRAP_ROUNDS, &parts[i].summary, err);
        if (status == S2A_OK)
            status = eval_judgement_make(&runs[i], &parts[i].judgement, err);
        if (status == S2A_OK)
            status = report_plots(&parts[i], dir, err);
    }
    if (status == S2A_OK)
        status = write_texts(parts, run_count, command, dir, err);
    for (size_t i = 0; i < run_count; i++)
        part_free(&parts[i]);
    free(parts);
    return status;
}
