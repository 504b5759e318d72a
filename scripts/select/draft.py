#!/usr/bin/env python3
"""Does a drafted solution tell which sentences of a problem are needed? A sentence's own numbers, those that neither another sentence nor the
question has, are looked for in the solution that the model writes for the whole problem (GSM-Plus, sentence by sentence).

    scripts/select/draft.py run --data DIR --model NAME --judged JUDGE.jsonl --store STORE.sqlite --csv FILE [--binary FILE]
    scripts/select/draft.py table FILE

FILE has a row for each sentence that is needed or a distractor: item, label, score (log-odds of needed, from JUDGE.jsonl), own (how many numbers
of its own it has), used (how many of them are in the draft) and right (is the draft's answer the right one). Drafts are kept in STORE.
"""
import argparse
import csv
import json
import os
import re
import subprocess
import tempfile

import data
from probe import auc

WORDS = dict(zip("zero one two three four five six seven eight nine ten eleven twelve".split(), range(13)),
             twice=2, double=2, half=2, triple=3, dozen=12, twenty=20, thirty=30, fifty=50, hundred=100)


def numbers(text):
    found = {float(n.replace(",", "").rstrip(".")) for n in re.findall(r"\d[\d,]*\.?\d*", text)}
    return found | {float(WORDS[w]) for w in re.findall(r"[a-z]+", text.lower()) if w in WORDS}


def drafts(options, items, answers):
    """What the model answers to each problem as it is, by problem: (text, right)."""
    with tempfile.TemporaryDirectory() as work:
        path = os.path.join(work, "labelled.jsonl")
        with open(path, "w") as f:
            for item, answer in zip(items, answers):
                f.write(json.dumps({"question": item["x"], "answer": f"#### {answer}"}) + "\n")
        out = subprocess.run([options.binary, "eval", "clean", "--data", path, "--arms", "plain", "--temperature", "0",
                              "--max-tokens", "320", "--model", options.model, "--store", options.store, "--concurrency", "16",
                              "--quiet", "--json"], check=True, capture_output=True).stdout
    runs = ((i["input"], i["arms"]["plain"]) for i in json.loads(out)["items"])
    return {x: (r["answer"], r["correct"]) for x, r in runs}


def run(options):
    rows = list(data.judged_rows(options.data, options.judged))
    draft = drafts(options, [item for item, _, _ in rows], [row["answer"] for _, row, _ in rows])
    with open(options.csv, "w", newline="") as f:
        out = csv.writer(f, lineterminator="\n")
        out.writerow(["item", "label", "score", "own", "used", "right"])
        for item, row, scored in rows:
            if scored is None or item["x"] not in draft:
                continue  # a sentence that select splits, or a problem that stands twice
            text, right = draft[item["x"]]
            written = numbers(text)
            for unit, score in zip(row["units"], scored):
                if unit["label"] == "mixed":
                    continue
                others = numbers(row["question"]).union(*(numbers(u["text"]) for u in row["units"] if u is not unit))
                own = numbers(unit["text"]) - others
                out.writerow([item["id"], unit["label"], score["scores"]["unrelated"], len(own), len(own & written), int(right)])


def table(options):
    with open(options.csv) as f:
        rows = list(csv.DictReader(f))
    items = {r["item"]: int(r["right"]) for r in rows}
    print(f"{len(items)} problems, {sum(items.values())} drafts right, {len(rows)} sentences")
    for label in ("needed", "distractor"):
        of = [r for r in rows if r["label"] == label]
        own = [r for r in of if int(r["own"])]
        print(f"{label}: {sum(int(r['used']) > 0 for r in own)} of {len(own)} with numbers of their own are used in the draft, "
              f"{len(of) - len(own)} have none")
    for weight in (0, 0.5, 1, 2, 4, 8):
        def score(r):
            use = 0 if int(r["own"]) == 0 else 1 if int(r["used"]) else -1
            return float(r["score"]) + weight * use
        needed, rest = ([score(r) for r in rows if r["label"] == label] for label in ("needed", "distractor"))
        print(f"weight {weight}: AUC {auc(needed, rest):.3f}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    verbs = parser.add_subparsers(required=True)
    verb = verbs.add_parser("run")
    for name in ("data", "model", "judged", "store", "csv"):
        verb.add_argument(f"--{name}", required=True)
    verb.add_argument("--binary", default="build/release/s2a")
    verb.set_defaults(call=run)
    verb = verbs.add_parser("table")
    verb.add_argument("csv")
    verb.set_defaults(call=table)
    options = parser.parse_args()
    options.call(options)


if __name__ == "__main__":
    main()
