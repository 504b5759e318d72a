#!/usr/bin/env python3
"""Writes what `s2a` itself finds of every unit of dev items: the judgement of mode select, before anything is made of it.

    scripts/select/judge.py --data DIR --model NAME --out FILE.jsonl --limits math=24,... [--binary FILE] [--skip FILE.jsonl] [-- --lens off]

One JSON object an item: {"set", "id", "group", "tokens", "ms", "units": [{"label", "question", "whole", "len", "scores": {"unrelated", "opinion"}}]},
the log-odds of needed against each of the two. What the file has already is left alone, and so are the items of --skip, another such file.
"""
import argparse
import json
import os
import sys

import data
from probe import Probe, label_of


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--binary", default="build/release/s2a")
    parser.add_argument("--data", required=True)
    parser.add_argument("--model", required=True)
    parser.add_argument("--out", required=True)
    parser.add_argument("--limits", required=True)
    parser.add_argument("--skip")
    parser.add_argument("tool", nargs="*", help="options of s2a probe, after --")
    options = parser.parse_args()
    done = set()
    for name in (options.out, options.skip):
        if name and os.path.exists(name):
            with open(name) as f:
                done |= {(r["set"], r["id"]) for r in map(json.loads, f)}
    probe = Probe(options.binary, options.model, options.tool)
    items = data.load(options.binary, options.data, {k: int(v) for k, v in (p.split("=") for p in options.limits.split(","))})
    with open(options.out, "a") as out:
        for n, item in enumerate(items):
            if (item["set"], item["id"]) in done:
                continue
            answer = probe.ask({"select": item["x"], "question_start": item["question_start"] or None})
            rows = [{"label": label_of(item, start, end), "question": question, "whole": whole, "len": end - start,
                     "scores": {"unrelated": round(needed - unrelated, 4), "opinion": round(needed - opinion, 4)}}
                    for start, end, question, whole, needed, unrelated, opinion, _ in answer["units"]]
            usage = answer["usage"]
            out.write(json.dumps({"set": item["set"], "id": item["id"], "group": item["group"],
                                  "tokens": usage["prompt_tokens"] - usage["cached_tokens"], "ms": round(usage["ms"]),
                                  "units": rows}) + "\n")
            out.flush()
            print(f"{n + 1}/{len(items)} {item['set']}", file=sys.stderr)
    probe.close()


if __name__ == "__main__":
    main()
