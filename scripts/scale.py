#!/usr/bin/env python3
"""Simulates how many replicas of `s2a serve` and how many engines a load needs, from measured figures.

    scripts/scale.py --cells docs/results/bench/quick/cells.csv --arm naive [--length 200] [--csv FILE]

Requests arrive at random (Poisson), and a balancer sends them to the replicas in turn. Step 1 holds one of a replica's workers until it is done. Without a free worker a
request waits in the replica's queue; if the queue is full it is refused. Each step is a call to the engine with the fewest calls. An engine runs up to --slots calls at once;
the others wait. With n calls it does r(n) requests a second, shared equally: the rate that `s2a bench` measured with n at once (linear between the measured n, constant after the last).
Step 1's share of a request is its share of the time of a single request. A request is one unit of work, plus or minus up to a third. The proxy's own time is three orders of
magnitude smaller (docs/results/serve) and is left out, and so is the network.

Prints for each number of engines and each share of their capacity: requests a minute, median and 95th percentile of the time to the complete response, how many requests wait at
replicas and at engines when one arrives, and the share that is refused.
"""
import argparse
import collections
import csv
import heapq
import random
import statistics
import sys

Measured = collections.namedtuple("Measured", "rates step1_share")  # {at once: requests a second}; with one request at a time
Cluster = collections.namedtuple("Cluster", "engines slots replicas workers queue")
Figures = collections.namedtuple("Figures", "requests_per_s median_s p95_s mean_s at_replicas at_engines refused")


def read_cells(path, arm, length=None):
    """The arm's figures at that length; without a length, at the shortest."""
    with open(path) as f:
        rows = [r for r in csv.DictReader(line for line in f if not line.startswith("#"))
                if r["arm"] == arm and r["requests_per_s"]]
    lengths = sorted({int(r["length"]) for r in rows})
    length = lengths[0] if length is None and lengths else length
    cells = {int(r["concurrency"]): r for r in rows if int(r["length"]) == length}
    if 1 not in cells:
        raise SystemExit(f"{path}: nothing of arm {arm}, one at a time, at length {length}; it has {lengths or 'none'}")
    share = float(cells[1]["step1_ms"]) / float(cells[1]["total_ms"])
    return Measured({n: float(r["requests_per_s"]) for n, r in cells.items()}, share)


def rate_at(rates, n):
    known = sorted(rates)
    for a, b in zip(known, known[1:]):
        if n <= b:
            return rates[a] + (rates[b] - rates[a]) * (n - a) / (b - a)
    return rates[known[-1]]


class Engine:
    """Running calls share its rate. `done` is the work that each running call got since the beginning; the heap has the `done` at which each call ends."""

    def __init__(self, rates, slots):
        self.rate = [0.0] + [rate_at(rates, n) for n in range(1, slots + 1)]
        self.now, self.done, self.running, self.waiting, self.count = 0.0, 0.0, [], collections.deque(), 0

    def __len__(self):
        return len(self.running) + len(self.waiting)

    def forward(self, now):
        n = len(self.running)
        if n:
            self.done += (now - self.now) * self.rate[n] / n
        self.now = now

    def next_end(self):
        n = len(self.running)
        return self.now + max(0.0, self.running[0][0] - self.done) * n / self.rate[n] if n else float("inf")

    def add(self, now, work, call):
        self.forward(now)
        if len(self.running) < len(self.rate) - 1:
            self.count += 1  # so that calls themselves are never compared
            heapq.heappush(self.running, (self.done + work, self.count, call))
        else:
            self.waiting.append((work, call))

    def end(self, now):
        self.forward(now)
        call = heapq.heappop(self.running)[2]
        if self.waiting:
            self.add(now, *self.waiting.popleft())
        return call


class Request:
    def __init__(self, start, work, replica):
        self.start, self.work, self.replica, self.in_step1 = start, work, replica, False


class Replica:
    def __init__(self, workers):
        self.free, self.waiting = workers, collections.deque()


