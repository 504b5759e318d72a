#!/usr/bin/env python3
"""Searches the wording and the form of select's judgement on the dev data.

    scripts/select/search.py --binary build/release/s2a --data DIR --model NAME --csv OUT [--forms NAME,...] [--limits qa=12,...]

Each form is a prompt around the numbered units, and branches of the assistant's turn with a slot at the end of each, at
which two labels are compared. For each form and set: AUC of needed against distractor (pooled, and the mean within items),
the share of items where all distractors score below all needed units, where the threshold lies that keeps 99 % of the needed
units and how many distractors it drops, tokens and ms. Items are split in two by their number: 'a' chooses, 'b' confirms.
"""
import argparse
import csv
import sys
import time

import data
from probe import Probe, auc, label_of, quantile

RELEVANCE_SETS = ("math", "plus", "rag", "clean")
OPINION_SETS = ("qa", "argument", "mixed")


def numbered(units):
    return "\n".join(f"[{i + 1}] {u[2]}" for i, u in enumerate(units))


def short(text, words):
    parts = text.split()
    return text if len(parts) <= words else " ".join(parts[:words])


# name: (judgement, text before and after the units, branch, positive label, negative label)
FORMS = {}


def form(name, judgement, before, after, branch, positive, negative):
    FORMS[name] = (judgement, before, after, branch, positive, negative)


REPEAT = "[{i}] {text} ->"
REPEAT_IS = "[{i}] \"{text}\" is"
NUMBER = "[{i}] ->"
NUMBER_IS = "Sentence [{i}] is"
WORDS = "[{i}] {words}... ->"

REL = ("\n\nWhich of these sentences are needed to answer the question in the text, and which are unrelated to it? "
       "Label each sentence: needed or unrelated.")
REL_Q = ("\n\nThe question is: {question}\nWhich of these sentences are needed to answer it, and which are unrelated to it? "
         "Label each sentence: needed or unrelated.")
REL_USE = ("\n\nThe question is: {question}\nFor each sentence, say whether it is useful to solve the problem or irrelevant. "
           "Label each sentence: useful or irrelevant.")
REL_REMOVE = ("\n\nThe question is: {question}\nSome of the sentences have nothing to do with the question and should be removed. "
              "Label each sentence: keep or remove.")
for tag, branch in (("repeat", REPEAT), ("repeat-is", REPEAT_IS), ("number", NUMBER), ("number-is", NUMBER_IS), ("words", WORDS)):
    form("rel-" + tag, "relevance", "Text:\n", REL, branch, " needed", " unrelated")
    form("relq-" + tag, "relevance", "Text:\n", REL_Q, branch, " needed", " unrelated")
    form("use-" + tag, "relevance", "Text:\n", REL_USE, branch, " useful", " irrelevant")
    form("keep-" + tag, "relevance", "Text:\n", REL_REMOVE, branch, " keep", " remove")

OPI = ("\n\nSome of these sentences may be the user's own opinion or guess; the others are content: facts, questions or requests. "
       "Label each sentence: content or opinion.")
OPI_USER = ("\n\nDoes the sentence say what the user believes, likes or is (opinion), or is it part of the text or question itself "
            "(content)? Label each sentence: content or opinion.")
OPI_BIAS = ("\n\nWhich sentences tell the assistant what the user thinks or feels, and could bias its answer? "
            "Label each sentence: neutral or biased.")
for tag, branch in (("repeat", REPEAT), ("repeat-is", REPEAT_IS), ("number", NUMBER), ("number-is", NUMBER_IS), ("words", WORDS)):
    form("opi-" + tag, "opinion", "Text:\n", OPI, branch, " content", " opinion")
    form("opu-" + tag, "opinion", "Text:\n", OPI_USER, branch, " content", " opinion")
    form("opb-" + tag, "opinion", "Text:\n", OPI_BIAS, branch, " neutral", " biased")

ABOUT = ("\n\nSome of these sentences may be about the user: what the user believes, guesses, likes or dislikes, or what the user "
         "has written. All others are about the topic, or are the request or question itself.")
for tag, branch in (("number", "Sentence [{i}] is about the"), ("words", "[{i}] \"{words}...\" is about the")):
    form("about-" + tag, "opinion", "Text:\n", ABOUT, branch, " topic", " user")
USE = ("\n\nThe question is: {question}\nFor each sentence, say whether it is useful to answer the question or irrelevant. "
       "Label each sentence: useful or irrelevant.")
