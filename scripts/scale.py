#!/usr/bin/env python3
"""How many replicas and engines a load needs: a small simulation on measured figures.

    scripts/scale.py --cells docs/results/bench/cells.csv [--arm select] [--csv FILE]

Requests come at random (Poisson). Each goes to the engine with the fewest requests, which takes up to --slots at once and lets the others wait; an engine with n requests in it
does the work of r(n) requests a second, shared alike, where r is what `s2a bench` measured at 1, 4 and 8 at once (a line between them, level behind the last). A request is one
unit of work, give or take a third. What the proxy adds (docs/results/serve) is three orders smaller and is left out. Prints for each number of engines and each share of their
capacity the median and 95th percentile of the time in the system, and how many wait.
"""
import argparse
import csv
import heapq
import random
import statistics
import sys


def rates(path, arm):
    """{requests at once: requests a second}, of the shortest length."""
    with open(path) as f:
        rows = [r for r in csv.DictReader(line for line in f if not line.startswith("#")) if r["arm"] == arm]
    least = min(int(r["length"]) for r in rows)
    return {int(r["concurrency"]): float(r["requests_per_s"]) for r in rows
            if int(r["length"]) == least and r["requests_per_s"]}


def rate_at(measured, n):
    known = sorted(measured)
    if n <= known[0]:
        return measured[known[0]] * n / known[0] if n < known[0] else measured[known[0]]
    for a, b in zip(known, known[1:]):
        if n <= b:
            return measured[a] + (measured[b] - measured[a]) * (n - a) / (b - a)
    return measured[known[-1]]


class Engine:
    """Requests that share what it does; time is brought forward before each change."""

    def __init__(self, measured, slots):
        self.rate = [0.0] + [rate_at(measured, n) for n in range(1, slots + 1)]
        self.slots, self.now, self.done, self.running, self.waiting = slots, 0.0, 0.0, [], []

    def __len__(self):
        return len(self.running) + len(self.waiting)

    def forward(self, now):
        """done: work that each of the running requests has got since the beginning."""
        if self.running:
            self.done += (now - self.now) * self.rate[len(self.running)] / len(self.running)
        self.now = now

    def next_end(self):
        if not self.running:
            return float("inf")
        return self.now + max(0.0, self.running[0][0] - self.done) * len(self.running) / self.rate[len(self.running)]

    def add(self, start, work):
        if len(self.running) < self.slots:
            heapq.heappush(self.running, (self.done + work, start))
        else:
            self.waiting.append((start, work))

    def end(self):
        start = heapq.heappop(self.running)[1]
        if self.waiting:
            self.add(*self.waiting.pop(0))
        return start


def simulate(measured, slots, engines, load, requests, seed=1):
    rng = random.Random(seed)
    pool = [Engine(measured, slots) for _ in range(engines)]
    arrivals = load * engines * rate_at(measured, slots)
    times, waiting, coming = [], [], rng.expovariate(arrivals)
    while len(times) < requests:
        engine = min(pool, key=Engine.next_end)
        now = min(coming, engine.next_end())
        for e in pool:
            e.forward(now)
        if now == coming:
            min(pool, key=len).add(now, max(0.1, rng.gauss(1, 1 / 3)))
            coming += rng.expovariate(arrivals)
            waiting.append(sum(len(e.waiting) for e in pool))
        else:
            times.append(now - engine.end())
    settled = times[len(times) // 5:]
    cut = statistics.quantiles(settled, n=20)
    return arrivals, cut[9], cut[18], statistics.mean(waiting)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cells", required=True)
    parser.add_argument("--arm", default="select")
    parser.add_argument("--slots", type=int, default=8)
    parser.add_argument("--engines", default="1,2,4,8")
    parser.add_argument("--loads", default="0.3,0.5,0.7,0.9")
    parser.add_argument("--requests", type=int, default=6000)
    parser.add_argument("--csv")
    options = parser.parse_args()
    measured = rates(options.cells, options.arm)
    lines = ["engines,load,requests_per_min,median_s,p95_s,waiting_mean"]
    for engines in map(int, options.engines.split(",")):
        for load in map(float, options.loads.split(",")):
            arrivals, median, p95, waiting = simulate(measured, options.slots, engines, load, options.requests)
            lines.append(f"{engines},{load:g},{60 * arrivals:.1f},{median:.1f},{p95:.1f},{waiting:.2f}")
    print("\n".join(lines))
    if options.csv:
        with open(options.csv, "w") as f:
            f.write(f"# scripts/scale.py on {options.arm}: requests a second at " + ", ".join(f"{n} at once {r:.3f}" for n, r in sorted(measured.items())) + "\n")
            f.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    sys.exit(main())
