#!/usr/bin/env python3
"""Whether attention, weighed with the labels, judges better than the labels alone (needs numpy and scikit-learn).

    scripts/select/weigh.py JUDGE.jsonl ATTENTION.npz [--csv FILE]      (what judge.py and attention.py write)

A logistic fit with an L1 penalty C on half a of the items (see calibrate.py), judged on half b: log attention on a byte of the unit for the
question, less the same for "N/A" (D), all heads; with it, plain log attention (A); with it, the labels' log-odds over the borders of the
manifest (labels). Each set weighs the same, and so do needed units and distractors in it. Prints, a row for each fit and set: AUC, needed
units kept, distractors removed, on half b.
"""
import argparse
import csv
import json
import sys
import warnings

import numpy as np
from sklearn.linear_model import LogisticRegression

from calibrate import half_of
from probe import auc

BORDER, RATIO, CAP, OPINION = -1, 0.6, 5, 1  # of the default model, models/manifest.json
SETS = ("math", "plus", "argument", "mixed", "qa", "clean")


def label_margins(judged):
    """{(item, unit): (margin against unrelated, margin against opinion)}"""
    out = {}
    for n, item in enumerate(judged):
        units = [(k, u["scores"]) for k, u in enumerate(item["units"]) if not u["question"]]
        top = max([s["unrelated"] for _, s in units if s["opinion"] >= OPINION] + [0])
        for k, s in units:
            out[n, k] = s["unrelated"] - BORDER - min(CAP, RATIO * top), s["opinion"] - OPINION
    return out


def read(judge_path, attention_path):
    with open(judge_path) as f:
        judged = [json.loads(line) for line in f]
    stored, margins = np.load(attention_path), label_margins(judged)
    rows, keep = [], []
    for n, (i, k) in enumerate(zip(stored["item"], stored["unit"])):
        unit = judged[i]["units"][k]
        if unit["label"] in ("needed", "distractor") and not unit["whole"]:
            rows.append((judged[i]["set"], half_of(judged[i]), unit["label"] == "needed", unit["len"], *margins[i, k]))
            keep.append(n)
    sets, half, needed, length, relevance, opinion = map(np.array, zip(*rows))
    attention = np.log(stored["mass"][keep].astype(float) + 1e-5) - np.log(length + 1.0)[:, None, None]
    margin = np.stack([np.clip(relevance, -8, 8), np.clip(opinion, -8, 8), np.clip(np.minimum(relevance, opinion), -8, 8)], 1)
    return sets, half, needed, attention, margin


def fitted(features, needed, sets, train, penalty):
    x = (features - features[train].mean(0)) / (features[train].std(0) + 1e-6)
    weight = np.zeros(len(needed))
    for name in SETS:
        for label in (False, True):
            of = train & (sets == name) & (needed == label)
            weight[of] = 1 / max(1, of.sum())
    model = LogisticRegression(penalty="l1", C=penalty, solver="liblinear")
    model.fit(x[train], needed[train], sample_weight=weight[train] * train.sum() / weight[train].sum())
    return model.decision_function(x), int((model.coef_ != 0).sum())


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("judged")
    parser.add_argument("attention")
    parser.add_argument("--csv")
    options = parser.parse_args()
    warnings.simplefilter("ignore")  # of versions of scikit-learn that name the penalty otherwise
    sets, half, needed, attention, margin = read(options.judged, options.attention)
    against = attention[:, 0] - attention[:, 1]
    # The passages of mixed are unrelated to its question, so its needed units teach nothing.
    train = (half == 0) & ((sets != "mixed") | ~needed)
    scores = [("labels", "", 0, margin[:, 2])]
    for name, features in (("D", against), ("D, A", np.concatenate([against, attention[:, 0]], 1)),
                           ("D, labels", np.concatenate([against, margin], 1))):
        for penalty in (0.03, 0.1, 0.3):
            score, used = fitted(features, needed, sets, train, penalty)
            scores.append((name, penalty, used, score))
    out = csv.writer(open(options.csv, "w", newline="") if options.csv else sys.stdout, lineterminator="\n")
    out.writerow(["features", "C", "used", "set", "auc", "needed_kept", "needed", "distractors_removed", "distractors"])
    for name, penalty, used, score in scores:
        for kind in SETS:
            good, bad = (score[(half == 1) & (sets == kind) & (needed == label)] for label in (True, False))
            area = round(float(auc(list(good), list(bad))), 3) if len(good) and len(bad) else ""
            out.writerow([name, penalty, used, kind, area, int((good >= 0).sum()), len(good), int((bad < 0).sum()), len(bad)])


if __name__ == "__main__":
    main()
