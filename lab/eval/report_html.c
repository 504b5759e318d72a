/* The page: everything in one file, no request to anywhere. The tables and plots need no script;
 * the browser of items does. The page's own policy forbids whatever is not in it. */
#include "eval/report_parts.h"

#include "base/limits.h"
#include "eval/text.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- the paper's figures ---------------------------------------------------------------- */

typedef struct paper_row {
    const char *name, *first, *second;
} paper_row;

typedef struct paper_table {
    const char *task, *what, *first, *second; /* second NULL: one column */
    const paper_row *rows;
    size_t count;
} paper_table;

static const paper_row paper_qa[] = {
    { "baseline", "62.8 %", NULL },           { "instructed prompting", "71.7 %", NULL },
    { "S2A, keep original", "74.5 %", NULL }, { "S2A", "80.3 %", NULL },
    { "oracle prompt", "82.0 %", NULL },
};
static const paper_row paper_argument[] = {
    { "baseline", "2.23", "4.7" },
    { "oracle prompt", "3.0", "4.6" },
    { "S2A", "3.82", "4.6" },
};
static const paper_row paper_math[] = {
    { "baseline", "51.7 %", NULL },
    { "S2A", "61.3 %", NULL },
};
static const paper_table paper_tables[] = {
    { "qa", "modified TriviaQA", "accuracy", NULL, paper_qa, 5 },
    { "argument", "longform arguments", "objectivity", "quality", paper_argument, 3 },
    { "math", "GSM-IC, in-topic distractors", "accuracy", NULL, paper_math, 2 },
};

/* ---- pieces ----------------------------------------------------------------------------- */

