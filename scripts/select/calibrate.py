#!/usr/bin/env python3
"""Offsets of a form's two judgements, chosen on half of the dev items and confirmed on the other.

    scripts/select/calibrate.py FORM SCORES.jsonl...

relevance is "needed" against "unrelated" on math and plus, opinion is "needed" against "opinion" on qa, argument and mixed. The offset
is where the two error rates (needed units cut, distractors kept; each set counts the same) have the smallest sum on half a; scale 1.
Then both halves are judged as `s2a` does it: preset auto, a unit is kept when neither judgement speaks against it.
"""
import math
import sys

from fit import load_scores

SETS = {"relevance": (("math", "plus"), "unrelated"), "opinion": (("qa", "argument", "mixed"), "opinion")}


def rows_of(items, sets, score):
    """{set: ([needed scores], [distractor scores])} of units that are not the question."""
    out = {}
    for item in items:
        if item["set"] in sets:
            needed, distractor = out.setdefault(item["set"], ([], []))
            for u in item["units"]:
                if not u["question"] and u["label"] in ("needed", "distractor"):
                    (needed if u["label"] == "needed" else distractor).append(score(u["scores"]))
    return out


def errors(rows, threshold):
    total = 0.0
    for needed, distractor in rows.values():
        total += sum(s < threshold for s in needed) / len(needed) if needed else 0
        total += sum(s >= threshold for s in distractor) / len(distractor) if distractor else 0
    return total


def choose(rows):
    values = sorted(v for pair in rows.values() for side in pair for v in side)
    best = min(errors(rows, (a + b) / 2) for a, b in zip(values, values[1:]))
    good = [(a + b) / 2 for a, b in zip(values, values[1:]) if errors(rows, (a + b) / 2) <= best + 1e-9]
    return good[len(good) // 2]


def main():
    form, items = sys.argv[1], load_scores(sys.argv[2:])
    items = [i for i in items if form in i["units"][0]["scores"]]
    halves = [[i for n, i in enumerate(items) if n % 2 == h] for h in (0, 1)]
    offsets = {}
    for name, (sets, label) in SETS.items():
        offsets[name] = -choose(rows_of(halves[0], sets, lambda s: s[f"{form}:{label}"]))
        print(f"{name}_offset {offsets[name]:.2f}")
    keep = lambda s: -math.log(math.exp(-s[form + ":unrelated"] - offsets["relevance"]) +
                               math.exp(-s[form + ":opinion"] - offsets["opinion"]))
    for n, half in enumerate(halves):
        for name, (needed, distractor) in sorted(rows_of(half, {i["set"] for i in items}, keep).items()):
            share = lambda part, of: f"{part}/{of}" + (f" {100 * part / of:.1f} %" if of else "")
            print("ab"[n], name, "needed kept", share(sum(s >= 0 for s in needed), len(needed)), "distractors removed",
                  share(sum(s < 0 for s in distractor), len(distractor)))


if __name__ == "__main__":
    main()
