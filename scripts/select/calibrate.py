#!/usr/bin/env python3
"""Offsets of the two judgements of mode select, chosen on half of the dev items and confirmed on the other.

    scripts/select/calibrate.py JUDGE.jsonl...      (what judge.py writes)

relevance is "needed" against "unrelated" on math and plus, opinion is "needed" against "opinion" on qa, argument and mixed; needed
units of all these sets count for both, but for those of mixed, where the passages are unrelated to the question indeed. The offset is
where the two error rates (needed units cut, distractors kept; each set counts the same) have the smallest sum on half a, in the middle
of the range where that is so; the scale is 1. Then both halves are judged as `s2a` does it: preset auto, a unit is kept when neither
judgement speaks against it. Halves are by problem: the variants of one problem are in the same half.
"""
import hashlib
import math
import sys

from fit import load_scores

HARM = 4  # a needed sentence that is cut does more harm than a distractor that stays
SETS = {"relevance": (("math", "plus"), ("math", "plus", "argument", "clean"), "unrelated"),
        "opinion": (("qa", "argument", "mixed"), ("math", "plus", "argument", "clean", "mixed"), "opinion")}


def half_of(item):
    problem = item["id"].split("-")[0] if item["set"] not in ("plus", "mixed") else item["id"]
    return hashlib.sha256(problem.encode()).digest()[0] % 2


def rows_of(items, distractor_sets, needed_sets, score):
    """{set: ([needed scores], [distractor scores])} of units that the threshold decides on."""
    out = {}
    for item in items:
        needed, distractor = out.setdefault(item["set"], ([], []))
        for u in item["units"]:
            if u["question"] or u["whole"]:
                continue
            if u["label"] == "needed" and item["set"] in needed_sets:
                needed.append(score(u["scores"]))
            if u["label"] == "distractor" and item["set"] in distractor_sets:
                distractor.append(score(u["scores"]))
    return out


def errors(rows, threshold):
    total = 0.0
    for needed, distractor in rows.values():
        total += HARM * sum(s < threshold for s in needed) / len(needed) if needed else 0
        total += sum(s >= threshold for s in distractor) / len(distractor) if distractor else 0
    return total


def choose(rows):
    values = sorted(v for pair in rows.values() for side in pair for v in side)
    best = min(errors(rows, (a + b) / 2) for a, b in zip(values, values[1:]))
    good = [(a + b) / 2 for a, b in zip(values, values[1:]) if errors(rows, (a + b) / 2) <= best + 1e-9]
    return good[len(good) // 2]


def main():
    items = load_scores(sys.argv[1:])
    halves = [[i for i in items if half_of(i) == h] for h in (0, 1)]
    offsets = {}
    for name, (distractors, needed, label) in SETS.items():
        offsets[name] = -choose(rows_of(halves[0], distractors, needed, lambda s: s[label]))
        print(f"{name}_offset {offsets[name]:.2f}")
    keep = lambda s: -math.log(math.exp(-s["unrelated"] - offsets["relevance"]) + math.exp(-s["opinion"] - offsets["opinion"]))
    everything = {i["set"] for i in items}
    for name, half in zip("ab", halves):
        for kind, (needed, distractor) in sorted(rows_of(half, everything, everything, keep).items()):
            share = lambda part, of: f"{part}/{of}" + (f" {100 * part / of:.1f} %" if of else "")
            print(name, kind, "needed kept", share(sum(s >= 0 for s in needed), len(needed)), "distractors removed",
                  share(sum(s < 0 for s in distractor), len(distractor)))


if __name__ == "__main__":
    main()
