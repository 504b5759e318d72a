#!/usr/bin/env bash
# --select-model: a model that judges in place of the one that answers.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
replay "$work/answers" "Walt Whitman."
printf '@score -9 -9 -1\n@score -1 -9 -9\nnothing\n' >"$work/judge"

# The one that answers gives no scores, and yet the mode is select.
judged() {
    run ask --json "$@" -- "$x" </dev/null
    want_status 0
    want_out_has '"mode": "select"'
    want_out_has "\"rewritten\": \"$xprime\""
    want_out_has '"answer": "Walt Whitman."'
    want_out_has '"model": "answers"'
}
judged --select-model "$work/judge"
S2A_SELECT_MODEL=$work/judge judged
mkdir -p "$HOME/.config/s2a"
printf '{"select_model": "%s"}' "$work/judge" >"$HOME/.config/s2a/config.json"
judged
judged --select-model "$work/judge" --mode select
rm "$HOME/.config/s2a/config.json"

refused 3 'mode select: this backend gives no log-probabilities' ask --mode select "$x"
refused 3 "$work/nowhere" ask --select-model "$work/nowhere" "$x"
# Where nothing is judged it is not opened.
replay "$work/rewrites" "$parts" "Walt Whitman."
run ask --mode rewrite --select-model "$work/nowhere" "$x" </dev/null
want_status 0
want_out "Walt Whitman."

# Several at a time, in order.
replay "$work/answers" "Walt Whitman."
for i in 1 2 3 4 5 6; do printf '{"id": %d, "text": "%s"}\n' "$i" "$x"; done >"$work/in"
run ask --jsonl --concurrency 3 --select-model "$work/judge" <"$work/in"
want_status 0
check "six results of mode select" test "$(grep -c '"mode":"select"' "$work/out")" = 6

# An evaluation tells the judgements of two models apart.
evaluated() { run eval qa --arms select --limit 2 --temperature 0 --store "$work/store" "$@"; }
evaluated --select-model "$work/judge" --json
want_status 0
evaluated --select-model "$work/judge" --json
want_status 0
printf '@score -1 -9 -9\nnothing\n' >"$work/keeps"
evaluated --select-model "$work/keeps" --json
want_status 0
want_out_has '"unchanged":true'
finish
