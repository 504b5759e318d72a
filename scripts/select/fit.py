#!/usr/bin/env python3
"""Judges the forms of scripts/select/collect.py one by one, per set: how well does the log-odds separate needed from distractor?

    scripts/select/fit.py SCORES.jsonl... > table.csv

For each form and set, of all units that are not a question: AUC pooled and the mean within items, the share of items in which every distractor is below every needed
unit, and the share of distractors below the score that 98 % of the needed units pass (the threshold comes from the same units: this
shows what a form could do, not what it does on others).
"""
import csv
import json
import sys

from probe import auc, quantile


def figures(rows):
    needed = [s for _, label, s in rows if label == "needed"]
    distractor = [s for _, label, s in rows if label == "distractor"]
    items = {}
    for item, label, s in rows:
        items.setdefault(item, {}).setdefault(label, []).append(s)
    both = [v for v in items.values() if v.get("needed") and v.get("distractor")]
    threshold = quantile(needed, 0.02)
    share = lambda n, of: n / of if of else float("nan")
    return {"auc": auc(needed, distractor),
            "auc_within": share(sum(auc(v["needed"], v["distractor"]) for v in both), len(both)),
            "separated": share(sum(max(v["distractor"]) < min(v["needed"]) for v in both), len(both)),
            "threshold_98": threshold, "dropped_at_98": share(sum(s < threshold for s in distractor), len(distractor)),
            "needed": len(needed), "distractors": len(distractor)}


def load_scores(paths):
    """The items of collect.py's files, each with the scores of all forms."""
    items = {}
    for path in paths:
        with open(path) as f:
            for row in map(json.loads, f):
                item = items.setdefault((row["set"], row["id"]), row)
                for a, b in zip(item["units"], row["units"]):
                    a["scores"].update(b["scores"])
    return list(items.values())


def main():
    items = load_scores(sys.argv[1:])
    writer = None
    for kind in sorted({i["set"] for i in items}):
        for form in sorted({f for i in items for f in i["units"][0]["scores"]}):
            rows = [(n, u["label"], u["scores"][form]) for n, i in enumerate(items) if i["set"] == kind for u in i["units"]
                    if form in u["scores"] and u["label"] in ("needed", "distractor") and not u["question"]]
            if not rows:
                continue
            row = {"set": kind, "form": form, **figures(rows)}
            row = {k: f"{v:.4g}" if isinstance(v, float) else v for k, v in row.items()}
            if writer is None:
                writer = csv.DictWriter(sys.stdout, row.keys(), lineterminator="\n")
                writer.writeheader()
            writer.writerow(row)


if __name__ == "__main__":
    main()
