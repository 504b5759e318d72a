#!/usr/bin/env python3
"""Measures how the time of segment, align, parse and guard grows with a text, for every kind of filler.

Runs `test_growth exponents` (CPU time of texts of MOST/16, MOST/4 and MOST bytes) several times, takes the
least of each, and prints CSV: operation, filler, seconds for the longest text, and the exponent e of
time ~ length^e between the two longest. Exits with 1 if an exponent is above --bound and its time above a
hundredth of a second. On a busy machine caches are shared: repeat more often.

    scripts/growth.py [--most 16777216] [--repeat 3] [--bound 1.1] [build/release/tests/unit/test_growth]
"""
import argparse
import csv
import math
import subprocess
import sys


def least(program, most, repeat):
    """{(operation, head, piece): {bytes: seconds}}"""
    best = {}
    for _ in range(repeat):
        out = subprocess.run([program, "exponents", str(most)], check=True, stdout=subprocess.PIPE, text=True)
        for row in csv.DictReader(out.stdout.splitlines()):
            times = best.setdefault((row["operation"], row["head"], row["piece"]), {})
            size, took = int(row["bytes"]), float(row["cpu_seconds"])
            times[size] = min(took, times.get(size, took))
    return best


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("program", nargs="?", default="build/release/tests/unit/test_growth")
    parser.add_argument("--most", type=int, default=16 << 20, help="bytes of the longest text")
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("--bound", type=float, default=1.1)
    options = parser.parse_args()
    above = 0
    print("operation,head,piece,seconds,exponent")
    for (operation, head, piece), times in least(options.program, options.most, options.repeat).items():
        shorter, longest = sorted(times)[-2:]
        exponent = math.log(max(times[longest], 1e-6) / max(times[shorter], 1e-6), longest / shorter)
        print(f"{operation},{head},{piece},{times[longest]:.4f},{exponent:.2f}")
        if exponent > options.bound and times[longest] > 0.01:
            above += 1
            print(f"{operation} {head}|{piece}: exponent {exponent:.2f}", file=sys.stderr)
    print(f"{above} above {options.bound}", file=sys.stderr)
    return 1 if above else 0


if __name__ == "__main__":
    sys.exit(main())
