#include "core/head.h"

#include "base/error.h"
#include "base/fnv.h"
#include "base/infile.h"
#include "base/limits.h"

#include <errno.h>
#include <inttypes.h>
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAGIC "s2a-head 1\n"
#define WIDTH_MAX 65536

static const struct {
    head_form form;
    const char *name;
} rows[HEAD_ROWS] = {
#define HEAD_ROW_ENTRY(f, n, text) { HEAD_##f, text },
    HEAD_ROWS_MAP(HEAD_ROW_ENTRY)
#undef HEAD_ROW_ENTRY
};

double head_needed(double against_unrelated, double against_opinion)
{
    double low = fmin(against_unrelated, against_opinion);
    return low - log1p(exp(-fabs(against_unrelated - against_opinion)));
}

/* The first row of a form. */
static head_row head_first(head_form form)
{
    head_row r = 0;
    while (rows[r].form != form)
        r++;
    return r;
}

size_t head_row_count(head_form form)
{
    size_t n = 0;
    for (size_t i = 0; i < HEAD_ROWS; i++)
        n += rows[i].form == form;
    return n;
}

static size_t row_width(const judge_head *h)
{
    return h->layer_count * 2 * h->width;
}

/* Rows and hidden units of a form, and where they begin in maps. */
static size_t map_count(const judge_head *h, head_form form)
{
    return head_row_count(form) + h->unit_count[form];
}

static const float *maps_of(const judge_head *h, head_form form)
{
    return h->maps + (form == HEAD_APART ? map_count(h, HEAD_AGAIN) * row_width(h) : 0);
}

/* ---- numbers ------------------------------------------------------------------------------ */

/* The program's locale may have a decimal comma; the file has points. */
typedef struct point {
    locale_t plain, was;
} point;

static point point_begin(void)
{
    locale_t plain = newlocale(LC_ALL_MASK, "C", (locale_t)0);
    return (point){ plain, uselocale(plain) };
}

static void point_end(point p)
{
    uselocale(p.was);
    if (p.plain != (locale_t)0)
        freelocale(p.plain);
}

/* ---- reading ------------------------------------------------------------------------------ */

typedef struct reader {
    const char *where, *at, *end;
    s2a_error *err;
} reader;

static s2a_status bad(const reader *r, const char *what)
{
    return error_set(r->err, S2A_INPUT,
                     "%s: %s; not a head of this version: make one with s2a calibrate", r->where,
                     what);
}

/* The rest of the next line, NUL-terminated in line; false if the line does not begin with key. */
static bool line_of(reader *r, const char *key, char *line, size_t size)
{
    const char *newline = memchr(r->at, '\n', (size_t)(r->end - r->at));
    size_t len = newline ? (size_t)(newline - r->at) : 0, n = strlen(key);
    if (!newline || len < n || len - n >= size || memcmp(r->at, key, n) != 0 ||
        memchr(r->at, '\0', len))
        return false;
    memcpy(line, r->at + n, len - n);
    line[len - n] = '\0';
    r->at = newline + 1;
    return true;
}

static bool number(char **at, double *out)
{
    char *end = NULL;
    *out = strtod(*at, &end);
    bool ok = end != *at && isfinite(*out);
    *at = end;
    return ok;
}

/* " NAME X", if NAME comes next. */
static bool named(char **at, const char *name, double *out)
{
    size_t n = strlen(name);
    while (**at == ' ')
        ++*at;
    if (strncmp(*at, name, n) != 0 || (*at)[n] != ' ')
        return false;
    *at += n;
    return number(at, out);
}

