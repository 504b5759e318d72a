#!/usr/bin/env python3
"""The lens of a model: what its last layer will say of a unit, told from the hidden state of an earlier one (src/core/lens.h).

    lens.py collect --data DIR --model NAME --judged JUDGE.jsonl --layers 15,17 --out FILE.npz
        the hidden states at the labels of the items that judge.py judged (with --lens off), 16 bits a number
    lens.py table JUDGE.jsonl FILE.npz [--csv FILE] [--borders=BORDER,RATIO,CAP,OPINION,GAP]
        each layer, fitted on one half of the problems and used on the other, and fitted without a set and used on it
    lens.py compare OFF.jsonl ON.jsonl [--csv FILE] [--borders=...] [--lens-borders=...]
        what judge.py found of the same items with --lens off and on: both judged with the borders, and how many of the items come out the same
    lens.py held-out --layer L JUDGE.jsonl FILE.npz --out FILE.jsonl
        what a lens that was fitted on the other half says, in the place of what the labels said: for calibrate.py
    lens.py write --layer L[:BORDER,RATIO,CAP,OPINION,GAP] JUDGE.jsonl FILE.npz ... --out models/lenses.c
        fits one lens for each pair of files, on all items; --layer as often as there are pairs. A lens that is taught by another model, whose
        judgement JUDGE.jsonl is then, brings borders

The fit is ridge regression (LAMBDA) from the state, divided by its root mean square, to the two log-odds: the labels of the items are not
used. An item that belongs to a group of variants is in the same half as they are.
"""
import argparse
import csv
import json
import sys

import numpy as np

import data
from calibrate import half_of, judged, kept
from fit import load_scores
from probe import Probe, auc

LAMBDA = 0.1
KINDS = ("unrelated", "opinion")


def numbers(text):
    return [float(part) for part in text.split(",")]


def write_csv(rows, path):
    out = csv.DictWriter(open(path, "w") if path else sys.stdout, list(rows[0]), lineterminator="\n")
    out.writeheader()
    out.writerows(rows)


def collect(options):
    layers = [int(l) for l in options.layers.split(",")]
    items = {(i["set"], i["id"]): i for i in load_scores([options.judged])}
    limits = {}
    for name, _ in items:
        limits[name] = limits.get(name, 0) + 1
    probe = Probe(options.binary, options.model)
    keys, states, about = [], [], None
    loaded = data.load(options.binary, options.data, limits)
    for n, item in enumerate(loaded):
        key = (item["set"], item["id"])
        if key not in items:
            continue
        answer = probe.ask({"select": item["x"], "question_start": item["question_start"] or None, "layers": layers})
        about = {"weights_id": answer["weights_id"], "form": answer["form"]}
        rows = np.array(answer["states"], dtype=np.float32).reshape(-1, len(layers), answer["hidden_width"])
        judged_units = [u for u in items[key]["units"] if not u["question"]]
        if len(rows) != len(judged_units):
            raise SystemExit(f"{key}: {len(rows)} units, {len(judged_units)} in {options.judged}")
        keys += [list(key)] * len(rows)
        states.append(rows.astype(np.float16))
        print(f"{n + 1}/{len(loaded)} {item['set']}", file=sys.stderr)
    probe.close()
    np.savez(options.out, layers=layers, keys=keys, states=np.concatenate(states), **about)


class Fit:
    """The items of a judge file and their states; rows are the units that were judged, in order."""

    def __init__(self, judge, states):
        found = np.load(states)
        self.layers = list(found["layers"])
        self.states = found["states"].astype(np.float32)
        self.weights_id, self.form = str(found["weights_id"]), str(found["form"])
        by_key = {(i["set"], i["id"]): i for i in load_scores([judge])}
        order = list(dict.fromkeys(map(tuple, found["keys"].tolist())))
        self.items = [by_key[key] for key in order]
        units = [(i, u) for i in self.items for u in i["units"] if not u["question"]]
        self.y = np.array([[u["scores"][k] for k in KINDS] for _, u in units])
        self.half = np.array([half_of(i) for i, _ in units])
        self.set = np.array([i["set"] for i, _ in units])

    def x(self, layer):
        state = self.states[:, self.layers.index(layer)]
        return state / np.sqrt((state * state).mean(1, keepdims=True) + 1e-6)


def ridge(x, y):
    """Weights [width, 2] and offsets [2]."""
    mean, level = x.mean(0), y.mean(0)
    c = (x - mean).astype(np.float64)
    weights = c.T @ np.linalg.solve(c @ c.T + LAMBDA * len(c) * np.eye(len(c)), y - level)
    return weights, level - mean @ weights


def held_out(fit, layer, parts):
    x, out = fit.x(layer), np.zeros_like(fit.y)
    for part in set(parts):
        here = parts == part
        weights, offset = ridge(x[~here], fit.y[~here])
        out[here] = x[here] @ weights + offset
    return out


def with_scores(items, y):
    rows = iter(y)
    return [{**i, "units": [u if u["question"] else {**u, "scores": dict(zip(KINDS, map(float, next(rows))))} for u in i["units"]]}
            for i in items]


def auc_of(items, name, kind):
    of = lambda label: [u["scores"][kind] for i in items if i["set"] == name for u in i["units"]
                        if not u["question"] and not u["whole"] and u["label"] == label]
    return auc(of("needed"), of("distractor"))


