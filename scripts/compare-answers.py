#!/usr/bin/env python3
"""Compares two evaluations of the same items: two outputs of `s2a eval TASK --json` that differ in one setting.

    scripts/compare-answers.py A.json B.json

Prints CSV, a row for each arm: items in both, equal answers, equal verdicts, right in A only, right in B only, and the exact McNemar p of these two.
"""
import csv
import json
import math
import sys


def answers(path):
    with open(path) as f:
        run = json.load(f)
    return {(arm, item["id"]): (of["answer"], of.get("correct")) for item in run["items"] for arm, of in item["arms"].items()}


def mcnemar(b, c):
    n, k = b + c, min(b, c)
    return min(1.0, 2 * sum(math.comb(n, i) for i in range(k + 1)) / 2 ** n) if n else 1.0


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    a, b = (answers(path) for path in sys.argv[1:])
    out = csv.writer(sys.stdout, lineterminator="\n")
    out.writerow(["arm", "items", "same_answer", "same_verdict", "right_in_a_alone", "right_in_b_alone", "mcnemar_p"])
    for arm in sorted({arm for arm, _ in a.keys() & b.keys()}):
        pairs = [(a[key], b[key]) for key in a.keys() & b.keys() if key[0] == arm]
        only_a = sum(bool(x[1]) and not y[1] for x, y in pairs)
        only_b = sum(bool(y[1]) and not x[1] for x, y in pairs)
        out.writerow([arm, len(pairs), sum(x[0] == y[0] for x, y in pairs), len(pairs) - only_a - only_b, only_a, only_b,
                      f"{mcnemar(only_a, only_b):.3f}"])


if __name__ == "__main__":
    main()
