#!/usr/bin/env bash
# s2a probe, which scripts/judge reads: one JSON line for each, and what a backend without hidden states says.
source "$(dirname "${BASH_SOURCE[0]}")/../cli/lib.sh"
replay "$work/replay" $'@score -3 9 -9\n@score 9 9 9'

printf '%s\n' '{"segment": "It rains. Why?"}' '{"read": "It rains. Why?", "layers": [3]}' '{"read": "It rains. Why?"}' \
    '{"read": 1, "layers": [3]}' '{"read": "x", "layers": [-1]}' '{"read": "x", "layers": [1], "preset": "odd"}' \
    '{"read": "x", "layers": [1], "before": [{"role": "user"}]}' '{"judge": "It rains. Why?"}' 'rubbish' >"$work/in"
lines_are_right() {
    python3 - "$work/out" <<'PY'
import json, sys
lines = [json.loads(line) for line in open(sys.argv[1])]
assert len(lines) == 9, lines
assert lines[0] == {"units": [[0, 10, 9, 0, False], [10, 14, 14, 0, True]]}, lines[0]
assert "no hidden states" in lines[1]["error"], lines[1]
for line in lines[2:7]:
    assert "not as s2a probe wants it" in line["error"], line
units = lines[7]["units"]
assert [u[:2] + u[3:] for u in units] == [[0, 9, True, False], [10, 14, True, True]], units
assert abs(units[0][2] + 3) < .01 and abs(units[1][2] - 8.3) < .1, units
assert "the line" in lines[8]["error"], lines[8]
PY
}
run probe <"$work/in"
want_status 0
want_err
check "the lines" lines_are_right
finish