def of_half(options):
    fit = Fit(*options.files)
    with open(options.out, "w") as f:
        for item in with_scores(fit.items, held_out(fit, int(options.layer[0]), fit.half)):
            f.write(json.dumps(item) + "\n")


def table(options):
    fit = Fit(*options.files)
    rows = []
    for layer, how, y in [(None, "last layer", fit.y)] + [
            (layer, how, held_out(fit, layer, parts)) for layer in fit.layers
            for how, parts in (("other half", fit.half), ("other sets", fit.set))]:
        items = with_scores(fit.items, y)
        row = {"layer": "" if layer is None else layer, "fitted on": how}
        for k, kind in enumerate(KINDS):
            row[f"R2 {kind}"] = round(1 - ((y[:, k] - fit.y[:, k]) ** 2).mean() / fit.y[:, k].var(), 3)
        for name, kind in (("math", "unrelated"), ("plus", "unrelated"), ("argument", "opinion"), ("mixed", "opinion")):
            row[f"AUC {name}"] = round(auc_of(items, name, kind), 3)
        for name, (kept, needed, removed, distractors) in sorted(judged(items, *options.borders).items()):
            row[f"{name}: needed kept"], row[f"{name}: distractors removed"] = f"{kept}/{needed}", f"{removed}/{distractors}"
        rows.append(row)
    write_csv(rows, options.csv)


def stays(item, borders):
    return [keep for _, keep in kept(item, *borders)]


def compare(options):
    of_lens = options.lens_borders or options.borders
    off, on = ({(i["set"], i["id"]): i for i in load_scores([f])} for f in options.files)
    rows = []
    for name in sorted({key[0] for key in off if key in on}):
        keys = [key for key in off if key[0] == name and key in on]
        row = {"set": name, "items": len(keys), "the same": sum(stays(off[k], options.borders) == stays(on[k], of_lens) for k in keys)}
        row["ms, median of on/off"] = round(float(np.median([on[k]["ms"] / off[k]["ms"] for k in keys if off[k]["ms"]])), 3)
        for how, items, by in (("off", off, options.borders), ("on", on, of_lens)):
            (needed_kept, needed, removed, distractors), = judged([items[k] for k in keys], *by).values()
            row[f"{how}: needed kept"], row[f"{how}: distractors removed"] = f"{needed_kept}/{needed}", f"{removed}/{distractors}"
            kind = "opinion" if name in ("argument", "mixed", "qa") else "unrelated"
            row[f"{how}: AUC"] = round(auc_of([items[k] for k in keys], name, kind), 3)
        rows.append(row)
    write_csv(rows, options.csv)


def write(options):
    pairs = list(zip(options.files[::2], options.files[1::2]))
    if len(pairs) != len(options.layer) or len(options.files) % 2:
        raise SystemExit("one --layer and two files for each lens")
    text = ("/* Written by scripts/select/lens.py write; not to be edited. Fitted to what Qwen2.5-Coder-1.5B-Instruct\n"
            " * (Apache-2.0) says of dev items: docs/results/select-search. */\n#include \"core/lens.h\"\n\n")
    entries = ""
    for n, ((judge, states), layer) in enumerate(zip(pairs, options.layer)):
        layer, _, borders = layer.partition(":")
        layer = int(layer)
        fit = Fit(judge, states)
        weights, offset = ridge(fit.x(layer), fit.y)
        scale = np.abs(weights).max(0) / 32767
        whole = np.rint(weights / scale).astype(int)
        text += f"static const int16_t weights_{n}[] = {{\n"
        for start in range(0, whole.size, 16):
            text += "    " + " ".join(f"{v}," for v in whole.T.reshape(-1)[start:start + 16]) + "\n"
        text += "};\n\n"
        entries += (f"    {{ .weights_id = UINT64_C({fit.weights_id}), .form = UINT64_C({fit.form}), .layer = {layer},\n"
                    f"      .width = {len(weights)}, .offset = {{ {offset[0]:.9g}, {offset[1]:.9g} }},\n"
                    f"      .scale = {{ {scale[0]:.9g}, {scale[1]:.9g} }}, .weights = weights_{n}"
                    + (",\n      .borders = {{ .relevance_border = {}, .relevance_ratio = {}, .relevance_cap = {}, .opinion_border = {}, .relevance_gap = {} }}"
                       .format(*numbers(borders)) if borders else "") + " },\n")
    text += f"const tuned_lens lenses_builtin[] = {{\n{entries}}};\nconst size_t lenses_builtin_count = {len(pairs)};\n"
    with open(options.out, "w") as f:
        f.write(text)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["collect", "table", "compare", "held-out", "write"])
    parser.add_argument("files", nargs="*")
    parser.add_argument("--binary", default="build/release/s2a")
    parser.add_argument("--data")
    parser.add_argument("--model")
    parser.add_argument("--judged")
    parser.add_argument("--layers")
    parser.add_argument("--layer", action="append", default=[])
    parser.add_argument("--borders", type=numbers, default="-1,0.6,5,1,1")
    parser.add_argument("--lens-borders", type=numbers)
    parser.add_argument("--csv")
    parser.add_argument("--out")
    options = parser.parse_intermixed_args()
    {"collect": collect, "table": table, "compare": compare, "held-out": of_half, "write": write}[options.what](options)


if __name__ == "__main__":
    main()
