/* Documents and a question: what of each is kept, where its spans are, how it ranks, and what no
 * judge can make of them. The fake judge scores a sentence by a word in it. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/ascii.h"
#include "fake_reader.h"
#include "s2a.h"
#include "scripted.h"

#define QUESTION "Which one is it?"

static bool has(const char *text, size_t len, const char *word)
{
    return memmem(text, len, word, strlen(word)) != NULL;
}

static void tell_words(void *ctx, const backend_piece *piece, uint64_t given, double *told,
                       size_t rows)
{
    (void)ctx, (void)given;
    for (size_t r = 0; r < rows; r++)
        told[r] = has(piece->text, piece->len, "good")   ? 3
                  : has(piece->text, piece->len, "fair") ? 0.5
                  : has(piece->text, piece->len, "poor") ? -1
                                                         : -5;
}

typedef struct judged {
    fake_reader f;
    s2a_engine engine;
    s2a_request *request;
    s2a_result *result;
    s2a_error err;
} judged;

static void begin(judged *j, const char *const *documents)
{
    fake_reader_init(&j->f, tell_words, NULL);
    j->engine = fake_reader_engine(&j->f, NULL);
    j->request = s2a_request_new();
    j->result = NULL;
    assert_int_equal(s2a_request_set_question(j->request, QUESTION, strlen(QUESTION), &j->err),
                     S2A_OK);
    for (; *documents; documents++)
        assert_int_equal(
            s2a_request_add_document(j->request, *documents, strlen(*documents), &j->err), S2A_OK);
}

static void attend(judged *j)
{
    if (s2a_attend(&j->engine, j->request, &j->result, &j->err) != S2A_OK)
        fail_msg("%s", j->err.message);
}

static void end(judged *j)
{
    s2a_result_free(j->result);
    s2a_request_free(j->request);
    fake_reader_free(&j->f);
}

#define BEGIN(j, ...) begin(&(j), (const char *const[]){ __VA_ARGS__, NULL })

static void want(const judged *j, size_t index, const char *pruned, double score)
{
    s2a_document d = s2a_result_document(j->result, index);
    assert_string_equal(d.pruned, pruned);
    assert_int_equal(d.pruned_len, strlen(pruned));
    assert_true(fabs(d.relevance - 1 / (1 + exp(-score))) < 1e-12);
}

/* ---- cases -------------------------------------------------------------------------------- */

static void test_mapped_back(void **state)
{
    (void)state;
    judged j;
    BEGIN(j, "This is bad. This is good.\n", "This is bad.", "Fine: fair. A bad one. A good one.");
    attend(&j);
    assert_int_equal(j.f.calls, 1);
    assert_int_equal(j.f.wanted, 6);
    assert_int_equal(s2a_result_document_count(j.result), 3);
    want(&j, 0, "This is good.", -1); /* the mean of 3 and -5 */
    want(&j, 1, "", -5);
    want(&j, 2, "Fine: fair. A good one.", 1.75);
    s2a_document d = s2a_result_document(j.result, 2);
    assert_string_equal(d.text + 0, "Fine: fair. A bad one. A good one.\n\n" QUESTION);
    assert_int_equal(d.text_len, 34);
    assert_int_equal(d.removed_count, 1);
    assert_int_equal(d.removed[0].start, 12);
    assert_int_equal(d.removed[0].end, 22);
    assert_int_equal(d.unit_count, 3);
    assert_int_equal(d.units[2].end, 34);
    assert_true(d.units[1].has_score && d.units[1].score == -5 && !d.units[1].kept);
    /* of the whole: one span for each of two neighbours that are removed */
    assert_int_equal(s2a_result_removed_count(j.result), 3);
    assert_string_equal(s2a_result_rewritten(j.result, NULL),
                        "This is good.\n\n\nFine: fair. A good one.\n\n" QUESTION);
    assert_string_equal(s2a_result_question(j.result, NULL), QUESTION);
    assert_int_equal(s2a_result_preset(j.result), S2A_PRESET_RELEVANCE);
    assert_true(s2a_result_usage(j.result, 1).prompt_tokens > 0);
    s2a_document none = s2a_result_document(j.result, 3);
    assert_true(none.unit_count == 0 && none.removed_count == 0 && *none.pruned == '\0');
    end(&j);
}

