#!/usr/bin/env python3
"""How the time of segment, select, align, parse and guard grows with a text, for every kind of filler.

Runs `test_growth exponents` (CPU time of texts of MOST/16, MOST/4 and MOST bytes), measures again what grew faster
than --bound, up to --again times, and takes the least time of each. Prints a CSV: operation, filler, its text, seconds
for the longest, and the exponent of a power of the length from the shortest to the longest. Exits with 1 if one of
those that take longer than a hundredth of a second is above --bound.

    scripts/growth.py [--most 16777216] [--again 3] [--bound 1.1] [--table FILE] [build/release/tests/unit/test_growth]
"""
import argparse
import csv
import math
import subprocess
import sys


def add(best, lines):
    """best: {(operation, filler, head, piece): {bytes: seconds}}"""
    for row in csv.DictReader(lines):
        times = best.setdefault((row["operation"], row["filler"], row["head"], row["piece"]), {})
        size, took = int(row["bytes"]), float(row["cpu_seconds"])
        times[size] = min(took, times.get(size, took))


def run(program, most, names=()):
    done = subprocess.run([program, "exponents", str(most), *names], check=True, stdout=subprocess.PIPE, text=True)
    return done.stdout.splitlines()


def exponent_of(times):
    shortest, longest = min(times), max(times)
    return math.log(max(times[longest], 1e-6) / max(times[shortest], 1e-6), longest / shortest)


def above(best, bound):
    return [key for key, times in best.items() if exponent_of(times) > bound and times[max(times)] > 0.01]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("program", nargs="?", default="build/release/tests/unit/test_growth")
    parser.add_argument("--most", type=int, default=16 << 20, help="bytes of the longest text")
    parser.add_argument("--again", type=int, default=3)
    parser.add_argument("--bound", type=float, default=1.1)
    parser.add_argument("--table", help="a table of test_growth that is there already, in place of the first run")
    options = parser.parse_args()
    best = {}
    add(best, open(options.table, encoding="utf-8") if options.table else run(options.program, options.most))
    for _ in range(options.again):
        if names := [f"{key[0]}:{key[1]}" for key in above(best, options.bound)]:
            print(f"{len(names)} again", file=sys.stderr)
            add(best, run(options.program, options.most, names))
    print("operation,filler,head,piece,seconds,exponent")
    for key, times in best.items():
        print(f"{','.join(key)},{times[max(times)]:.4f},{exponent_of(times):.2f}")
    for key in (left := above(best, options.bound)):
        print(f"{key[0]} {key[2]}|{key[3]}: exponent {exponent_of(best[key]):.2f}", file=sys.stderr)
    print(f"{len(left)} of {len(best)} above {options.bound}", file=sys.stderr)
    return 1 if left else 0


if __name__ == "__main__":
    sys.exit(main())
