#!/usr/bin/env python3
"""Measures the CPU time of requests by library and function, with perf.

    scripts/profile.py --model NAME --csv FILE [--requests 12] [--binary FILE]

Each mode answers --requests different prompts of about 200 tokens from one file of JSON lines, with answers of 32 tokens. The whole process is counted, except
loading the model. One row for each mode and part: ggml (with the C library's mathematics, which only ggml calls), libllama (with tokenising and sampling),
the kernel, ours (the tool, with all other libraries), and the costliest functions of ours and of libllama.
perf needs the kernel's permission (kernel.perf_event_paranoid). It samples by the clock, which works in virtual machines, too. Callgrind, which counts instructions, needs more than five minutes to load the smallest model.
"""
import argparse
import collections
import csv
import json
import os
import random
import re
import subprocess
import sys
import tempfile

MODES = ["select", "rewrite", "plain"]
FUNCTIONS = 6
TOPICS = ["river", "castle", "orchard", "harbour", "theatre", "railway", "library", "mountain"]


def prompts(count):
    """One needed fact, fourteen others, an opinion and a question; names and numbers are random."""
    draw = random.Random(7)
    for _ in range(count):
        name = "".join(draw.choice("bdfglmnprst") + draw.choice("aeiou") for _ in range(3)).title()
        lines = [f"The {draw.choice(TOPICS)} near {name} was named in {draw.randrange(1500, 1990)} after {draw.randrange(3, 90)} of its visitors." for _ in range(14)]
        lines.insert(draw.randrange(len(lines)), f"{name} has {draw.randrange(10, 99)} apples and gives away {draw.randrange(2, 9)} of them.")
        yield " ".join(lines) + f" I think it is an odd number. How many apples does {name} have left?"


def command(options, mode):
    words = [options.binary, "ask", "--model", options.model, "--jsonl", "--quiet", "--temperature", "0", "--max-tokens", "32", "--threads", str(options.threads)]
    return words + (["--preset", "plain"] if mode == "plain" else ["--mode", mode])


def run(words, source=os.devnull):
    with open(source) as text:
        done = subprocess.run(words, stdin=text, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(words[:4])}: {done.stderr.strip()[-400:]}")
    return done.stdout


def part_of(library):
    library = os.path.basename(library)
    if library.startswith("libllama"):
        return "libllama"  # tokenising and sampling too
    if library.startswith(("libggml", "libgomp", "libomp", "libm.so")):
        return "ggml"
    return "kernel" if library.startswith("[") else "ours"


def perf(options, mode, source, directory):
    """{(library, function): samples}"""
    data = os.path.join(directory, "perf.data")
    run(["perf", "record", "-q", "-e", "cpu-clock", "-F", "997", "-o", data, "--"] + command(options, mode), source)
    text = run(["perf", "report", "-i", data, "--stdio", "-q", "--sort", "dso,symbol", "-F", "sample,dso,symbol"])
    counts = collections.Counter()
    for line in text.splitlines():
        match = re.match(r"\s*(\d+)\s+(\S+)\s+\[.\]\s+(.*\S)", line)
        if match:
            counts[(match.group(2), re.sub(r"(\s+-)+$", "", match.group(3)))] += int(match.group(1))
    return counts


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True)
    parser.add_argument("--csv", required=True)
    parser.add_argument("--requests", type=int, default=12)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--binary", default="build/release/s2a")
    options = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as directory:
        files = {}
        for name, number in (("all", options.requests), ("none", 0)):
            files[name] = os.path.join(directory, name)
            with open(files[name], "w") as f:
                f.writelines(json.dumps({"id": n, "text": x}) + "\n" for n, x in enumerate(prompts(number)))
        loading = perf(options, "select", files["none"], directory)
        for mode in MODES:
            counts = perf(options, mode, files["all"], directory)
            counts.subtract(loading)
            total = sum(n for n in counts.values() if n > 0)
            parts = collections.Counter()
            for (library, function), n in counts.items():
                parts[part_of(library)] += max(n, 0)
            outside = [(n, (os.path.basename(key[0]) + ": " + key[1])[:90]) for key, n in counts.items() if part_of(key[0]) in ("ours", "libllama")]
            for what, n in [(part, parts[part]) for part in ("ggml", "libllama", "kernel", "ours")] + [(name, n) for n, name in sorted(outside, reverse=True)[:FUNCTIONS]]:
                rows.append({"model": options.model, "mode": mode, "what": what, "samples": n, "share": round(n / total, 5)})
                print(f"{mode:8} {100 * n / total:7.3f} %  {what}", flush=True)
    with open(options.csv, "w", newline="") as f:
        out = csv.DictWriter(f, rows[0], lineterminator="\n")
        out.writeheader()
        out.writerows(rows)


if __name__ == "__main__":
    main()
