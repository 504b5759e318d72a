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
from forms import FORMS, score
from probe import Probe, auc, label_of, quantile

RELEVANCE_SETS = ("math", "plus", "rag", "clean")
OPINION_SETS = ("qa", "argument", "mixed")


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
        wanted = RELEVANCE_SETS if spec.judgement == "relevance" else OPINION_SETS if spec.judgement == "opinion" else RELEVANCE_SETS + OPINION_SETS
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
                if label and not (question and spec.judgement != "opinion"):
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