static s2a_status layers_read(reader *r, judge_head *h)
{
    char line[128], *at = line;
    double value = 0;
    if (!line_of(r, "layers", line, sizeof line))
        return bad(r, "no line \"layers\"");
    while (*at) {
        if (h->layer_count == HEAD_LAYERS_MAX || !number(&at, &value) || value < 0 || value > 1e4 ||
            floor(value) < value || (h->layer_count > 0 && value <= h->layers[h->layer_count - 1]))
            return bad(r, "its layers are not one to four ascending numbers");
        h->layers[h->layer_count++] = (uint32_t)value;
    }
    return h->layer_count > 0 ? S2A_OK : bad(r, "it names no layer");
}

/* Sixteen digits or fewer, and nothing else. */
static bool hexadecimal(const char *text, uint64_t *out)
{
    size_t n = strspn(text, "0123456789abcdef");
    *out = strtoull(text, NULL, 16);
    return n >= 1 && n <= 16 && !text[n];
}

static s2a_status units_read(reader *r, judge_head *h, head_form form)
{
    char line[256], *at = line;
    for (; line_of(r, "unit", line, sizeof line); at = line) {
        if (h->unit_count[form] == HEAD_UNITS_MAX)
            return bad(r, "it has too many hidden units");
        head_unit *u = &h->units[form][h->unit_count[form]++];
        size_t count = head_row_count(form);
        bool ok = named(&at, "offset", &u->offset) && named(&at, "scale", &u->scale) &&
                  named(&at, "mix", &u->mix[0]);
        for (size_t i = 1; i < count && ok; i++)
            ok = number(&at, &u->mix[i]);
        if (!ok || *at)
            return bad(r, "a hidden unit lacks numbers, or has too many");
    }
    return S2A_OK;
}

/* The line of a key with the presets' four numbers. */
static bool thresholds_read(reader *r, const char *key, head_thresholds *t)
{
    char line[256], *at = line;
    return line_of(r, key, line, sizeof line) && named(&at, "auto", &t->automatic) &&
           named(&at, "opinion", &t->opinion) && named(&at, "relevance", &t->relevance) &&
           named(&at, "untrusted", &t->untrusted) && !*at;
}

static bool next_is(const reader *r, const char *key)
{
    size_t n = strlen(key);
    return (size_t)(r->end - r->at) >= n && memcmp(r->at, key, n) == 0;
}

static bool none_below(const head_thresholds *second, const head_thresholds *first)
{
    return second->automatic >= first->automatic && second->opinion >= first->opinion &&
           second->relevance >= first->relevance && second->untrusted >= first->untrusted;
}

static s2a_status lines_read(reader *r, judge_head *h)
{
    char line[256], *at = line;
    double width = 0;
    if ((size_t)(r->end - r->at) < sizeof MAGIC - 1 || memcmp(r->at, MAGIC, sizeof MAGIC - 1) != 0)
        return bad(r, "it does not begin with \"s2a-head 1\"");
    r->at += sizeof MAGIC - 1;
    if (!line_of(r, "model ", h->model, sizeof h->model))
        return bad(r, "no line \"model\"");
    if (!line_of(r, "weights ", line, sizeof line) || !hexadecimal(line, &h->weights_id))
        return bad(r, "no line \"weights\"");
    if (!line_of(r, "width", line, sizeof line) || !number(&at, &width) || width < 1 ||
        width > WIDTH_MAX || floor(width) < width || *at)
        return bad(r, "no line \"width\" with a number from 1");
    h->width = (size_t)width;
    s2a_status status = layers_read(r, h);
    if (status != S2A_OK)
        return status;
    if (!thresholds_read(r, "border", &h->thresholds))
        return bad(r, "no line \"border\" with four numbers");
    h->second = h->thresholds;
    if (next_is(r, "second") &&
        (!thresholds_read(r, "second", &h->second) || !none_below(&h->second, &h->thresholds)))
        return bad(r, "the line \"second\" has not four numbers from the borders up");
    for (size_t i = 0; i < HEAD_ROWS; i++) {
        char key[64];
        snprintf(key, sizeof key, "row %s", rows[i].name);
        at = line;
        if (!line_of(r, key, line, sizeof line) || !named(&at, "offset", &h->offset[i]) ||
            !named(&at, "scale", &h->scale[i]) || *at)
            return bad(r, "a row is missing or out of order");
        if (i + 1 == HEAD_ROWS || rows[i + 1].form != rows[i].form)
            status = units_read(r, h, rows[i].form);
        if (status != S2A_OK)
            return status;
    }
    return line_of(r, "", line, sizeof line) && !*line ? S2A_OK
                                                       : bad(r, "no empty line before its numbers");
}