/* Whatever a document ends with: half a sentence, a list, a fence or a quotation that is open. */
static void test_borders(void **state)
{
    (void)state;
    static const char *const ends[] = { "a good half of", "- a good item",  "```\ngood code",
                                        "He said \"good", "| good | row |", "    good" };
    for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++) {
        judged j;
        BEGIN(j, ends[i], "the bad other half", "  - bad\n", "fair");
        attend(&j);
        want(&j, 0, ends[i], 3);
        want(&j, 1, "", -5);
        want(&j, 2, "", -5);
        want(&j, 3, "fair", 0.5);
        assert_int_equal(s2a_result_removed_count(j.result), 2);
        end(&j);
    }
}

static void test_never_everything(void **state)
{
    (void)state;
    judged j;
    BEGIN(j, "A bad one. Another bad one. ", "# Title\n\nA bad one. A poor one.");
    attend(&j);
    want(&j, 0, "A bad one. Another bad one. ", -5);
    want(&j, 1, "# Title\n\nA bad one. A poor one.", -3);
    assert_int_equal(s2a_result_removed_count(j.result), 0);
    end(&j);
    /* with a share that no unit fits into: the best one */
    BEGIN(j, "A bad one. Another bad one.", "A bad one. A poor one.");
    assert_int_equal(s2a_request_set_keep(j.request, 0.01, NULL), S2A_OK);
    attend(&j);
    want(&j, 0, "", -5);
    want(&j, 1, "A poor one.", -3);
    end(&j);
    BEGIN(j, "A good one. A bad one, which is much longer.", "A fair one. A poor one.");
    assert_int_equal(s2a_request_set_keep(j.request, 0.4, NULL), S2A_OK);
    attend(&j);
    want(&j, 0, "A good one.", -1);
    want(&j, 1, "A fair one.", -0.25);
    assert_true(isnan(s2a_result_threshold(j.result)));
    end(&j);
}

static void test_empty_documents(void **state)
{
    (void)state;
    judged j;
    BEGIN(j, "", " \n\t", "A good one. A bad one.", "");
    attend(&j);
    want(&j, 0, "", -INFINITY);
    want(&j, 1, " \n\t", -INFINITY);
    want(&j, 2, "A good one.", -1);
    want(&j, 3, "", -INFINITY);
    assert_int_equal(s2a_result_document(j.result, 0).unit_count, 0);
    end(&j);
    BEGIN(j, "", " \n\t");
    attend(&j);
    assert_int_equal(j.f.calls, 0); /* nothing to judge */
    want(&j, 0, "", -INFINITY);
    want(&j, 1, " \n\t", -INFINITY);
    end(&j);
    /* a blank one does not count as something that is kept */
    BEGIN(j, " \n", "A bad one.");
    attend(&j);
    want(&j, 1, "A bad one.", -5);
    end(&j);
}

/* Code and tables stay and have a score; headings and rules go with all else of their document. */
static void test_blocks(void **state)
{
    (void)state;
    judged j;
    BEGIN(j, "# Bad title\n\nA bad one.\n\n---\n", "# Bad title\n\nA good one. A bad one.",
          "```\ngood code\n```\n\nA bad one.", "# A good title\n");
    attend(&j);
    want(&j, 0, "", -5);
    want(&j, 1, "# Bad title\n\nA good one.", -1);
    want(&j, 2, "```\ngood code\n```", -1);
    want(&j, 3, "# A good title\n", 3);
    s2a_document d = s2a_result_document(j.result, 0);
    assert_int_equal(d.removed_count, 1);
    assert_true(d.removed[0].start == 0 && d.removed[0].end == d.text_len - 1);
    assert_string_equal(d.units[0].label, "unrelated");
    end(&j);
    BEGIN(j, "# Title\n\nA bad one.", "# Title 2\n\nA bad one.", "A good one.");
    assert_int_equal(s2a_request_protect_text(j.request, "Title 2", 7, NULL), S2A_OK);
    attend(&j);
    want(&j, 0, "", -5);
    want(&j, 1, "# Title 2", -5);
    end(&j);
}