form("useq-number-is", "relevance", "Text:\n", USE, NUMBER_IS, " useful", " irrelevant")
form("useq-words-is", "relevance", "Text:\n", USE, "[{i}] \"{words}...\" is", " useful", " irrelevant")
form("useq-repeat-is", "relevance", "Text:\n", USE, REPEAT_IS, " useful", " irrelevant")


def question_of(units):
    asked = [u for u in units if u[4]]
    return (asked or units)[-1][2]


def score(probe, units, spec):
    _, before, after, branch, positive, negative = spec
    content = before + numbered(units) + after.format(question=question_of(units))
    branches = []
    for i, u in enumerate(units):
        forced = branch.format(i=i + 1, text=u[2], words=short(u[2], 6))
        branches.append({"forced": forced, "slots": [len(forced.encode())]})
    answer = probe.ask({"messages": [{"role": "user", "content": content}], "branches": branches, "labels": [positive, negative]})
    return [a - b for a, b in answer["logprob"]], answer["usage"]


def figures(rows):
    """rows: [(item, label, score)] of one form and set."""
    needed = [s for _, label, s in rows if label == "needed"]
    distractor = [s for _, label, s in rows if label == "distractor"]
    within, perfect, items = [], 0, {}
    for item, label, s in rows:
        items.setdefault(item, {"needed": [], "distractor": []}).setdefault(label, []).append(s)
    for v in items.values():
        if v["needed"] and v["distractor"]:
            within.append(auc(v["needed"], v["distractor"]))
            perfect += max(v["distractor"]) < min(v["needed"])
    threshold = quantile(needed, 0.01)
    dropped = sum(s < threshold for s in distractor) / len(distractor) if distractor else float("nan")
    at_zero = sum(s < 0 for s in distractor) / len(distractor) if distractor else float("nan")
    kept_zero = sum(s >= 0 for s in needed) / len(needed) if needed else float("nan")
    mean = lambda v: sum(v) / len(v) if v else float("nan")
    return {"auc": auc(needed, distractor), "auc_within": mean(within), "separated": perfect / len(within) if within else float("nan"),
            "threshold_99": threshold, "dropped_at_99": dropped, "dropped_at_0": at_zero, "kept_at_0": kept_zero,
            "needed": len(needed), "distractors": len(distractor)}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--binary", default="build/release/s2a")
    parser.add_argument("--data", required=True)
    parser.add_argument("--model", required=True)
    parser.add_argument("--forms", default=",".join(FORMS))
    parser.add_argument("--limits", default="math=16,plus=20,qa=12,argument=12,mixed=12")
    parser.add_argument("--csv", required=True)
    options = parser.parse_args()
    limits = {k: int(v) for k, v in (p.split("=") for p in options.limits.split(","))}
    items = data.load(options.binary, options.data, limits)
    probe = Probe(options.binary, options.model)
    units = {id(item): probe.units(item["x"]) for item in items}
    out = open(options.csv, "a", newline="")
    writer = None
    for name in options.forms.split(","):
        spec = FORMS[name]
        wanted = RELEVANCE_SETS if spec[0] == "relevance" else OPINION_SETS
        rows, cost = {}, {}
        for n, item in enumerate(items):
            if item["set"] not in wanted:
                continue
            began = time.time()
            scores, usage = score(probe, units[id(item)], spec)
            cost.setdefault(item["set"], []).append(((time.time() - began) * 1000, usage["prompt_tokens"] - usage["cached_tokens"]))
            for u, s in zip(units[id(item)], scores):
                label = label_of(item, u[0], u[1])
                question = u[4] and u is units[id(item)][-1]
                if label and not (question and spec[0] == "relevance"):
                    rows.setdefault((item["set"], "ab"[n % 2]), []).append((item["id"], label, s))
        for (kind, half), part in sorted(rows.items()):
            row = {"model": options.model, "form": name, "set": kind, "half": half, **figures(part),
                   "ms": quantile([c[0] for c in cost[kind]], 0.5), "tokens": quantile([c[1] for c in cost[kind]], 0.5)}
            row = {k: f"{v:.4g}" if isinstance(v, float) else v for k, v in row.items()}
            if writer is None:
                writer = csv.DictWriter(out, row.keys())
                if out.tell() == 0:
                    writer.writeheader()
            writer.writerow(row)
            out.flush()
            print(" ".join(f"{k}={v}" for k, v in row.items() if k != "model"), file=sys.stderr)
    probe.close()


if __name__ == "__main__":
    main()
