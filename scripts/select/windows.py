#!/usr/bin/env python3
"""How far what mode select finds in windows agrees with what it finds in one window, on texts that fit both.

    scripts/select/windows.py --data DIR --model NAME --out FILE.csv [--items 12] [--join 3] [--window 2000] [--binary FILE]

A text is the passages of so many HotpotQA questions, one after the other, and the question of the first: about 1,200 tokens each, so that 3 are two
windows of the default size and 6 nearly fill the context of a judgement. One row a text and kind of figure (relevance, opinion: the log-odds
of a unit's labels; attention: what the question pays to a byte of it): Spearman's rank correlation of the two, how well either tells the sentences that the answer needs
from the others (area under the ROC curve), and tokens and milliseconds. The last rows are means. Texts that the file has already are left alone.
"""
import argparse
import csv
import os
import sys

import data
from probe import Probe, auc, label_of

FIELDS = ["model", "join", "window", "id", "kind", "units", "rank_correlation", "auc_one", "auc_windows", "tokens_one", "tokens_windows",
          "ms_one", "ms_windows"]
ONE = 1 << 30  # a window for any text


def ranks(values):
    order = sorted(range(len(values)), key=values.__getitem__)
    out, i = [0.0] * len(values), 0
    while i < len(order):
        j = i
        while j < len(order) and values[order[j]] == values[order[i]]:
            j += 1
        for k in order[i:j]:
            out[k] = (i + j + 1) / 2
        i = j
    return out


def rank_correlation(a, b):
    x, y, mean = ranks(a), ranks(b), (len(a) + 1) / 2
    xy = sum((p - mean) * (q - mean) for p, q in zip(x, y))
    xx, yy = sum((p - mean) ** 2 for p in x), sum((q - mean) ** 2 for q in y)
    return xy / (xx * yy) ** 0.5 if xx > 0 and yy > 0 else float("nan")


def joined(items, count):
    """The first item of each group with its own pieces; those of the others are distractors."""
    for at in range(0, len(items) - count + 1, count):
        first, x, pieces = items[at], b"", []
        for n, item in enumerate(items[at:at + count]):
            raw = item["x"].encode()[:item["question_start"]].rstrip() + b"\n\n"
            pieces += [[s + len(x), e + len(x), label if n == 0 else "distractor"] for s, e, label in item["pieces"] if e <= len(raw)]
            x += raw
        question = first["x"].encode()[first["question_start"]:]
        yield {"id": first["id"], "x": (x + question).decode(), "question_start": len(x), "pieces": pieces}


def judge(probe, item, window, attention):
    """Figures by unit, {kind: [figure]}, what the units are, and the usage."""
    answer = probe.ask({"select": item["x"], "question_start": item["question_start"], "window": window, "attention": attention})
    rows = [row for row in answer["units"] if not row[2]]
    labels = [label_of(item, row[0], row[1]) for row in rows]
    if attention:
        return {"attention": [row[7] for row in rows]}, labels, answer["usage"]
    return {"relevance": [row[4] - row[5] for row in rows], "opinion": [row[4] - row[6] for row in rows]}, labels, answer["usage"]


def compare(probe, item, window):
    probe.ask({"select": "It rained. Who?", "question_start": None})  # the examples are read before time is taken
    for attention in (False, True):
        one, labels, used_one = judge(probe, item, ONE, attention)
        many, _, used_many = judge(probe, item, window, attention)
        for kind in one:
            split = lambda values: ([v for v, l in zip(values, labels) if l == "needed"], [v for v, l in zip(values, labels) if l != "needed"])
            yield {"id": item["id"], "kind": kind, "units": len(labels), "rank_correlation": rank_correlation(one[kind], many[kind]),
                   "auc_one": auc(*split(one[kind])), "auc_windows": auc(*split(many[kind])),
                   "tokens_one": used_one["prompt_tokens"] - used_one["cached_tokens"],
                   "tokens_windows": used_many["prompt_tokens"] - used_many["cached_tokens"],
                   "ms_one": used_one["ms"], "ms_windows": used_many["ms"]}


def means(rows):
    for kind in ("relevance", "opinion", "attention"):
        of = [r for r in rows if r["kind"] == kind and r["id"] != "mean"]
        if of:
            yield {**of[0], "id": "mean", **{f: sum(float(r[f]) for r in of) / len(of) for f in FIELDS[5:]}}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", default="build/release/s2a")
    parser.add_argument("--data", required=True)
    parser.add_argument("--model", required=True)
    parser.add_argument("--out", required=True)
    parser.add_argument("--items", type=int, default=12, help="texts")
    parser.add_argument("--join", type=int, default=3, help="questions whose passages make a text")
    parser.add_argument("--window", type=int, default=2000, help="tokens")
    parser.add_argument("tool", nargs="*", help="options of s2a probe, after --")
    options = parser.parse_args()
    rows = []
    if os.path.exists(options.out):
        with open(options.out) as f:
            rows = [r for r in csv.DictReader(f) if r["id"] != "mean"]
    same = {"model": options.model, "join": options.join, "window": options.window}
    if any(any(str(v) != r[k] for k, v in same.items()) for r in rows):
        sys.exit(f"{options.out}: of another model, length or window; name another file")
    done = {r["id"] for r in rows}
    probe = Probe(options.binary, options.model, options.tool)
    texts = list(joined(data.load(options.binary, options.data, {"rag": options.items * options.join}), options.join))
    for n, item in enumerate(texts):
        if item["id"] not in done:
            rows += [{**same, **row} for row in compare(probe, item, options.window)]
        with open(options.out, "w", newline="") as f:
            out = csv.DictWriter(f, FIELDS, lineterminator="\n")
            out.writeheader()
            for row in rows + list(means(rows)):
                out.writerow({k: f"{v:.4g}" if isinstance(v, float) else v for k, v in row.items()})
        print(f"{n + 1}/{len(texts)} {item['id']}", file=sys.stderr)
    probe.close()


if __name__ == "__main__":
    main()
