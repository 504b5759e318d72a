#!/usr/bin/env bash
# s2a probe, which scripts/select reads: one JSON line for each, and what a backend without scores says.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
replay "$work/replay" "An answer."

printf '%s\n' '{"segment": "It rains. Why?"}' '{"select": "It rains. Why?", "layers": [3]}' '{"select": "It rains. Why?"}' \
    '{"select": 1}' '{"text": "It rains.", "units": [[0, 9]], "questions": ["Why?"]}' 'rubbish' >"$work/in"
lines_are_right() {
    python3 - "$work/out" <<'PY'
import json, sys
lines = [json.loads(line) for line in open(sys.argv[1])]
assert len(lines) == 6, lines
assert lines[0] == {"units": [[0, 10, 9, 0, False], [10, 14, 14, 0, True]]}, lines[0]
assert "no hidden states" in lines[1]["error"], lines[1]
assert "log-probabilities" in lines[2]["error"], lines[2]
assert "not as s2a probe wants it" in lines[3]["error"], lines[3]
assert "cannot read attention" in lines[4]["error"], lines[4]
assert "the line" in lines[5]["error"], lines[5]
PY
}
run probe <"$work/in"
want_status 0
want_err
check "the lines" lines_are_right
finish