class Simulation:
    def __init__(self, measured, cluster):
        self.share = measured.step1_share
        self.engines = [Engine(measured.rates, cluster.slots) for _ in range(cluster.engines)]
        self.replicas = [Replica(cluster.workers) for _ in range(cluster.replicas)]
        self.queue, self.times, self.refused = cluster.queue, [], 0

    def call(self, now, request, step1):
        request.in_step1 = step1
        work = request.work * (self.share if step1 else 1 - self.share)
        min(self.engines, key=len).add(now, work, request)

    def arrive(self, now, request):
        replica = request.replica
        if replica.free > 0:
            replica.free -= 1
            self.call(now, request, True)
        elif len(replica.waiting) < self.queue:
            replica.waiting.append(request)
        else:
            self.refused += 1

    def call_ended(self, now, request):
        if not request.in_step1:
            self.times.append(now - request.start)
            return
        replica = request.replica
        if replica.waiting:  # its worker takes the next one
            self.call(now, replica.waiting.popleft(), True)
        else:
            replica.free += 1
        self.call(now, request, False)


def simulate(measured, cluster, load, requests=6000, spread=1 / 3, seed=1):
    """load: the share of the engines' rate with all slots in use. The first fifth of the requests is not counted."""
    rng = random.Random(seed)
    s = Simulation(measured, cluster)
    arrivals = load * cluster.engines * rate_at(measured.rates, cluster.slots)
    coming, came, at_replicas, at_engines = rng.expovariate(arrivals), 0, [], []
    while len(s.times) + s.refused < requests:
        engine = min(s.engines, key=Engine.next_end)
        now = min(coming, engine.next_end())
        if now < coming:
            s.call_ended(now, engine.end(now))
            continue
        at_replicas.append(sum(len(r.waiting) for r in s.replicas))
        at_engines.append(sum(len(e.waiting) for e in s.engines))
        s.arrive(now, Request(now, max(0.1, rng.gauss(1, spread)), s.replicas[came % cluster.replicas]))
        came += 1
        coming = now + rng.expovariate(arrivals)
    times = s.times[len(s.times) // 5:]
    cut = statistics.quantiles(times, n=20)
    return Figures(arrivals, cut[9], cut[18], statistics.mean(times), statistics.mean(at_replicas), statistics.mean(at_engines), s.refused / requests)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cells", required=True, help="cells.csv of s2a bench --out")
    parser.add_argument("--arm", default="naive", help="naive: mode rewrite in front of a server; select, rewrite: the embedded engine; plain-server: without S2A")
    parser.add_argument("--length", type=int)
    parser.add_argument("--slots", type=int, default=8)
    parser.add_argument("--engines", default="1,2,4,8")
    parser.add_argument("--loads", default="0.3,0.5,0.7,0.9")
    parser.add_argument("--replicas", type=int, default=2)
    parser.add_argument("--workers", type=int, default=16)
    parser.add_argument("--queue", type=int, default=256)
    parser.add_argument("--requests", type=int, default=6000)
    parser.add_argument("--csv")
    o = parser.parse_args()
    measured = read_cells(o.cells, o.arm, o.length)
    lines = ["engines,load,requests_per_min,median_s,p95_s,wait_at_replicas,wait_at_engines,refused"]
    for engines in map(int, o.engines.split(",")):
        for load in map(float, o.loads.split(",")):
            f = simulate(measured, Cluster(engines, o.slots, o.replicas, o.workers, o.queue), load, o.requests)
            lines.append(f"{engines},{load:g},{60 * f.requests_per_s:.1f},{f.median_s:.1f},{f.p95_s:.1f},{f.at_replicas:.2f},{f.at_engines:.2f},{f.refused:.4f}")
    print("\n".join(lines))
    if o.csv:
        known = ", ".join(f"{r:.3f} at {n}" for n, r in sorted(measured.rates.items()))
        with open(o.csv, "w") as f:
            f.write(f"# scripts/scale.py: {o.arm}, requests a second {known} at once, step 1 {measured.step1_share:.2f} of one; "
                    f"{o.slots} slots, {o.replicas} replicas, {o.workers} workers, queue {o.queue}\n")
            f.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    sys.exit(main())
