#include "core/clause.h"

#include "backend/backend.h"
#include "core/ascii.h"
#include "core/error.h"

#include <stdlib.h>
#include <string.h>

/* How the user speaks of himself, at the beginning of a clause. */
static const char *const openings[] = {
    "i ",        "i'm ",         "i\xe2\x80\x99m ", "i've ",        "i\xe2\x80\x99ve ", "i'd ",
    "i\342\200\231d ", "my ",  "in my ",          "personally",   "to me ",           "for me ",
    "as far as i", "if you ask me", "we think ",    "we believe ",  "we feel ",
};

static const char *const joints[] = { "but ", "so ", "and ", "yet ", "though ", "still, ", "now, " };

static const char *const interrogatives[] = {
    "who",  "whom",  "whose", "what", "what's", "who's", "which", "when", "where", "why", "how",
    "is",   "are",   "was",   "were", "am",     "do",    "does",  "did",  "can",   "could",
    "will", "would", "should", "has", "have",   "had",   "may",   "might", "isn't", "aren't",
    "wasn't", "don't", "doesn't", "didn't", "in which", "in what", "on which", "at which", "by whom",
    "of which", "to which", "from which", "from what", "for which",
};

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

static size_t any_prefix(const char *text, size_t len, const char *const *list, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        size_t n = ascii_prefix(text, len, list[i]);
        if (n > 0)
            return n;
    }
    return 0;
}

static bool asks(const char *text, size_t len)
{
    for (size_t i = 0; i < COUNT(interrogatives); i++) {
        size_t n = ascii_prefix(text, len, interrogatives[i]);
        if (n > 0 && n < len && (text[n] == ' ' || text[n] == ','))
            return true;
    }
    return false;
}

/* The bytes of a mark that ends a clause, and of the spaces after it. */
static size_t clause_mark(const char *text, size_t len)
{
    static const char *const marks[] = { ", ", "; ", ": ", " - ", " -- ", "\xe2\x80\x94",
                                         " \xe2\x80\x93 ", "... ", "\xe2\x80\xa6 ", ") " };
    size_t n = any_prefix(text, len, marks, COUNT(marks));
    while (n > 0 && n < len && text[n] == ' ')
        n++;
    return n;
}

size_t clause_question(const char *sentence, size_t len)
{
    size_t start = 0;
    while (start < len && ascii_space(sentence[start]))
        start++;
    if (any_prefix(sentence + start, len - start, openings, COUNT(openings)) == 0)
        return len;
    for (size_t i = start; i < len; i++) {
        size_t at = i + clause_mark(sentence + i, len - i);
        if (at == i)
            continue;
        at += any_prefix(sentence + at, len - at, joints, COUNT(joints));
        if (asks(sentence + at, len - at))
            return at;
    }
    return len;
}

/* Verbs of which something written is expected. */
static const char *const requests[] = {
    "answer",    "reply",     "respond",  "comment",  "explain",   "describe", "discuss",  "write",
    "rewrite",   "rephrase",  "draft",    "compose",  "summarize", "summarise", "sum up",  "translate",
    "list",      "name",      "tell me",  "give me",  "give a",    "give an",  "give the", "give your",
    "find the",  "find out",  "find how", "calculate", "compute",  "determine", "estimate", "solve",
    "compare",   "contrast",  "analyze",  "analyse",  "evaluate",  "assess",   "review",   "judge",
    "rate",      "classify",  "identify", "define",   "outline",   "suggest",  "recommend", "propose",
    "create a",  "create an", "generate", "produce a", "provide",  "state",    "show me",  "show that",
    "show your", "prove",     "correct",  "fix",      "improve",   "edit",     "proofread", "convert",
    "format",    "extract",   "choose",   "pick",     "decide",    "consider", "help me",  "use no more",
    "use at most", "use only", "do not",  "don't",    "keep it",   "keep your", "be brief", "be concise",
    "return",    "output",    "print",    "make a",   "make it",   "think step", "let's think",
};

bool clause_is_request(const char *sentence, size_t len)
{
    static const char *const polite[] = { "please ", "please, ", "now ", "now, ", "then ", "then, ",
                                          "finally, ", "briefly ", "could you please ", "and " };
    size_t at = 0, n = 1;
    while (at < len && ascii_space(sentence[at]))
        at++;
    for (bool first = true; n > 0; first = false) {
        n = any_prefix(sentence + at, len - at, polite, COUNT(polite));
        if (n > 0 && first && ascii_lower(sentence[at]) == 'p')
            return true; /* "Please" asks for something, whatever the verb is */
        at += n;
    }
    n = any_prefix(sentence + at, len - at, requests, COUNT(requests));
    return n > 0 && (at + n == len || strchr(" .,:!;", sentence[at + n]));
}

static bool is_word(char c)
{
    return c == '\'' || (unsigned char)c >= 0x80 || (ascii_lower(c) >= 'a' && ascii_lower(c) <= 'z');
}

/* The word before what begins at i makes it part of a clause: "what should I think". */
static bool is_joined(const char *text, size_t i)
{
    static const char *const before[] = {
        "should", "do",   "did",  "must", "can",  "could", "would", "may",  "might", "will",  "shall",
        "am",     "have", "had",  "when", "if",   "what",  "that",  "which", "who",  "whom",  "because",
        "before", "after", "than", "as",  "and",  "or",    "but",   "why",  "how",   "where", "whether",
    };
    while (i > 0 && ascii_space(text[i - 1]))
        i--;
    size_t end = i;
    while (i > 0 && is_word(text[i - 1]))
        i--;
    for (size_t k = 0; k < COUNT(before); k++)
        if (strlen(before[k]) == end - i && ascii_prefix(text + i, end - i, before[k]) == end - i)
            return true;
    return end == i;
}

