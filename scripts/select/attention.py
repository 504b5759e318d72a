#!/usr/bin/env python3
"""Writes how much of the question's attention each unit of dev items gets, head by head.

    scripts/select/attention.py --data DIR --model NAME --judged JUDGE.jsonl --out FILE.npz [--binary FILE]

The items are those of JUDGE.jsonl (what judge.py writes). FILE.npz has, for each unit that is not the question, in the order of that file:
mass [unit, question, head], float16, of the two texts "Question: ..." and "Question: N/A" after the text; item, the item's index; and unit,
the unit's index in it.
"""
import argparse
import json
import sys

import numpy as np

import data
from probe import Probe


def limits_of(judged):
    sets = {}
    for row in judged:
        sets[row["set"]] = sets.get(row["set"], 0) + 1
    return sets


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--binary", default="build/release/s2a")
    parser.add_argument("--data", required=True)
    parser.add_argument("--model", required=True)
    parser.add_argument("--judged", required=True)
    parser.add_argument("--out", required=True)
    options = parser.parse_args()
    with open(options.judged) as f:
        judged = [json.loads(line) for line in f]
    items = {(i["set"], i["id"]): i for i in data.load(options.binary, options.data, limits_of(judged))}
    probe = Probe(options.binary, options.model)
    mass, item_of, unit_of = [], [], []
    for n, row in enumerate(judged):
        item = items[row["set"], row["id"]]
        raw = item["x"].encode()
        units = probe.units(item["x"])
        if len(units) != len(row["units"]):  # a sentence that select splits
            units = probe.ask({"select": item["x"], "question_start": item["question_start"] or None})["units"]
        question = " ".join(raw[s:e].decode(errors="replace").strip()
                            for (s, e, *_), u in zip(units, row["units"]) if u["question"])
        rest = [k for k, u in enumerate(row["units"]) if not u["question"]]
        if not rest:
            continue
        answer = probe.ask({"text": item["x"], "units": [units[k][:2] for k in rest],
                            "questions": [f"\n\nQuestion: {question}", "\n\nQuestion: N/A"]})
        mass.append(np.asarray(answer["mass"], dtype=np.float16).transpose(1, 0, 2))
        item_of += [n] * len(rest)
        unit_of += rest
        print(f"{n + 1}/{len(judged)} {row['set']}", file=sys.stderr)
    probe.close()
    np.savez_compressed(options.out, mass=np.concatenate(mass), item=np.asarray(item_of), unit=np.asarray(unit_of))


if __name__ == "__main__":
    main()
