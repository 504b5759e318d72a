#!/usr/bin/env python3
"""Judges each unit right where it stands: the question first, then the sentences one by one, each followed by a slot.

    scripts/select/trunk.py --data DIR --model NAME --out FILE.jsonl --limits math=24,... [--binary FILE]

The text is read once, where mode select reads it and then the beginning of each sentence again; but no unit is judged in the light of what follows it. Writes the
lines of judge.py; `trunk.py --compare FILE.jsonl JUDGE.jsonl` prints the AUC of both on the items that both have.
"""
import argparse
import json
import os
import sys

import data
from probe import Probe, auc, label_of

LABELS = [" needed", " unrelated", " opinion"]


def prompts(directory):
    """The instruction and examples of mode select, in this form."""
    with open(os.path.join(directory, "select-system.txt")) as f:
        messages = [{"role": "system", "content": f.read().strip()}]
    with open(os.path.join(directory, "select-examples.txt")) as f:
        blocks = f.read().strip().split("\n\n")
    for block in blocks:
        rows = [line.split(": ", 1) for line in block.split("\n")]
        question = " ".join(text for label, text in rows if label == "question")
        units = [(label, text) for label, text in rows if label != "question"]
        messages.append({"role": "user", "content": f"Question: {question}"})
        messages.append({"role": "assistant",
                         "content": "\n".join(f"[{i + 1}] {text} => {label}" for i, (label, text) in enumerate(units))})
    return messages


def judge(probe, messages, item):
    units = probe.units(item["x"])
    question = " ".join(text for _, _, text, _, asks in units if asks) or units[-1][2]
    judged = [(start, end, text) for start, end, text, _, asks in units if not asks]
    if not judged:
        return None
    branches, trunk = [], ""
    for n, (_, _, text) in enumerate(judged):
        trunk += ("\n" if n else "") + f"[{n + 1}] {text}"
        forced = trunk + " =>"
        branches.append({"forced": forced, "slots": [len(forced.encode())]})
    answer = probe.ask({"messages": messages + [{"role": "user", "content": f"Question: {question}"}],
                        "branches": branches, "labels": LABELS})
    rows = [{"label": label_of(item, start, end), "scores": {"unrelated": round(n - u, 4), "opinion": round(n - o, 4)}}
            for (start, end, _), (n, u, o) in zip(judged, answer["logprob"])]
    usage = answer["usage"]
    return {"set": item["set"], "id": item["id"], "group": item["group"],
            "tokens": usage["prompt_tokens"] - usage["cached_tokens"], "ms": round(usage["ms"]), "units": rows}


def table(name, rows):
    for which in sorted({r["set"] for r in rows}):
        here = [r for r in rows if r["set"] == which]
        axis = "unrelated" if which in ("math", "plus", "clean") else "opinion"
        score = lambda label: [u["scores"][axis] for r in here for u in r["units"] if u["label"] == label and not u.get("question")]
        needed, distractors = score("needed"), score("distractor")
        tokens = sum(r["tokens"] for r in here) / len(here)
        print(f"{name},{which},{len(here)},{axis},{len(needed)},{len(distractors)},{auc(needed, distractors):.3f},{tokens:.0f}")


def compare(own, other):
    read = lambda path: {(r["set"], r["id"]): r for r in map(json.loads, open(path))}
    a, b = read(own), read(other)
    both = [k for k in a if k in b]
    print("form,set,items,axis,needed,distractors,auc,tokens")
    table("trunk", [a[k] for k in both])
    table("select", [b[k] for k in both])


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--compare", nargs=2)
    parser.add_argument("--binary", default="build/release/s2a")
    parser.add_argument("--prompts", default="prompts")
    parser.add_argument("--data")
    parser.add_argument("--model")
    parser.add_argument("--out")
    parser.add_argument("--limits")
    parser.add_argument("tool", nargs="*", help="options of s2a probe, after --")
    options = parser.parse_args()
    if options.compare:
        return compare(*options.compare)
    probe = Probe(options.binary, options.model, options.tool)
    messages = prompts(options.prompts)
    items = data.load(options.binary, options.data, {k: int(v) for k, v in (p.split("=") for p in options.limits.split(","))})
    with open(options.out, "a") as out:
        for n, item in enumerate(items):
            row = judge(probe, messages, item)
            if row:
                out.write(json.dumps(row) + "\n")
                out.flush()
            print(f"{n + 1}/{len(items)} {item['set']}", file=sys.stderr)
    probe.close()


if __name__ == "__main__":
    main()
