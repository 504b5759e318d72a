#!/usr/bin/env python3
"""Writes the raw log-odds of several forms for every unit of dev items: what fit.py fits and judges.

    scripts/select/collect.py --data DIR --model NAME --out FILE.jsonl --forms A,B,... --limits math=24,... [--binary FILE]

One JSON object an item: {"set", "id", "group", "units": [{"label", "question", "kind", "len", "scores": {form: log-odds}}]}. All
forms are asked of every item, whatever its set. Items that the file has already are left alone.
"""
import argparse
import json
import os
import sys

import data
from probe import Probe, label_of
from forms import FORMS, score


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--binary", default="build/release/s2a")
    parser.add_argument("--data", required=True)
    parser.add_argument("--model", required=True)
    parser.add_argument("--out", required=True)
    parser.add_argument("--forms", required=True)
    parser.add_argument("--limits", required=True)
    options = parser.parse_args()
    limits = {k: int(v) for k, v in (p.split("=") for p in options.limits.split(","))}
    done = set()
    if os.path.exists(options.out):
        with open(options.out) as f:
            done = {(r["set"], r["id"]) for r in map(json.loads, f)}
    probe = Probe(options.binary, options.model)
    items = data.load(options.binary, options.data, limits)
    # The sets by turns, so that a run that is stopped has some of each.
    by_set = {}
    for item in items:
        by_set.setdefault(item["set"], []).append(item)
    order = [v[n] for n in range(max(map(len, by_set.values()))) for v in by_set.values() if n < len(v)]
    with open(options.out, "a") as out:
        for n, item in enumerate(order):
            if (item["set"], item["id"]) in done:
                continue
            units = probe.units(item["x"])
            rows = [{"label": label_of(item, u[0], u[1]), "question": u[4], "kind": u[3], "len": u[1] - u[0], "scores": {}}
                    for u in units]
            tokens = 0
            for name in options.forms.split(","):
                scores, usage = score(probe, units, FORMS[name])
                tokens += usage["prompt_tokens"] - usage["cached_tokens"]
                for row, s in zip(rows, scores):
                    row["scores"][name] = round(s, 4)
            out.write(json.dumps({"set": item["set"], "id": item["id"], "group": item["group"], "tokens": tokens, "units": rows}) + "\n")
            out.flush()
            print(f"{n + 1}/{len(order)} {item['set']}", file=sys.stderr)
    probe.close()


if __name__ == "__main__":
    main()
