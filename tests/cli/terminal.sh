#!/usr/bin/env bash
# What a terminal gets: colours, control characters made visible, columns, the progress line.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
command -v python3 >/dev/null || { echo "python3 is not here"; exit 77; }
esc=$'\033'

# on COLUMNS stdout|stderr|both ARGUMENT...: what the terminal gets is in $work/out
on() {
    test="on a terminal: s2a ${*:3}"
    status=0
    python3 "$tests/on_terminal.py" "$1" "$2" "$bin" "${@:3}" >"$work/out" 2>"$work/err" || status=$?
}
# No line wider than that; the text must be plain ASCII and without colours.
want_width() {
    checks=$((checks + 1))
    local widest
    sed -i 's/│/|/; s/…/./' "$work/out"
    widest=$(awk '{ if (length($0) > w) w = length($0) } END { print w + 0 }' "$work/out")
    ((widest <= $1)) || fail "a line is $widest columns wide, not $1"
}

# ---- colours
replay "$work/replay" "$parts"$'\n'"It has no title." "Walt." "Poe."
on 80 stdout ask --explain "$x" </dev/null
want_status 0
want_out_has "${esc}[2;9;31mI think it was Poe.${esc}[0m"
want_out_has "${esc}[1mRewritten prompt${esc}[0m"
want_out_lacks '[-'
replay "$work/replay" $'Context: The old poem is from 1855.\nQuestion: Who wrote it?' "Walt." "Poe."
on 80 stdout attend --explain "$x" </dev/null
want_out_has "${esc}[4;32m"
no_color() {
    want_status 0
    want_out_lacks "$esc"
    want_out_has '[-I think it was Poe.-]'
    want_out_has '{+'
}
on 80 stdout attend --explain --no-color "$x" </dev/null
no_color
NO_COLOR=1 on 80 stdout attend --explain "$x" </dev/null
no_color
TERM=dumb on 80 stdout attend --explain "$x" </dev/null
no_color
(unset TERM; on 80 stdout attend --explain "$x" </dev/null; no_color; ((failures == 0))) ||
    failures=$((failures + 1))
NO_COLOR='' on 80 stdout attend --explain "$x" </dev/null # set to nothing is not set
want_out_has "${esc}["
on 80 stdout ask "$x" </dev/null # an answer alone has no colour
want_out_lacks "$esc"

# ---- control characters never reach the terminal
hostile=$'a\033[31mb\033]0;title\ac\rd\x7fe\xc2\x9b31mf\tg'
for flags in "" --explain --compare "--json"; do
    replay "$work/replay" "$parts" "$hostile" "$hostile"
    # shellcheck disable=SC2086
    on 80 stdout ask --no-color $flags "$x $hostile" </dev/null
    want_status 0
    want_out_lacks "$esc"
    want_out_lacks $'\a'
    want_out_lacks $'\r'
    want_out_lacks $'\x7f'
    want_out_lacks $'\xc2\x9b'
done
replay "$work/replay" "$parts" "$hostile"
on 80 stdout ask "$x" </dev/null
want_out 'a^[[31mb^[]0;title^Gc^Md\u007Fe\u009B31mf'$'\tg'
on 80 stdout attend --preset plain --json "$x"$'\x7f\xc2\x9b' </dev/null
check "what is made visible is still JSON" python3 -c '
import json, sys
assert json.load(open(sys.argv[1]))["input"].endswith("\x7f\x9b")' "$work/out"
replay "$work/replay" "no question ${esc}[31m" "ok"
on 80 stderr ask "$x" </dev/null
checks=$((checks + 1))
[[ $(sed "s/$esc\[K//g" "$work/out") != *"$esc"* ]] || fail "an escape sequence on stderr"

# ---- columns
long='one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen'
replay "$work/replay" "$parts" "$long $long" "$long"
for columns in 80 81 120; do
    LC_ALL=C on $columns stdout ask --compare --no-color "$x" </dev/null
    want_out_has ' │ with S2A'
    want_width $columns
done
on 79 stdout ask --compare --no-color "$x" </dev/null
want_out_lacks '│'
want_width 79
on 40 stdout ask --explain --no-color "$x $long $long" </dev/null
want_width 40
# wide characters take two columns
replay "$work/replay" "$parts" 日本語日本語日本語日本語日本語日本語日本語日本語 "é$(printf '\u0301')"
on 80 stdout ask --compare --no-color "$x" </dev/null
checks=$((checks + 1))
python3 - "$work/out" <<'PY' || fail "the columns are not in line"
import sys, unicodedata
def width(s):
    return sum(0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1
               for c in s)
lines = [l for l in open(sys.argv[1], encoding="utf-8").read().split("\n") if "│" in l]
assert len(lines) > 1 and len({width(l.split("│")[0]) for l in lines}) == 1, lines
PY

# ---- the progress line: on a terminal only, and gone before anything else is printed
replay "$work/replay" $'@sleep 250\n'"$parts" "Walt."
on 80 stderr ask "$x" </dev/null
want_out_has $'\rs2a: step 1'
check "it is taken away" grep -qF $'\r'"${esc}[K" "$work/out"
on 80 stderr ask --quiet "$x" </dev/null
check "not with --quiet" grep -qv 's2a' "$work/out"
TERM=dumb on 80 stderr ask "$x" </dev/null
want_out_lacks "$esc"
run ask "$x" </dev/null
want_err
replay "$work/replay" "$parts" $'@sleep 250\nWalt.'
for i in 1 2 3; do printf '{"id": %s, "text": "%s"}\n' $i "$x"; done >"$work/in"
on 80 stderr ask --jsonl <"$work/in"
want_out_has '[######..............] 1 done, 0 failed, '
"$bin" ask --jsonl <"$work/in" 2>"$work/err" | cat >"$work/out"
want_err

# ---- no text, and nobody to write one
on 80 both ask
want_status 2
want_out_has 'no text; give one, as in s2a ask "..."'
finish