bool clause_is_standing(const char *sentence, size_t len)
{
    static const char *const beginnings[] = {
        "call me ",    "my name is ", "from now on", "always ",     "never ",       "remember ",
        "keep in mind", "note that ", "you are ",    "you're ",     "you should ",  "you must ",
        "you will ",   "i want you ", "i need you ", "i'd like you ", "i would like you ",
        "i\342\200\231d like you ", "act as ", "pretend ",    "imagine ",     "assume ",
        "suppose ",    "let's ",      "let\xe2\x80\x99s ",         "speak ",       "talk ",
        "use ",        "for the rest ", "in the following",        "avoid ",       "only ",
        "ignore ",     "stop ",       "be ",         "no ",         "in french",    "in german",
        "in spanish",  "in english",  "in json",     "in markdown", "as json",      "as a table",
    };
    size_t at = 0;
    while (at < len && ascii_space(sentence[at]))
        at++;
    if (any_prefix(sentence + at, len - at, beginnings, COUNT(beginnings)) > 0)
        return true;
    static const char *const anywhere[] = { "please", "answers", "replies", "responses" };
    for (size_t i = at + 1; i < len; i++)
        if (!is_word(sentence[i - 1]) &&
            any_prefix(sentence + i, len - i, anywhere, COUNT(anywhere)) > 0)
            return true;
    return false;
}

bool clause_refers_back(const char *sentence, size_t len, bool question)
{
    static const char *const joints_before[] = { "and ", "but ", "so ", "then ", "yet " };
    static const char *const pronouns[] = { "it",   "its",   "he",     "she",  "they", "him",  "her",  "his",
                                            "them", "their", "theirs", "this", "that", "these", "those" };
    size_t at = 0;
    while (at < len && ascii_space(sentence[at]))
        at++;
    at += any_prefix(sentence + at, len - at, joints_before, COUNT(joints_before));
    for (; at < len; at++) {
        for (size_t i = 0; i < COUNT(pronouns); i++) {
            size_t n = ascii_prefix(sentence + at, len - at, pronouns[i]);
            if (n > 0 && (at + n == len || !is_word(sentence[at + n]) || sentence[at + n] == '\''))
                return true;
        }
        if (!question)
            return false;
        while (at < len && is_word(sentence[at]))
            at++;
    }
    return false;
}

bool clause_speaks_to_reader(const char *sentence, size_t len)
{
    static const char *const beginnings[] = { "if ", "please ", "thank", "let me know", "let us know",
                                              "should you ", "feel free " };
    size_t at = 0;
    while (at < len && ascii_space(sentence[at]))
        at++;
    return any_prefix(sentence + at, len - at, beginnings, COUNT(beginnings)) > 0;
}

size_t clause_opinion(const char *sentence, size_t len)
{
    static const char *const opinions[] = {
        "i think ",    "i don't think ", "i don\xe2\x80\x99t think ", "i do not think ", "i believe ",
        "i guess ",    "i'm sure ",      "i\xe2\x80\x99m sure ",      "i am sure ",      "i suppose ",
        "i'd say ",    "in my opinion",  "my guess ",                  "personally",      "i am convinced",
        "i'm convinced", "i'm pretty sure ", "i doubt ",
    };
    size_t start = 0;
    while (start < len && ascii_space(sentence[start]))
        start++;
    if (!asks(sentence + start, len - start))
        return len;
    for (size_t i = start + 1; i < len; i++)
        if (ascii_space(sentence[i - 1]) && (sentence[i] == 'I' || sentence[i] == 'M' || sentence[i] == 'P') &&
            any_prefix(sentence + i, len - i, opinions, COUNT(opinions)) > 0 && !is_joined(sentence, i))
            return i;
    return len;
}

s2a_status clause_split(const char *text, const s2a_cancel *cancel, segment_unit **units,
                        size_t *count, s2a_error *err)
{
    segment_unit *out = calloc(2 * *count + 1, sizeof *out);
    if (!out)
        return error_nomem(err);
    size_t n = 0;
    for (size_t i = 0; i < *count && !cancel_fired(cancel); i++) {
        const segment_unit *u = &(*units)[i];
        size_t len = u->text_end - u->start, at = len;
        bool opinion_first = u->question;
        if (u->kind == SEGMENT_SENTENCE && len <= CLAUSE_MAX_BYTES)
            at = opinion_first ? clause_question(text + u->start, len)
                               : clause_opinion(text + u->start, len);
        out[n++] = *u;
        if (at >= len)
            continue;
        out[n] = *u;
        out[n].start = u->start + at;
        out[n - 1].end = out[n - 1].text_end = out[n].start;
        while (ascii_space(text[out[n - 1].text_end - 1]))
            out[n - 1].text_end--;
        out[n - 1].question = !opinion_first;
        out[n].question = opinion_first;
        n++;
    }
    if (cancel_fired(cancel)) {
        free(out);
        return error_set(err, S2A_CANCELLED, "cancelled");
    }
    free(*units);
    *units = out;
    *count = n;
    return S2A_OK;
}
