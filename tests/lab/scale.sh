#!/usr/bin/env bash
# scripts/scale.py against what queueing theory knows in closed form, and its reading of cells.csv.
source "$(dirname "${BASH_SOURCE[0]}")/../cli/lib.sh"
command -v python3 >/dev/null || { echo "python3 is not here"; exit 77; }
test="simulation of a cluster"

cat >"$work/check.py" <<'PY'
import sys
sys.dont_write_bytecode = True
sys.path.insert(0, sys.argv[1] + "/scripts")
from scale import Cluster, Measured, rate_at, read_cells, simulate

cases = 0


def near(what, value, expected, tolerance):
    global cases
    cases += 1
    assert abs(value - expected) <= tolerance * abs(expected) + 1e-9, f"{what}: {value}, not {expected}"


LEVEL = {1: 0.5}  # two seconds of work, however many are at it
MANY = 10**6


def run(rates, load, share=0.0, engines=1, slots=MANY, replicas=1, workers=MANY, queue=MANY, spread=0.0, requests=40000):
    return simulate(Measured(rates, share), Cluster(engines, min(slots, 200), replicas, workers, queue), load, requests, spread)


# alone: the time of one request, and half of it where there is twice the rate
near("one alone", run(LEVEL, 1e-4, requests=500).p95_s, 2, 1e-3)
near("one alone, in two steps", run(LEVEL, 1e-4, share=0.4, requests=500).median_s, 2, 1e-3)

# M/G/1, shared alike: S / (1 - load), whatever the distribution and in however many calls
for load in 0.3, 0.6:
    near(f"shared, load {load}", run(LEVEL, load).mean_s, 2 / (1 - load), 0.05)
    near(f"shared, in two steps, load {load}", run(LEVEL, load, share=0.5, spread=1 / 3).mean_s, 2 / (1 - load), 0.05)

# M/D/1, one after the other: S + S load / 2 / (1 - load); as many wait as come in that time
for load in 0.3, 0.7:
    wait = 2 * load / 2 / (1 - load)
    f = run(LEVEL, load, slots=1)
    near(f"in a row, load {load}", f.mean_s, 2 + wait, 0.05)
    near(f"in a row, waiting, load {load}", f.at_engines, load * 0.5 * wait, 0.08)
    assert f.at_replicas == 0 and f.refused == 0

# the same where one worker, not one slot, is what there is; and without a queue, Erlang's formula for a loss
f = run(LEVEL, 0.7, share=1.0, workers=1)
near("one worker", f.mean_s, 2 + 2 * 0.7 / 2 / 0.3, 0.05)
near("one worker, waiting", f.at_replicas, 0.7 * 0.5 * 2 * 0.7 / 2 / 0.3, 0.08)
near("one worker, no queue", run(LEVEL, 0.5, share=1.0, workers=1, queue=0).refused, 0.5 / 1.5, 0.05)

# more at once, more done: at full slots as many as were measured, and a line between
STEEP = {1: 0.5, 8: 2.0}
for n, rate in (1, 0.5), (8, 2.0), (20, 2.0), (4.5, 1.25):
    near(f"rate of {n}", rate_at(STEEP, n), rate, 1e-9)
f = run(STEEP, 0.9, slots=8)
near("arrivals", f.requests_per_s, 0.9 * 2.0, 1e-9)
assert 2 < f.mean_s < 20, f  # M/D/1 by the rate of one alone could not bear the load

# a pool is better than its parts
assert run(LEVEL, 0.8, engines=4).mean_s < 0.5 * run(LEVEL, 0.8).mean_s

# the same seed gives the same figures
assert run(LEVEL, 0.5, requests=2000) == run(LEVEL, 0.5, requests=2000)

m = read_cells(sys.argv[2], "naive")
assert m.rates == {1: 0.13, 8: 0.2}, m
near("share of step 1", m.step1_share, 0.8, 1e-9)
assert read_cells(sys.argv[2], "naive", 1000).rates == {1: 0.02}
for arm, length in ("naive", 500), ("nobody", None):
    try:
        read_cells(sys.argv[2], arm, length)
        raise AssertionError(arm)
    except SystemExit as e:
        assert "nothing of arm" in str(e)
print(cases, "figures")
PY
cat >"$work/cells.csv" <<'CSV'
# a comment
arm,length,concurrency,step1_ms,total_ms,requests_per_s
plain,200,1,0.1,3000,0.33
naive,1000,1,20000,50000,0.02
naive,200,8,40000,60000,0.2
naive,200,1,6000,7500,0.13
naive,200,4,,,
CSV

check_figures() { python3 "$work/check.py" "$top" "$work/cells.csv" >"$work/out" 2>"$work/err"; }
check "it agrees with theory" check_figures
check_tool() {
    python3 "$top/scripts/scale.py" --cells "$work/cells.csv" --engines 1,2 --loads 0.5 --requests 200 \
        --csv "$work/result.csv" >"$work/out" 2>"$work/err" && [[ $(wc -l <"$work/out") == 3 ]] &&
        diff <(tail -n +2 "$work/result.csv") "$work/out"
}
check "it prints what it writes" check_tool
finish
