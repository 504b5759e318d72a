#!/usr/bin/env python3
"""Does the question become less likely when a needed sentence is taken away? GSM-Plus, sentence by sentence.

    scripts/select/likelihood.py run --data DIR --model FILE.gguf --library DIR --judged JUDGE.jsonl --csv FILE
    scripts/select/likelihood.py table FILE

For each sentence that is needed or a distractor: how much less likely the question is, in nats, after the problem without it than after
the whole (question), and the same for the right answer's number behind the question (answer), which no model has when it is asked: an
upper bound on what a drafted answer could tell. score: log-odds of needed, from JUDGE.jsonl. The problem stands in the user's turn.
--library: where libllama's and ggml's libraries and, beside them in include/, their headers are.
"""
import argparse
import csv
import json
import os
import subprocess
import tempfile

import data
from probe import auc

CHAT = "<|im_start|>user\n{}"
ANSWER = "<|im_end|>\n<|im_start|>assistant\nThe answer is "


class Reader:
    def __init__(self, model, library, work):
        source = os.path.join(os.path.dirname(__file__), "likelihood.c")
        include, program = os.path.join(os.path.dirname(library.rstrip("/")), "include"), os.path.join(work, "likelihood")
        subprocess.run(["cc", "-O3", "-march=native", "-ffast-math", "-I", include, source, "-o", program, "-L", library,
                        f"-Wl,-rpath,{library}", "-l:libllama.v0.5.0.so", "-l:libggml.v0.5.0.so", "-l:libggml-base.so", "-ljansson",
                        "-lm"], check=True)
        self.process = subprocess.Popen([program, model, library], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def logprob(self, before, text):
        self.process.stdin.write(json.dumps({"before": before, "text": text}) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())["logprob"]


def run(options):
    with tempfile.TemporaryDirectory() as work, open(options.csv, "w", newline="") as f:
        reader = Reader(options.model, options.library, work)
        out = csv.writer(f, lineterminator="\n")
        out.writerow(["item", "label", "score", "question", "answer"])
        for item, row, scored in data.judged_rows(options.data, options.judged):
            if scored is None:
                continue

            def likely(units):
                before = CHAT.format("".join(u["text"] + " " for u in units).rstrip())
                question = " " + row["question"] if units else row["question"]
                return reader.logprob(before, question), reader.logprob(before + question + ANSWER, row["answer"])
            whole = likely(row["units"])
            for n, (unit, score) in enumerate(zip(row["units"], scored)):
                if unit["label"] != "mixed":
                    without = likely(row["units"][:n] + row["units"][n + 1:])
                    out.writerow([item["id"], unit["label"], score["scores"]["unrelated"], f"{whole[0] - without[0]:.4f}",
                                  f"{whole[1] - without[1]:.4f}"])
            f.flush()


def table(options):
    with open(options.csv) as f:
        rows = list(csv.DictReader(f))
    print(f"{len({r['item'] for r in rows})} problems, {len(rows)} sentences")
    column = lambda rows, name, label: [float(r[name]) for r in rows if r["label"] == label]
    for name in ("score", "question", "answer"):
        print(f"{name}: AUC {auc(column(rows, name, 'needed'), column(rows, name, 'distractor')):.3f}")
    for name in ("question", "answer"):
        for weight in (0.1, 0.2, 0.5, 1, 2):
            for r in rows:
                r["sum"] = float(r["score"]) + weight * float(r[name])
            print(f"score + {weight} {name}: AUC {auc(column(rows, 'sum', 'needed'), column(rows, 'sum', 'distractor')):.3f}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    verbs = parser.add_subparsers(required=True)
    verb = verbs.add_parser("run")
    for name in ("data", "model", "library", "judged", "csv"):
        verb.add_argument(f"--{name}", required=True)
    verb.set_defaults(call=run)
    verb = verbs.add_parser("table")
    verb.add_argument("csv")
    verb.set_defaults(call=table)
    options = parser.parse_args()
    options.call(options)


if __name__ == "__main__":
    main()
