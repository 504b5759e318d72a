#!/usr/bin/env python3
"""Which attention heads tell what a question needs among passages: `--keep` of mode select reads those (attention_heads of models/manifest.json).

    scripts/select/heads.py collect --data DIR --model NAME --out FILE.npz [--limit N] [--seconds S] [--binary FILE]
    scripts/select/heads.py choose FILE.npz [--csv TABLE.csv]

collect: of HotpotQA prompts, read with the question at their end and once more after that, as mode select does it, the share of the question's
attention that each sentence gets, head by head. mass [unit, head], float16; length [unit], bytes; needed [unit]; item [unit]. It ends after S
seconds with the items it has.

choose: the heads whose attention on a byte ranks supporting sentences best within their prompt (mean AUC). Heads chosen on every other prompt
are judged on the rest and the other way round: how many supporting sentences are kept if the best sentences up to half and a fifth of the
text's bytes are, beside the mean of the upper half of the layers. The heads of all prompts are printed last, as layer * heads of a layer + head.
"""
import argparse
import csv
import sys
import time

import numpy as np

import data
from probe import Probe, auc, label_of

COUNTS = (1, 2, 4, 8, 16, 32)
CHOSEN = 8


def collect(options):
    items = data.load(options.binary, options.data, {"rag": options.limit})
    probe = Probe(options.binary, options.model)
    mass, length, needed, item_of = [], [], [], []
    begin = time.monotonic()
    for n, item in enumerate(items):
        if time.monotonic() - begin > options.seconds:
            break
        raw, at = item["x"].encode(), item["question_start"]
        spans = [[s, e] for s, e, *_ in probe.units(item["x"]) if s < at]
        answer = probe.ask({"text": item["x"], "units": spans, "questions": [f"\n\nQuestion: {raw[at:].decode()}"]})
        mass.append(np.asarray(answer["mass"][0], dtype=np.float16))
        length += [e - s for s, e in spans]
        needed += [label_of(item, s, e) == "needed" for s, e in spans]
        item_of += [n] * len(spans)
        print(f"{n + 1}/{len(items)} {time.monotonic() - begin:.0f} s", file=sys.stderr)
    probe.close()
    np.savez_compressed(options.out, mass=np.concatenate(mass), length=np.asarray(length), needed=np.asarray(needed),
                        item=np.asarray(item_of))


def kept(score, length, share):
    """What `--keep SHARE` keeps: the best units as long as they fit."""
    keep, room = np.zeros(len(score), bool), share * length.sum()
    for i in np.argsort(-score, kind="stable"):
        if length[i] <= room:
            keep[i], room = True, room - length[i]
    return keep


class Prompts:
    def __init__(self, path):
        z = np.load(path)
        self.heads = z["mass"].shape[1]
        self.rows = []
        for n in range(z["item"].max() + 1):
            of = z["item"] == n
            self.rows.append((z["mass"][of].astype(np.float64) / z["length"][of][:, None], z["length"][of], z["needed"][of]))
        # How well each head ranks within each prompt; a prompt without a supporting sentence says nothing.
        self.ranks = np.array([[auc(list(m[d, h]), list(m[~d, h])) for h in range(self.heads)] for m, _, d in self.rows])

    def best(self, of):
        return np.argsort(-np.nanmean(self.ranks[of], axis=0), kind="stable")

    def count(self, heads_of, share):
        """Supporting sentences kept, supporting sentences, prompts that keep all of them."""
        found = whole = total = 0
        for n, (m, length, d) in enumerate(self.rows):
            keep = kept(m[:, heads_of(n)].mean(axis=1), length, share)
            found, total, whole = found + (keep & d).sum(), total + d.sum(), whole + (keep | ~d).all()
        return found, total, whole


def choose(options):
    prompts = Prompts(options.npz)
    odd = np.arange(len(prompts.rows)) % 2 == 1
    best = [prompts.best(~odd), prompts.best(odd)]  # of the even prompts, of the odd ones
    kinds = [("upper half of the layers", lambda n: slice(prompts.heads // 2, None))]
    kinds += [(f"{k} heads", lambda n, k=k: best[(n + 1) % 2][:k]) for k in COUNTS]
    table = [["heads", "share", "kept", "of", "prompts_whole", "prompts"]]
    for name, heads_of in kinds:
        for share in (0.5, 0.2):
            table.append([name, share, *prompts.count(heads_of, share), len(prompts.rows)])
    for row in table:
        print(*row, sep=",")
    if options.csv:
        with open(options.csv, "w", newline="") as f:
            csv.writer(f, lineterminator="\n").writerows(table)
    print("heads of all prompts:", [int(h) for h in prompts.best(slice(None))[:CHOSEN]])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    verbs = parser.add_subparsers(required=True)
    verb = verbs.add_parser("collect")
    for name in ("data", "model", "out"):
        verb.add_argument(f"--{name}", required=True)
    verb.add_argument("--limit", type=int, default=60)
    verb.add_argument("--seconds", type=float, default=float("inf"))
    verb.add_argument("--binary", default="build/release/s2a")
    verb.set_defaults(call=collect)
    verb = verbs.add_parser("choose")
    verb.add_argument("npz")
    verb.add_argument("--csv")
    verb.set_defaults(call=choose)
    options = parser.parse_args()
    options.call(options)


if __name__ == "__main__":
    main()