static void test_windows(void **state)
{
    (void)state;
    judged j;
    char bad[4096] = "", all[4096] = "";
    for (int i = 0; i < 100; i++) {
        strcat(bad, "This one is a bad one. ");
        strcat(all, i == 50 ? "This one is a good one. " : "This one is a bad one. ");
    }
    BEGIN(j, bad, all, bad);
    j.f.can.read_tokens = 600;
    attend(&j);
    assert_true(j.f.calls > 3);
    assert_true(j.f.most_tokens <= 600);
    want(&j, 0, "", -5);
    want(&j, 1, "This one is a good one.", -1);
    want(&j, 2, "", -5);
    for (size_t i = 0; i < 3; i++)
        for (size_t k = 0; k < s2a_result_document(j.result, i).unit_count; k++)
            assert_true(s2a_result_document(j.result, i).units[k].has_score);
    end(&j);
    BEGIN(j, bad, all, bad);
    j.f.can.read_tokens = 600;
    j.f.cancel = s2a_cancel_new();
    j.f.cancel_at = 2;
    s2a_request_set_cancel(j.request, j.f.cancel);
    assert_int_equal(s2a_attend(&j.engine, j.request, &j.result, &j.err), S2A_CANCELLED);
    assert_null(j.result);
    assert_int_equal(j.f.calls, 2);
    s2a_cancel_free(j.f.cancel);
    end(&j);
}

/* ---- what is refused ------------------------------------------------------------------------ */

static void refused(judged *j, s2a_status status, const char *message)
{
    assert_int_equal(s2a_attend(&j->engine, j->request, &j->result, &j->err), status);
    assert_null(j->result);
    if (!strstr(j->err.message, message))
        fail_msg("%s", j->err.message);
}

static void test_refused(void **state)
{
    (void)state;
    judged j;
    BEGIN(j, "A good one.");
    assert_int_equal(s2a_request_add_document(j.request, "a", 1, &j.err), S2A_OK);
    assert_int_equal(s2a_request_add_document(j.request, "ab\xff", 3, &j.err), S2A_INPUT);
    assert_int_equal(j.err.position, 2);
    assert_string_equal(j.err.message,
                        "documents[2]: invalid UTF-8 at byte 2; convert the text to UTF-8");
    s2a_request_set_mode(j.request, S2A_MODE_REWRITE);
    refused(&j, S2A_ARGUMENT, "documents need mode select, not rewrite");
    s2a_request_set_mode(j.request, S2A_MODE_SELECT);
    s2a_request_set_preset(j.request, S2A_PRESET_OPINION);
    refused(&j, S2A_ARGUMENT, "preset relevance, not opinion");
    s2a_request_set_preset(j.request, S2A_PRESET_PLAIN);
    refused(&j, S2A_ARGUMENT, "preset relevance, not plain");
    s2a_request_set_preset(j.request, S2A_PRESET_RELEVANCE);
    assert_int_equal(s2a_request_protect_lines(j.request, 1, 1, NULL), S2A_OK);
    refused(&j, S2A_ARGUMENT, "protect: lines do not apply to documents");
    s2a_request_unprotect(j.request);
    j.engine.head = NULL;
    refused(&j, S2A_UNSUPPORTED, "no judge model");
    j.engine.head = &j.f.head;
    j.f.fail_at = 1;
    refused(&j, S2A_BACKEND, "the fake failed");
    attend(&j); /* the same request again */
    want(&j, 0, "A good one.", 3);
    want(&j, 1, "", -5);
    /* a question begins anew, and documents need one */
    assert_int_equal(s2a_request_set_question(j.request, "Why?", 4, &j.err), S2A_OK);
    s2a_result_free(j.result);
    refused(&j, S2A_ARGUMENT, "documents: there are none");
    assert_int_equal(s2a_request_add_document(j.request, "a", 1, &j.err), S2A_OK);
    assert_int_equal(s2a_request_set_question(j.request, "\xc3", 1, &j.err), S2A_INPUT);
    assert_int_equal(s2a_request_set_text(j.request, "a", 1, &j.err), S2A_OK);
    assert_int_equal(s2a_request_add_document(j.request, "a", 1, &j.err), S2A_ARGUMENT);
    assert_int_equal(s2a_request_set_question(j.request, " ", 1, &j.err), S2A_OK);
    assert_int_equal(s2a_request_add_document(j.request, NULL, 1, &j.err), S2A_ARGUMENT);
    assert_int_equal(s2a_request_add_document(j.request, NULL, 0, &j.err), S2A_OK);
    refused(&j, S2A_INPUT, "question: it is empty");
    end(&j);
}