/* A table that scrolls by itself when the window is narrow, also by the keyboard. */
static void table_start(buf *out, const char *caption)
{
    buf_adds(out, "<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"");
    text_add_html(out, caption);
    buf_adds(out, "\"><table><caption>");
    text_add_html(out, caption);
    buf_adds(out, "</caption>\n");
}

static void table_end(buf *out)
{
    buf_adds(out, "</table></div>\n");
}

static void head_cell(buf *out, const char *text)
{
    buf_adds(out, "<th scope=\"col\">");
    text_add_html(out, text);
    buf_adds(out, "</th>");
}

static void row_head(buf *out, const char *text)
{
    buf_adds(out, "<tr><th scope=\"row\">");
    text_add_html(out, text);
    buf_adds(out, "</th>");
}

static void figure_cell(buf *out, const report_column *column, const eval_figure *f)
{
    buf value, interval;
    buf_init(&value, LIMIT_NONE);
    buf_init(&interval, LIMIT_NONE);
    column->cell(f, &value, &interval);
    buf_adds(out, "<td>");
    text_add_html(out, value.len > 0 ? value.data : "–");
    if (value.len > 0 && interval.len > 0) {
        buf_adds(out, " <small>");
        text_add_html(out, interval.data);
        buf_adds(out, "</small>");
    }
    buf_adds(out, "</td>");
    if (value.status != S2A_OK || interval.status != S2A_OK)
        out->status = S2A_NOMEM;
    buf_free(&value);
    buf_free(&interval);
}

/* ---- tables of figures ------------------------------------------------------------------ */

static bool column_shown(buf *out, size_t column, const eval_summary *summary, report_table table)
{
    bool ok = true;
    bool shown = report_columns[column].table == table &&
                 report_column_used(&report_columns[column], summary, &ok);
    if (!ok)
        out->status = S2A_NOMEM;
    return shown;
}

static void figure_rows(buf *out, const eval_summary *summary, report_table table,
                        const char *group)
{
    for (size_t i = 0; i < summary->count; i++) {
        const eval_figure *f = &summary->figures[i];
        if ((f->group == NULL) != (group == NULL) || (group && strcmp(f->group, group) != 0))
            continue;
        row_head(out, f->arm);
        for (size_t c = 0; c < report_column_count; c++)
            if (column_shown(out, c, summary, table))
                figure_cell(out, &report_columns[c], f);
        buf_adds(out, "</tr>\n");
    }
}

/* All items, or (by_group) a body of rows for each group. */
static void figure_table(buf *out, const report_part *part, report_table table, bool by_group,
                         const char *caption)
{
    const eval_summary *summary = &part->summary;
    size_t columns = 1;
    table_start(out, caption);
    buf_adds(out, "<thead><tr>");
    head_cell(out, "arm");
    for (size_t c = 0; c < report_column_count; c++)
        if (column_shown(out, c, summary, table)) {
            head_cell(out, report_columns[c].head);
            columns++;
        }
    buf_adds(out, "</tr></thead>\n");
    for (size_t g = 0; g < (by_group ? summary->group_count : 1); g++) {
        buf_adds(out, "<tbody>\n");
        if (by_group) {
            buf_addf(out, "<tr><th scope=\"rowgroup\" colspan=\"%zu\">", columns);
            text_add_html(out, summary->groups[g]);
            buf_adds(out, "</th></tr>\n");
        }
        figure_rows(out, summary, table, by_group ? summary->groups[g] : NULL);
        buf_adds(out, "</tbody>\n");
    }
    table_end(out);
}

static void fallback_table(buf *out, const report_part *part)
{
    const eval_summary *summary = &part->summary;
    buf_adds(out, "<h3>Fallbacks</h3>\n");
    if (summary->fallback_count == 0) {
        buf_adds(out, "<p>There was none: no arm had to answer the original prompt because step 1 "
                      "was not to be trusted.</p>\n");
        return;
    }
    table_start(out, "Fallbacks by reason");
    buf_adds(out, "<thead><tr>");
    head_cell(out, "arm");
    head_cell(out, "reason");
    head_cell(out, "count");
    head_cell(out, "share of answers");
    head_cell(out, "what it means");
    buf_adds(out, "</tr></thead>\n<tbody>\n");
    for (size_t i = 0; i < summary->fallback_count; i++) {
        const eval_fallback_count *f = &summary->fallbacks[i];
        const eval_figure *all = eval_summary_find(summary, f->arm, NULL);
        row_head(out, f->arm);
        buf_adds(out, "<td class=\"text\"><code>");
        text_add_html(out, f->reason);
        buf_addf(out, "</code></td><td>%zu</td><td>", f->count);
        if (all && all->n > 0)
            buf_addf(out, "%.1f %%", 100.0 * (double)f->count / (double)all->n);
        buf_adds(out, "</td><td class=\"text\">");
        text_add_html(out, report_fallback_text(f->reason));
        buf_adds(out, "</td></tr>\n");
    }
    buf_adds(out, "</tbody>");
    table_end(out);
}

static void paper_figures(buf *out, const char *task)
{
    for (size_t i = 0; i < sizeof paper_tables / sizeof paper_tables[0]; i++) {
        const paper_table *t = &paper_tables[i];
        if (strcmp(t->task, task) != 0)
            continue;
        buf_adds(out,
                 "<aside class=\"paper\"><h3>The paper's own figures</h3>\n<p>LLaMA-2-70B-chat, "
                 "as printed in arXiv 2311.11829. Another model, other data and, for "
                 "arguments, another judge: read the differences between its rows, not the "
                 "distance to the tables above.</p>\n");
        buf caption;
        buf_init(&caption, LIMIT_NONE);
        buf_addf(&caption, "Reported by the paper: %s", t->what);
        table_start(out, caption.data ? caption.data : "");
        if (caption.status != S2A_OK)
            out->status = caption.status;
        buf_free(&caption);
        buf_adds(out, "<thead><tr>");
        head_cell(out, "method");
        head_cell(out, t->first);
        if (t->second)
            head_cell(out, t->second);
        buf_adds(out, "</tr></thead>\n<tbody>\n");
        for (size_t r = 0; r < t->count; r++) {
            row_head(out, t->rows[r].name);
            buf_addf(out, "<td>%s</td>", t->rows[r].first);
            if (t->second)
                buf_addf(out, "<td>%s</td>", t->rows[r].second);
            buf_adds(out, "</tr>\n");
        }
        buf_adds(out, "</tbody>");
        table_end(out);
        buf_adds(out, "</aside>\n");
    }
}

/* ---- a run ------------------------------------------------------------------------------ */

static void fact(buf *out, const char *name, const char *value, bool code)
{
    buf_addf(out, "<div><dt>%s</dt><dd>%s", name, code ? "<code>" : "");
    text_add_html(out, value && value[0] ? value : "not known");
    buf_adds(out, code ? "</code></dd></div>\n" : "</dd></div>\n");
}

static void facts(buf *out, const report_part *part)
{
    const eval_run *run = part->run;
    buf_adds(out, "<dl class=\"facts\">\n");
    fact(out, "Model", run->model, false);
    fact(out, "Data", run->data_name, false);
    buf_addf(out,
             "<div><dt>n</dt><dd>%zu items, %zu seed%s, %zu arms: %zu answers</dd></div>\n"
             "<div><dt>Sampling</dt><dd>temperature ",
             run->item_count, part->seed_count, part->seed_count == 1 ? "" : "s", run->arm_count,
             run->record_count);
    report_add_number(out, run->temperature);
    buf_adds(out, ", top-p ");
    report_add_number(out, run->top_p);
    buf_addf(out, ", at most %lu tokens of answer</dd></div>\n", (unsigned long)run->max_tokens);
    fact(out, "s2a", run->version, false);
    fact(out, "Model hash", run->model_hash, true);
    fact(out, "Prompts hash", run->prompts_hash, true);
    buf_adds(out, "</dl>\n");
}

static void plots(buf *out, const report_part *part)
{
    for (size_t i = 0; i < part->figure_count; i++) {
        const report_figure *f = &part->figures[i];
        /* As images: the identifiers in cairo's SVG would collide within one document. */
        buf_adds(out, "<figure><div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"");
        text_add_html(out, f->title);
        buf_adds(out, "\"><img alt=\"Plot: ");
        text_add_html(out, f->title);
        buf_adds(out, ". The tables have its numbers.\" src=\"data:image/svg+xml;base64,");
        text_add_base64(out, f->svg, f->svg_len);
        buf_adds(out, "\"></div>\n<figcaption>");
        text_add_html(out, f->caption);
        buf_adds(out, " Files: <a href=\"");
        text_add_html(out, f->name);
        buf_adds(out, ".svg\">SVG</a>, <a href=\"");
        text_add_html(out, f->name);
        buf_adds(out, ".png\">PNG</a>.</figcaption></figure>\n");
    }
}

static void share_cell(buf *out, size_t part, size_t whole)
{
    stats_interval ci = stats_wilson(part, whole, 0.95);
    buf_addf(out, "<td>%zu of %zu", part, whole);
    if (whole > 0)
        buf_addf(out, "<small>%.1f %% [%.1f, %.1f]</small>", 100 * (double)part / (double)whole,
                 100 * ci.low, 100 * ci.high);
    buf_adds(out, "</td>");
}

/* What the threshold of mode select kept and removed. */
static void judgement_table(buf *out, const eval_judgement *j)
{
    if (j->group_count == 0)
        return;
    buf_adds(out, "<h3>Judgement of select</h3>\n");
    table_start(out, report_judgement_caption);
    buf_adds(out, "<thead><tr>");
    head_cell(out, "group");
    head_cell(out, "needed kept");
    head_cell(out, "distractors removed");
    head_cell(out, "AUC");
    buf_adds(out, "</tr></thead>\n<tbody>\n");
    for (size_t g = 0; g < j->group_count; g++) {
        const judgement_group *group = &j->groups[g];
        row_head(out, group->group ? group->group : "all items");
        share_cell(out, group->counts.needed_kept, group->counts.needed);
        share_cell(out, group->counts.distractors_removed, group->counts.distractors);
        if (isfinite(group->auc))
            buf_addf(out, "<td>%.3f</td></tr>\n", group->auc);
        else
            buf_adds(out, "<td>&ndash;</td></tr>\n");
    }
    buf_adds(out, "</tbody>");
    table_end(out);
}

static void run_section(buf *out, const report_part *part, size_t index)
{
    buf_addf(out,
             "<section id=\"run-%zu\" aria-labelledby=\"run-%zu-name\">\n"
             "<h2 id=\"run-%zu-name\">",
             index, index, index);
    text_add_html(out, part->run->task);
    buf_adds(out, " <span class=\"soft\">");
    text_add_html(out, part->run->model);
    buf_adds(out, "</span></h2>\n");
    facts(out, part);
    buf_adds(out, "<h3>Arms</h3>\n");
    figure_table(out, part, REPORT_RESULTS, false, "Results by arm, all items");
    figure_table(out, part, REPORT_STEPS, false,
                 "What step 1 did and what the steps cost, all items");
    judgement_table(out, &part->judgement);
    paper_figures(out, part->run->task);
    buf_adds(out, "<h3>Plots</h3>\n");
    plots(out, part);
    if (part->summary.group_count > 1) {
        buf_adds(out, "<h3>Groups</h3>\n<details><summary>Results by group</summary>\n");
        figure_table(out, part, REPORT_RESULTS, true, "Results by group and arm");
        buf_adds(out, "</details>\n<details><summary>Step 1 and cost by group</summary>\n");
        figure_table(out, part, REPORT_STEPS, true,
                     "What step 1 did and what the steps cost, by group");
        buf_adds(out, "</details>\n");
    }
    fallback_table(out, part);
    buf_adds(out, "</section>\n");
}

/* ---- the page --------------------------------------------------------------------------- */

static void contents(buf *out, const report_part *parts, size_t count)
{
    buf_adds(out, "<nav aria-label=\"Contents\"><ul>\n");
    for (size_t i = 0; i < count; i++) {
        buf_addf(out, "<li><a href=\"#run-%zu\">", i);
        text_add_html(out, parts[i].run->task);
        buf_adds(out, ", ");
        text_add_html(out, parts[i].run->model);
        buf_adds(out, "</a></li>\n");
    }
    buf_adds(out, "<li><a href=\"#columns\">What the columns mean</a></li>\n"
                  "<li><a href=\"#items\">Items</a></li>\n</ul></nav>\n");
}

static void columns_section(buf *out)
{
    buf_adds(out,
             "<section id=\"columns\" aria-labelledby=\"columns-name\"><h2 id=\"columns-name\">"
             "What the columns mean</h2>\n<dl class=\"help\">\n");
    for (size_t c = 0; c < report_column_count; c++) {
        buf_adds(out, "<dt>");
        text_add_html(out, report_columns[c].head);
        buf_adds(out, "</dt><dd>");
        text_add_html(out, report_columns[c].help);
        buf_adds(out, "</dd>\n");
    }
    buf_adds(out,
             "</dl>\n<p>A dash stands where a figure is not defined. Figures are of this data, "
             "this model and this sampling.</p></section>\n");
}

static void filter(buf *out, const char *id, const char *label)
{
    buf_addf(out, "<label for=\"%s\">%s<select id=\"%s\"></select></label>\n", id, label, id);
}

static void items_section(buf *out, const report_part *parts, size_t count)
{
    buf_adds(out, "<section id=\"items\" aria-labelledby=\"items-name\"><h2 id=\"items-name\">Items"
                  "</h2>\n<noscript><p>The browser of items needs JavaScript; the files items.csv "
                  "and summary.csv do not.</p></noscript>\n<div id=\"browser\" hidden>\n"
                  "<form id=\"filters\" role=\"search\" aria-label=\"Filter items\">\n");
    filter(out, "f-run", "Run");
    filter(out, "f-arm", "Arm");
    filter(out, "f-group", "Group");
    filter(out, "f-outcome", "Answer");
    filter(out, "f-fallback", "Fallback");
    filter(out, "f-seed", "Seed");
    buf_adds(out, "<label for=\"f-text\">Text<input id=\"f-text\" type=\"search\" "
                  "autocomplete=\"off\"></label>\n</form>\n"
                  "<p class=\"key\"><del>removed by step 1</del> <mark>distractor</mark> "
                  "<mark><del>distractor that was removed</del></mark></p>\n"
                  "<p id=\"status\" role=\"status\"></p>\n<div id=\"list\"></div>\n"
                  "<p class=\"pager\"><button type=\"button\" id=\"previous\">Previous</button> "
                  "<button type=\"button\" id=\"next\">Next</button></p>\n</div>\n");
    report_embedded *said = calloc(count ? count : 1, sizeof *said);
    if (!said) {
        out->status = S2A_NOMEM;
        return;
    }
    buf_adds(out, "<script type=\"application/json\" id=\"items-data\">");
    report_items_json(out, parts, count, REPORT_ITEMS_MAX, said);
    buf_adds(out, "</script>\n");
    for (size_t i = 0; i < count; i++) {
        if (said[i].embedded == said[i].answered)
            continue;
        buf_addf(out, "<p class=\"cut\">Cut: %zu of the %zu items of ", said[i].embedded,
                 said[i].answered);
        text_add_html(out, parts[i].run->task);
        buf_adds(out, ", ");
        text_add_html(out, parts[i].run->model);
        buf_addf(out,
                 " are in this page, which holds at most %zu MB of them, chosen evenly. "
                 "items.csv has a row for every answer.</p>\n",
                 REPORT_ITEMS_MAX / (1024 * 1024));
    }
    free(said);
    buf_adds(out, "</section>\n");
}

void report_html(buf *out, const report_part *parts, size_t count, const char *command)
{
    buf_adds(out, "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
                  "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; "
                  "img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'; "
                  "base-uri 'none'; form-action 'none'\">\n"
                  "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
                  "<meta name=\"color-scheme\" content=\"light dark\">\n"
                  "<title>System 2 Attention: evaluation</title>\n<style>\n");
    buf_adds(out, report_css);
    buf_adds(out, "</style>\n</head>\n<body>\n<a class=\"skip\" href=\"#items\">Skip to the items"
                  "</a>\n<header>\n<h1>System 2 Attention: evaluation</h1>\n<p>How well a model "
                  "answers prompts that hold opinions or text that does not matter: as they are "
                  "(plain), without that text (oracle), and after System 2 Attention has removed "
                  "what it judged irrelevant (arXiv 2311.11829).</p>\n");
    if (command && command[0]) {
        buf_adds(out,
                 "<p>To make the results again:</p>\n<pre class=\"scroll\" tabindex=\"0\"><code>");
        text_add_html(out, command);
        buf_adds(out, "</code></pre>\n");
    }
    contents(out, parts, count);
    buf_adds(out, "</header>\n<main>\n");
    for (size_t i = 0; i < count; i++)
        run_section(out, &parts[i], i);
    columns_section(out);
    items_section(out, parts, count);
    buf_adds(out, "</main>\n<script>\n");
    buf_adds(out, report_js);
    buf_adds(out, "</script>\n</body>\n</html>\n");
}