s2a_status head_read(const char *where, const char *data, size_t len, judge_head **out,
                     s2a_error *err)
{
    reader r = { .where = where, .at = data, .end = data + len, .err = err };
    judge_head *h = *out = calloc(1, sizeof *h);
    if (!h)
        return error_nomem(err);
    point p = point_begin();
    s2a_status status = lines_read(&r, h);
    point_end(p);
    size_t count = (map_count(h, HEAD_AGAIN) + map_count(h, HEAD_APART)) * row_width(h);
    if (status == S2A_OK && (size_t)(r.end - r.at) != 2 * count)
        status = bad(&r, "its numbers are cut off, or too many");
    if (status == S2A_OK && !(h->maps = calloc(count, sizeof *h->maps)))
        status = error_nomem(err);
    for (size_t i = 0; i < count && status == S2A_OK; i++) {
        const unsigned char *b = (const unsigned char *)r.at + 2 * i;
        h->maps[i] = (float)(int16_t)(uint16_t)(b[0] | b[1] << 8);
    }
    h->id = fnv_add(FNV_START, data, len);
    if (status != S2A_OK) {
        head_free(h);
        *out = NULL;
    }
    return status;
}

/* ---- writing ------------------------------------------------------------------------------ */

/* The value of one 16-bit step: the map's largest number becomes 32767. */
static double quantum(const judge_head *h, const float *map)
{
    double most = 0;
    for (size_t i = 0; i < row_width(h); i++)
        most = fmax(most, fabs((double)map[i]));
    return most > 0 ? most / 32767 : 1;
}

static void form_lines(const judge_head *h, head_form form, buf *out)
{
    const float *map = maps_of(h, form);
    size_t first = head_first(form), count = head_row_count(form);
    for (size_t i = first; i < first + count; i++, map += row_width(h))
        buf_addf(out, "row %s offset %.9g scale %.9g\n", rows[i].name, h->offset[i],
                 h->scale[i] * quantum(h, map));
    for (size_t i = 0; i < h->unit_count[form]; i++, map += row_width(h)) {
        const head_unit *u = &h->units[form][i];
        buf_addf(out, "unit offset %.9g scale %.9g mix", u->offset, u->scale * quantum(h, map));
        for (size_t k = 0; k < count; k++)
            buf_addf(out, " %.9g", u->mix[k]);
        buf_adds(out, "\n");
    }
}

static void thresholds_write(const char *key, const head_thresholds *t, buf *out)
{
    buf_addf(out, "%s auto %.6g opinion %.6g relevance %.6g untrusted %.6g\n", key, t->automatic,
             t->opinion, t->relevance, t->untrusted);
}

static void lines_write(const judge_head *h, buf *out)
{
    buf_adds(out, MAGIC "model ");
    for (const char *c = h->model; *c; c++)
        buf_add(out, (unsigned char)*c < ' ' ? " " : c, 1); /* no line break in the name */
    buf_addf(out, "\nweights %016" PRIx64 "\nwidth %zu\nlayers", h->weights_id, h->width);
    for (size_t i = 0; i < h->layer_count; i++)
        buf_addf(out, " %u", h->layers[i]);
    buf_adds(out, "\n");
    thresholds_write("border", &h->thresholds, out);
    thresholds_write("second", &h->second, out);
    form_lines(h, HEAD_AGAIN, out);
    form_lines(h, HEAD_APART, out);
    buf_adds(out, "\n");
}

