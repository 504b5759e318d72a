#!/usr/bin/env python3
"""Borders of the two judgements of mode select, chosen on half of the dev items and confirmed on the other.

    scripts/select/calibrate.py JUDGE.jsonl...            (what judge.py writes)
    scripts/select/calibrate.py --gaps JUDGE.jsonl...     how far the border may move into a gap, at the borders that were found

Tries all borders of a grid and takes the one with the smallest loss on half a: of each set, the share of needed units that are cut, times
HARM, and the share of distractors that stay. Then both halves are judged with it, as `s2a` does it (src/core/select.c, preset auto).
Halves are by problem: the variants of one problem are in the same half. The needed units of the set mixed do not count, for its passages
are unrelated to its question indeed.
"""
import hashlib
import itertools
import sys

from fit import load_scores

IMAGINED = 5.0  # GAP_IMAGINED of src/core/select.c
HARM = 4  # a needed sentence that is cut does more harm than a distractor that stays


def half_of(item):
    problem = item["id"].split("-")[0] if item["set"] not in ("plus", "mixed") else item["id"]
    return hashlib.sha256(problem.encode()).digest()[0] % 2


def into_gap(least, gap, figures):
    """The border, moved into the widest gap between the figures that it can reach: into_gap of src/core/select.c."""
    low, high, widest, at = least - gap, least + gap / 2, 0, least
    figures = sorted(figures + [least - IMAGINED])
    for below, above in zip(figures, figures[1:]):
        if max(below, low) < min(above, high) and above - below > widest:
            widest, at = above - below, min(max((below + above) / 2, low), high)
    return at


def kept(item, border, ratio, cap, opinion, gap=0):
    """[(unit, it stays)] of the units that may go."""
    units = [u for u in item["units"] if not u["question"]]
    counted = [u for u in units if u["scores"]["opinion"] >= opinion]
    least = border + min(cap, ratio * max([u["scores"]["unrelated"] for u in counted] + [0]))
    if gap:
        least = into_gap(least, gap, [u["scores"]["unrelated"] for u in counted if not u["whole"]])
    return [(u, u["scores"]["unrelated"] >= least and u["scores"]["opinion"] >= opinion) for u in units if not u["whole"]]


def judged(items, *borders):
    """{set: [needed kept, needed, distractors removed, distractors]}"""
    out = {}
    for item in items:
        row = out.setdefault(item["set"], [0, 0, 0, 0])
        for u, keep in kept(item, *borders):
            if u["label"] == "needed":
                row[0] += keep
                row[1] += 1
            elif u["label"] == "distractor":
                row[2] += not keep
                row[3] += 1
    return out


def loss(items, borders):
    total = 0.0
    for name, (kept, needed, removed, distractors) in judged(items, *borders).items():
        if needed and name != "mixed":
            total += HARM * (1 - kept / needed)
        if distractors:
            total += 1 - removed / distractors
    return total


def report(halves, borders):
    for name, half in zip("ab", halves):
        for kind, (kept, needed, removed, distractors) in sorted(judged(half, *borders).items()):
            share = lambda part, of: f"{part}/{of}" + (f" {100 * part / of:.1f} %" if of else "")
            print(name, kind, "needed kept", share(kept, needed), "distractors removed", share(removed, distractors))


def main():
    gaps = sys.argv[1:2] == ["--gaps"]
    items = load_scores(sys.argv[1 + gaps:])
    halves = [[i for i in items if half_of(i) == h] for h in (0, 1)]
    grid = list(itertools.product((0, -1, -2, -3), (0, 0.2, 0.3, 0.4, 0.5, 0.6), (2, 3, 4, 5),
                                  (-3, -2.5, -2, -1.5, -1, -0.5, 0, 0.5, 1)))
    losses = {b: loss(halves[0], b) for b in grid}
    best = min(losses.values())
    chosen = [b for b in grid if losses[b] <= best + 1e-9]
    print(len(chosen), "borders are the best on half a; the one in the middle:")
    borders = chosen[len(chosen) // 2]
    print("relevance_border %g, relevance_ratio %g, relevance_cap %g, opinion_border %g" % borders)
    report(halves, borders)
    for gap in (0.5, 1, 1.5, 2) if gaps else ():
        print("relevance_gap %g" % gap)
        report(halves, borders + (gap,))


if __name__ == "__main__":
    main()