/* ---- both steps ----------------------------------------------------------------------------- */

static void test_answer(void **state)
{
    (void)state;
    s2a_engine *engine = scripted_engine("@score 3\n@score -5\n@score -5\n%%\n"
                                         "@expect A one.\n\n\nWhy?\nYes.\n%%\n"
                                         "@score 0\n@error backend it broke\n%%\nNo.\n");
    s2a_request *request = s2a_request_new();
    s2a_result *result = NULL;
    s2a_error err;
    assert_int_equal(s2a_request_set_question(request, "Why?", 4, &err), S2A_OK);
    assert_int_equal(s2a_request_add_document(request, "A one. B two.", 13, &err), S2A_OK);
    assert_int_equal(s2a_request_add_document(request, "C three.", 8, &err), S2A_OK);
    assert_int_equal(s2a_attend(engine, request, &result, &err), S2A_OK);
    assert_string_equal(s2a_result_prompt(result, NULL), "A one.\n\nWhy?");
    assert_string_equal(s2a_result_document(result, 0).pruned, "A one.");
    assert_string_equal(s2a_result_document(result, 1).pruned, "");
    s2a_result_free(result);
    s2a_engine_close(engine);
    /* step 1 fails: the documents are as they were */
    engine = scripted_engine("@score 0\n@error backend it broke\n%%\nNo.\n");
    assert_int_equal(s2a_answer(engine, request, &result, &err), S2A_OK);
    assert_int_equal(s2a_result_fallback(result), S2A_FALLBACK_STEP1_FAILED);
    assert_string_equal(s2a_result_answer(result, NULL), "No.");
    assert_int_equal(s2a_result_document_count(result), 2);
    s2a_document d = s2a_result_document(result, 0);
    assert_string_equal(d.pruned, "A one. B two.");
    assert_true(d.relevance == 0 && d.removed_count == 0 && d.unit_count == 2);
    s2a_result_free(result);
    s2a_request_free(request);
    s2a_engine_close(engine);
}

/* ---- whatever the judge says ---------------------------------------------------------------- */

static uint32_t seed;

static uint32_t random_next(void)
{
    seed = seed * 1664525u + 1013904223u;
    return seed >> 8;
}

static void random_document(char *out)
{
    static const char *const parts[] = {
        "Ann has 3.5 kg of tea. ",
        "Why? ",
        "\n\n",
        "- item one\n",
        "He said: “So. ",
        "It is.” ",
        "```\nint x;\n\nSing.\n```\n",
        "```\n",
        "# Title\n",
        "<doc>A. ",
        "* * *\n",
        "| a | b |\n",
        "|---|---|\n",
        "    indented\n",
        "他有三个。",
        "是吗？",
        "\t",
        "\r\n",
        "caf\xc3\xa9 au lait, ",
        " \n",
    };
    *out = '\0';
    for (uint32_t n = random_next() % 9; n > 0; n--)
        strcat(out, parts[random_next() % (sizeof parts / sizeof parts[0])]);
}

static void tell_hash(void *ctx, const backend_piece *piece, uint64_t given, double *told,
                      size_t rows)
{
    (void)ctx, (void)piece;
    for (size_t r = 0; r < rows; r++) {
        given = (given ^ given >> 33) * UINT64_C(0xff51afd7ed558ccd) + r;
        told[r] = (double)(given >> 40) / (double)(1 << 21) - 5;
    }
}