void head_write(const judge_head *h, buf *out)
{
    point p = point_begin();
    lines_write(h, out);
    point_end(p);
    size_t count = map_count(h, HEAD_AGAIN) + map_count(h, HEAD_APART);
    for (size_t i = 0; i < count; i++) {
        const float *map = h->maps + i * row_width(h);
        double unit = quantum(h, map);
        for (size_t k = 0; k < row_width(h); k++) {
            uint16_t v = (uint16_t)(int16_t)lround((double)map[k] / unit);
            char bytes[2] = { (char)(v & 0xff), (char)(v >> 8) };
            buf_add(out, bytes, 2);
        }
    }
}

/* ---- finding ------------------------------------------------------------------------------ */

static bool fits(const judge_head *h, const backend_capabilities *can)
{
    return h->width == can->hidden_width && h->weights_id == can->weights_id &&
           h->layers[h->layer_count - 1] + 1 < can->layers;
}

static s2a_status from_file(const char *path, const backend_capabilities *can, judge_head **out,
                            s2a_error *err)
{
    char *data = NULL;
    size_t len = 0;
    s2a_status status = infile_read(path, LIMIT_HEAD_FILE_BYTES, "make a head with s2a calibrate",
                                    &data, &len, err);
    if (status == S2A_OK)
        status = head_read(path, data, len, out, err);
    free(data);
    if (status == S2A_OK && !fits(*out, can)) {
        status = error_set(err, S2A_INPUT,
                           "%s: the head of another model, %s; make one with s2a calibrate", path,
                           (*out)->model);
        head_free(*out);
        *out = NULL;
    }
    return status;
}

s2a_status head_find(const backend *b, const char *path, judge_head **out, s2a_error *err)
{
    backend_capabilities can = b->vtable->capabilities(b);
    *out = NULL;
    if (!can.can_read || !b->vtable->read)
        return S2A_OK;
    if (can.hidden_width == 0) {
        *out = calloc(1, sizeof **out);
        for (size_t i = 0; *out && i < HEAD_ROWS; i++)
            (*out)->scale[i] = 1;
        return *out ? S2A_OK : error_nomem(err);
    }
    if (path)
        return from_file(path, &can, out, err);
    for (size_t i = 0; i < heads_builtin_count; i++) {
        s2a_status status = head_read(heads_builtin[i].name, heads_builtin[i].data,
                                      *heads_builtin[i].len, out, err);
        if (status != S2A_OK || fits(*out, &can))
            return status;
        head_free(*out);
        *out = NULL;
    }
    return S2A_OK;
}

void head_free(judge_head *h)
{
    if (!h)
        return;
    free(h->maps);
    free(h);
}

/* ---- using -------------------------------------------------------------------------------- */

backend_head head_of_form(const judge_head *h, head_form form)
{
    return (backend_head){ .layers = h->layers,
                           .layer_count = h->layer_count,
                           .rows = h->maps ? maps_of(h, form) : NULL,
                           .row_count = map_count(h, form),
                           .id = h->id };
}

bool head_odds(const judge_head *h, head_form form, const double *told, double *odds)
{
    head_row first = head_first(form);
    size_t count = head_row_count(form);
    double sum[HEAD_FORM_ROWS_MAX];
    bool finite = true;
    for (size_t i = 0; i < count; i++)
        sum[i] = h->offset[first + i] + h->scale[first + i] * told[i];
    for (size_t k = 0; k < h->unit_count[form]; k++) {
        const head_unit *u = &h->units[form][k];
        double z = u->offset + u->scale * told[count + k], out = z / (1 + exp(-z));
        for (size_t i = 0; i < count; i++)
            sum[i] += u->mix[i] * out;
    }
    for (size_t i = 0; i < count; i++) {
        odds[i] = sum[i];
        finite &= isfinite(sum[i]) != 0;
    }
    return finite;
}
