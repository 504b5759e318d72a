#!/usr/bin/env python3
"""What mode select costs on long texts: time, tokens and memory by length.

    scripts/select/long.py --data DIR --model NAME --csv FILE [--tokens 2000,8000,32000,128000] [--binary FILE]

A text is the passages of HotpotQA questions, one after the other, and the question of the first, until it has at least so many tokens (4.5
bytes each; where the questions run out their passages come again). Each is one run of `s2a attend --json`: the time of step 1, the tokens
that were read, the most memory the process had, and how many of the sentences that the answer needs are still there. Then the slope of time over length between the ends, log by log: 1 is linear.
"""
import argparse
import csv
import itertools
import json
import math
import os
import subprocess
import tempfile

import data

FIELDS = ["model", "bytes", "tokens", "units", "removed_share", "needed", "needed_kept", "tokens_read", "step1_ms", "rss_mib"]


def text_of(items, size):
    """(text, needed sentences) of at least so many bytes."""
    first, x, needed = items[0], "", []
    for n in itertools.count():
        item = items[n] if n < len(items) else items[1 + n % (len(items) - 1)]
        raw = item["x"].encode()
        if n == 0:
            needed = [raw[s:e].decode().strip() for s, e, label in item["pieces"] if label == "needed" and e <= item["question_start"]]
        x += raw[:item["question_start"]].decode().rstrip() + "\n\n"
        if len(x.encode()) >= size:
            break
    return x + first["x"].encode()[first["question_start"]:].decode(), needed


def attend(options, text):
    with tempfile.TemporaryFile() as source, tempfile.TemporaryFile() as out:
        source.write(text.encode())
        source.seek(0)
        process = subprocess.Popen([options.binary, "attend", "--model", options.model, "--json", "--quiet"], stdin=source, stdout=out)
        _, status, used = os.wait4(process.pid, 0)
        if status:
            raise SystemExit(f"s2a attend ended with {status}")
        out.seek(0)
        return json.loads(out.read()), used.ru_maxrss / 1024


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("data", "model", "csv"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--binary", default="build/release/s2a")
    parser.add_argument("--tokens", default="2000,8000,32000,128000")
    options = parser.parse_args()
    items = list(data.eval_items(options.binary, "rag", os.path.join(options.data, "hotpotqa_distractor.jsonl"), 200))
    rows = []
    for tokens in map(int, options.tokens.split(",")):
        text, needed = text_of(items, 4.5 * tokens)
        result, rss = attend(options, text)
        used = result["usage"]["step1"]
        rows.append({"model": options.model, "bytes": len(text.encode()), "tokens": tokens, "units": len(result["units"]),
                     "removed_share": round(1 - len(result["rewritten"].encode()) / len(text.encode()), 4), "needed": len(needed),
                     "needed_kept": sum(sentence in result["rewritten"] for sentence in needed),
                     "tokens_read": used["prompt_tokens"], "step1_ms": round(used["ms"]), "rss_mib": round(rss)})
        print(rows[-1], flush=True)
        with open(options.csv, "w", newline="") as f:
            out = csv.DictWriter(f, FIELDS, lineterminator="\n")
            out.writeheader()
            out.writerows(rows)
    if len(rows) > 1:
        a, b = rows[0], rows[-1]
        print(f"slope {math.log(b['step1_ms'] / a['step1_ms']) / math.log(b['bytes'] / a['bytes']):.2f}")


if __name__ == "__main__":
    main()
