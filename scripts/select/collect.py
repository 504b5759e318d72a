#!/usr/bin/env python3
"""Writes the raw log-odds of several forms for every unit of dev items: what fit.py fits and judges.

    scripts/select/collect.py --data DIR --model NAME --out FILE.jsonl --forms A,B,... --limits math=24,... [--binary FILE]

One JSON object an item and form: {"form", "set", "id", "group", "tokens", "ms", "units": [{"label", "question", "kind", "len",
"scores": {form: log-odds}}]}. All forms are asked of every item, whatever its set. What the file has already is left alone.
"""
import argparse
import json
import os
import sys

import data
from probe import Probe, label_of
from forms import FORMS, judge, log_odds, log_sum


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--binary", default="build/release/s2a")
    parser.add_argument("--data", required=True)
    parser.add_argument("--model", required=True)
    parser.add_argument("--out", required=True)
    parser.add_argument("--forms", required=True)
    parser.add_argument("--limits", required=True)
    parser.add_argument("tool", nargs="*", help="options of s2a probe, after --")
    options = parser.parse_args()
    limits = {k: int(v) for k, v in (p.split("=") for p in options.limits.split(","))}
    done = set()
    if os.path.exists(options.out):
        with open(options.out) as f:
            done = {(r["form"], r["set"], r["id"]) for r in map(json.loads, f)}
    probe = Probe(options.binary, options.model, options.tool)
    items = data.load(options.binary, options.data, limits)
    # The sets by turns, so that a run that is stopped has some of each; the forms one after the other, for what comes before the
    # text is then computed once.
    by_set = {}
    for item in items:
        by_set.setdefault(item["set"], []).append(item)
    order = [v[n] for n in range(max(map(len, by_set.values()))) for v in by_set.values() if n < len(v)]
    segmented = {}
    with open(options.out, "a") as out:
        for name in options.forms.split(","):
            for n, item in enumerate(order):
                if (name, item["set"], item["id"]) in done:
                    continue
                if item["id"] not in segmented:
                    segmented[item["id"]] = probe.units(item["x"])
                units = segmented[item["id"]]
                logprobs, usage = judge(probe, units, FORMS[name])
                rows = []
                for u, labels in zip(units, logprobs):
                    form, kept = FORMS[name], FORMS[name].kept
                    scores = {name: round(log_odds(labels, kept), 4)}
                    if len(labels) > 2:
                        for label, value in zip(form.labels, labels):  # log-odds of what is kept against each other label alone
                            scores[name + ":" + label.strip()] = round(log_sum(labels[:kept]) - value, 4)
                    rows.append({"label": label_of(item, u[0], u[1]), "question": u[4], "kind": u[3], "len": u[1] - u[0],
                                 "scores": scores})
                out.write(json.dumps({"form": name, "set": item["set"], "id": item["id"], "group": item["group"],
                                      "tokens": usage["prompt_tokens"] - usage["cached_tokens"], "ms": round(usage["ms"]),
                                      "units": rows}) + "\n")
                out.flush()
                print(f"{name} {n + 1}/{len(order)} {item['set']}", file=sys.stderr)
    probe.close()


if __name__ == "__main__":
    main()