static void letters_add(const char *text, size_t len, char *out)
{
    size_t n = strlen(out);
    for (size_t i = 0; i < len; i++)
        if (!ascii_space(text[i]))
            out[n++] = text[i];
    out[n] = '\0';
}

static bool is_subsequence(const char *y, size_t y_len, const char *x, size_t x_len)
{
    size_t k = 0;
    for (size_t i = 0; i < x_len && k < y_len; i++)
        k += x[i] == y[k];
    return k == y_len;
}

/* The pruned text is of the document's own bytes, in their order: those of its kept units. */
static void check_document(const s2a_document *d, const char *text)
{
    char kept[2048] = "", outside[2048] = "", pruned[2048] = "";
    size_t at = 0;
    bool all = true;
    assert_int_equal(d->text_len, strlen(text));
    assert_memory_equal(d->text, text, d->text_len);
    assert_true(is_subsequence(d->pruned, d->pruned_len, d->text, d->text_len));
    for (size_t i = 0; i < d->unit_count; i++) {
        assert_true(d->units[i].start == at && d->units[i].end > at);
        at = d->units[i].end;
        all &= d->units[i].kept;
        if (d->units[i].kept)
            letters_add(text + d->units[i].start, at - d->units[i].start, kept);
    }
    assert_int_equal(at, d->text_len);
    at = 0;
    for (size_t i = 0; i < d->removed_count; i++) {
        assert_true(d->removed[i].start >= at && d->removed[i].start < d->removed[i].end);
        assert_true(i == 0 || d->removed[i].start > at);
        letters_add(text + at, d->removed[i].start - at, outside);
        at = d->removed[i].end;
    }
    assert_true(at <= d->text_len);
    letters_add(text + at, d->text_len - at, outside);
    letters_add(d->pruned, d->pruned_len, pruned);
    assert_string_equal(pruned, kept);
    assert_string_equal(outside, kept);
    if (all)
        assert_string_equal(d->pruned, text);
    assert_true(d->relevance >= 0 && d->relevance <= 1);
}

static void test_random(void **state)
{
    (void)state;
    size_t cut = 0, emptied = 0;
    seed = 7;
    for (int round = 0; round < 3000; round++) {
        char texts[6][2048];
        const char *documents[7] = { NULL };
        size_t count = 1 + random_next() % 6;
        for (size_t i = 0; i < count; i++) {
            random_document(texts[i]);
            documents[i] = texts[i];
        }
        judged j;
        begin(&j, documents);
        j.f.tell = tell_hash;
        j.f.can.read_tokens = random_next() % 2 ? 0 : 400;
        if (random_next() % 3 == 0)
            assert_int_equal(s2a_request_set_keep(j.request, (1 + random_next() % 10) / 10.0, NULL),
                             S2A_OK);
        attend(&j);
        bool something = false, anything = false;
        for (size_t i = 0; i < count; i++) {
            s2a_document d = s2a_result_document(j.result, i);
            check_document(&d, texts[i]);
            bool blank = ascii_blank(texts[i], strlen(texts[i])),
                 empty = ascii_blank(d.pruned, d.pruned_len);
            something |= !blank;
            anything |= !empty;
            cut += d.removed_count > 0;
            emptied += !blank && empty;
        }
        assert_true(anything || !something);
        const char *y = s2a_result_rewritten(j.result, NULL);
        assert_string_equal(y + strlen(y) - strlen(QUESTION), QUESTION);
        end(&j);
    }
    print_message("%zu documents were cut, %zu to nothing\n", cut, emptied);
    assert_true(cut > 3000 && emptied > 300);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_mapped_back),      cmocka_unit_test(test_borders),
        cmocka_unit_test(test_never_everything), cmocka_unit_test(test_empty_documents),
        cmocka_unit_test(test_blocks),           cmocka_unit_test(test_windows),
        cmocka_unit_test(test_refused),          cmocka_unit_test(test_answer),
        cmocka_unit_test(test_random),
    };
    return cmocka_run_group_tests_name("documents", tests, NULL, NULL);
}
