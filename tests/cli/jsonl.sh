#!/usr/bin/env bash
# --jsonl: order, bad lines, streaming, resuming, limits.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

# field NAME: that key of each line of $work/out, as JSON, joined by blanks.
field() {
    python3 - "$work/out" "$1" <<'PY'
import json, sys
lines = [json.loads(l) for l in open(sys.argv[1], encoding="utf-8") if l.strip()]
print(*(json.dumps(l.get(sys.argv[2])) for l in lines))
PY
}
want_field() {
    checks=$((checks + 1))
    local got
    got=$(field "$1")
    [[ $got == "$2" ]] || fail "$1 is $got, not $2"
}
valid() {
    checks=$((checks + 1))
    [[ $(python3 "$tests/check_result.py" <"$work/out") == "$1" ]] ||
        fail "the lines do not follow the schema"
}
line() { printf '{"id": %s, "text": "%s"}\n' "$1" "$x"; }

# ---- a mix of good and bad lines: all answered, in order
replay "$work/replay" "$parts" "Walt Whitman."
{
    line 1
    echo
    printf '\xef\xbb\xbf{"id": "two", "context": "I think it was Poe. The poem is from 1855.", "question": "Who wrote it?"}\n'
    echo '{"id": 3, "messages": [{"role": "system", "content": "s"}, {"role": "user", "content": "'"$x"'"}], "temperature": 9}'
    echo '{"id": 4, "text": "torn'
    printf '{"id": 5, "text": "a\xff"}\n'
    echo '{"id": 6, "txt": "a"}'
    echo '{"id": 7, "text": 7}'
    echo '{"id": 8, "text": "a", "messages": []}'
    echo '{"id": 9, "question": "a"}'
    echo '{"id": [10], "text": "a"}'
    echo '{"id": 1.5, "text": "a"}'
    echo '["text"]'
    echo 'null'
    echo '{"id": 11, "text": " "}'
    echo '{"id": 12, "messages": [{"role": "user", "content": [{"type": "audio"}]}]}'
    echo '{"id": 13, "messages": [{"role": "user", "content": "x"}, {"role": "tool", "content": "x"}]}'
    echo '{"id": 14, "text": "a"} {"id": 15}'
    printf '  \t\r\n'
    echo '{"id": null, "text": "'"$x"'"}'
    echo '{"text": "'"$x"'"}'
    printf '{"id": "last", "text": "%s"}' "$x" # no newline
} >"$work/in"
run ask --jsonl <"$work/in"
want_status 1
want_err 'note: 14 of 20 requests failed'
valid 20
want_field id '1 "two" 3 null null 6 7 8 9 null null null null 11 12 13 null null null "last"'
want_field line 'null null null 5 6 7 8 9 10 11 12 13 14 15 16 17 18 null null null'
want_field answer "$(python3 -c '
a = "\"Walt Whitman.\""
print(*[a] * 3, *["null"] * 14, *[a] * 3)')"
want_out_has '"error":{"status":"input","message":"the line: not JSON: '
want_out_has '"message":"the line: invalid UTF-8 at byte 20; convert it to UTF-8"'
want_out_has '"message":"no prompt: give text, or context and question, or messages"'
want_out_has '"message":"text must be a string"'
want_out_has '"message":"more than one prompt: '
want_out_has '"message":"context and question must both be given, as strings"'
want_out_has '"message":"id must be a string or a whole number"'
want_out_has '"message":"the line must be a JSON object"'
want_out_has '"message":"prompt: it is empty; write a question"'
want_out_has 'type \"audio\" is not supported'
want_out_has "messages must end with the user's"
run ask --jsonl --quiet - <"$work/in"
want_err

# attend, and no line at all
line 1 >"$work/in"
run attend --jsonl <"$work/in"
want_status 0
want_err
valid 1
want_field answer null
run ask --jsonl </dev/null
want_status 0
want_err
want_out ""
run ask --jsonl <"$work"
want_status 1
want_err "standard input: Is a directory"

# --compare; --strict; a backend that fails now and then
replay "$work/replay" "$parts" "Walt." "Poe."
run ask --jsonl --compare <"$work/in"
want_status 0
valid 1
want_out_has '"plain":{"answer":"Poe."'
replay "$work/replay" "$parts" "Walt." "no question here" "Poe."
{ line 1; line 2; line 3; } >"$work/in"
run ask --jsonl --strict <"$work/in"
want_status 4
want_err 'note: 1 of 3 requests fell back to the original prompt'
valid 3
want_field fallback 'null "no_question" null'
run ask --jsonl <"$work/in"
want_status 0
replay "$work/replay" "$parts" "Walt." "$parts" "@error backend on fire" "$parts" "Walt."
run ask --jsonl --strict <"$work/in"
want_status 1
valid 3
want_field answer '"Walt." null "Walt."'
want_out_has '{"id":2,"line":2,"error":{"status":"backend","message":"script: on fire"}}'

# ---- what stays: of all lines, and of a line
replay "$work/replay" '@score 9 -9' # whatever is not protected goes
protecting() { # ID MORE
    printf '{"id": %s, "context": "I hate it.\\nI hate mud.", "question": "What is it?"%s}\n' "$1" "$2"
}
{
    protecting 1 ''
    protecting 2 ', "protect": ["it."]'
    protecting 3 ''
    protecting 4 ', "protect": ["mud", "it."], "protect_lines": []'
    protecting 5 ', "protect": [], "protect_lines": [[1, 1]]'
    protecting 6 ', "protect_lines": [[1, 1], [2, 9]]'
    protecting 7 ', "protect_lines": [[4, 9]]'
    protecting 8 ''
} >"$work/in"
rows() { # WANTED...: which of the two stay, of each line
    checks=$((checks + 1))
    python3 - "$work/out" "$@" <<'PY' || fail "not so: $*"
import json, sys
got = ["".join(k for k, words in (("i", "I hate it."), ("m", "I hate mud.")) if words in json.loads(l)["rewritten"])
       for l in open(sys.argv[1])]
assert got == [w.strip("-") for w in sys.argv[2:]], got
PY
}
for at_once in "" "--concurrency 3"; do
    # shellcheck disable=SC2086
    run attend --jsonl $at_once <"$work/in"
    want_status 0
    valid 8
    rows - i - im i im - -
done
run attend --jsonl --protect mud <"$work/in"
want_status 0
rows m im m im im im m m
{
    protecting 1 ', "protect": "it."'
    protecting 2 ', "protect": ["it.", ""]'
    protecting 3 ', "protect": [1]'
    protecting 4 ', "protect": null'
    for wrong in '{}' '[1, 2]' '[[1]]' '[[1, 2, 3]]' '[[0, 1]]' '[[2, 1]]' '[[1, 1], ["1", 2]]' '[[1.5, 2]]'; do
        protecting 5 ", \"protect_lines\": $wrong"
    done
    protecting 6 ", \"protect\": [$(printf '"a",%.0s' {1..1024})\"a\"]"
    protecting 7 ''
} >"$work/in"
run attend --jsonl --quiet <"$work/in"
want_status 1
valid 14
want_field id '1 2 3 4 5 5 5 5 5 5 5 5 6 7'
want_out_has '"id":1,"line":1,"error":{"status":"input","message":"protect must be an array of texts"}'
want_out_has '"id":2,"line":2,"error":{"status":"input","message":"protect[1]: must be a text that is not empty"}'
want_out_has '"id":3,"line":3,"error":{"status":"input","message":"protect[0]: '
want_out_has '"id":4,"line":4,"error":{"status":"input","message":"protect must be'
want_out_has '"line":5,"error":{"status":"input","message":"protect_lines must be an array of [first, last]"}'
want_out_has '"line":6,"error":{"status":"input","message":"protect_lines[0]: must be [first, last], whole numbers from 1'
want_out_has '"line":11,"error":{"status":"input","message":"protect_lines[1]: '
want_out_has '"id":6,"line":13,"error":{"status":"limit","message":"protect: more than the limit of 1024'
check "eight lines in which protect_lines is wrong" test "$(grep -c '"message":"protect_lines' "$work/out")" = 8
want_field rewritten "$(printf 'null %.0s' {1..13})"'"What is it?"'

# ---- a result is there before the next line is
replay "$work/replay" "$parts" "Walt."
# answers_at_once FLAG...: a result is there before anybody sends the next line.
answers_at_once() {
    local tool to from id reply
    rm -f "$work/to" "$work/from"
    mkfifo "$work/to" "$work/from"
    "$bin" ask --jsonl "$@" <"$work/to" >"$work/from" 2>"$work/err" &
    tool=$!
    exec {to}>"$work/to" {from}<"$work/from"
    for id in 1 2 3; do
        line $id >&"$to"
        checks=$((checks + 1))
        reply=
        read -r -t 20 reply <&"$from"
        [[ $reply == "{\"id\":$id,"* ]] || fail "no answer to line $id: $reply"
    done
    exec {to}>&-
    wait "$tool"
    status=$?
    want_status 0
    exec {from}<&-
}
answers_at_once

# ---- resuming
line 1 >"$work/in"
line '"1"' >>"$work/in"
line 3 >>"$work/in"
line 4 >>"$work/in"
replay "$work/replay" "$parts" "Walt."
cat >"$work/done" <<'JSON'
{"id":1,"answer":"earlier"}
what is this?

{"id":3,"line":3,"error":{"status":"backend","message":"on fire"}}
{"id":"4","answer":"another id than 4"}
JSON
printf '{"id":4,"answer":"to' >>"$work/done"
cp "$work/done" "$work/out"
"$bin" ask --jsonl --resume "$work/out" <"$work/in" >>"$work/out" 2>"$work/err"
status=$?
test="resume"
want_status 0
checks=$((checks + 2))
grep -qF 'out: 1 lines are not results' "$work/err" || fail "nothing said of the strange line"
grep -qF 'out: the last line is cut off; its request is run again' "$work/err" ||
    fail "nothing said of the last line"
check "what was there stays there" cmp -s -n "$(stat -c %s "$work/done")" "$work/done" "$work/out"
tail -n +7 "$work/out" >"$work/new"
cp "$work/new" "$work/out"
want_field id '"1" 3 4'
valid 3
# all done: nothing more to do; the last line complete but for its newline
cat "$work/done" >"$work/all"
echo >>"$work/all"
printf '%s' "$(<"$work/out")" >>"$work/all"
cp "$work/all" "$work/before"
"$bin" ask --jsonl --resume "$work/all" --quiet <"$work/in" >>"$work/all" 2>"$work/err"
status=$?
want_status 0
want_err
check "nothing is added" cmp -s "$work/all" "$work/before"
# results that go elsewhere need no newline for the torn line
run ask --jsonl --quiet --resume "$work/done" <"$work/in"
want_field id '"1" 3 4'
check "no blank line" test "$(head -c 1 "$work/out")" = "{"
refused 1 "--resume /no/such: No such file or directory" ask --jsonl --resume /no/such
refused 1 "--resume $work: Is a directory" ask --jsonl --resume "$work"

# ---- many at a time: the order of the input, and every line of it
replay "$work/replay" "Walt."
python3 - >"$work/in" <<'PY'
for i in range(1, 301):
    if i % 50 == 0:
        print('{"id": %d, "text": 7}\n' % i)
    else:
        print('{"id": %d, "text": "%s"}' % (i, "Who wrote Leaves of Grass? " * (i % 7 + 1)))
PY
run ask --jsonl --preset plain --quiet <"$work/in"
cp "$work/out" "$work/one"
run ask --jsonl --preset plain --quiet --concurrency 8 <"$work/in"
want_status 1
valid 300
checks=$((checks + 1))
cmp -s <(sed 's/"ms":[0-9.]*/"ms":0/g' "$work/one") <(sed 's/"ms":[0-9.]*/"ms":0/g' "$work/out") ||
    fail "eight at a time give other lines than one"
run ask --jsonl --preset plain --concurrency 256 <<<'{"id": 1, "text": "a?"}'
want_status 0
want_field id 1
run ask --jsonl --preset plain --concurrency 4 --resume "$work/one" <"$work/in"
want_status 1
want_field id '50 100 150 200 250 300'
refused 2 '--concurrency: 0 is out of range; give one from 1 to 256' ask --jsonl --concurrency 0
refused 2 '--concurrency: it needs --jsonl' ask --concurrency 2 "a?"
# a result does not wait for a line that nobody has sent yet
answers_at_once --preset plain --concurrency 4
# nobody reads the results
checks=$((checks + 1))
"$bin" ask --jsonl --preset plain --quiet --concurrency 8 <"$work/in" 2>"$work/err" >/dev/full
status=$?
want_status 1

# ---- memory does not grow with the number of lines
# Under AddressSanitizer what is freed is kept for a while; little of it here, or that would be what grows.
peak_kb() {
    local -x ASAN_OPTIONS="${ASAN_OPTIONS:+$ASAN_OPTIONS:}quarantine_size_mb=1:thread_local_quarantine_size_kb=64"
    seq "$1" | sed 's/.*/{"id": &, "text": "Who wrote number &?"}/' >"$work/in"
    python3 - "$bin" ask --jsonl --preset plain --quiet --concurrency "$2" 3<"$work/in" <<'PY'
import os, subprocess, sys
process = subprocess.Popen(sys.argv[1:], stdin=3, stdout=subprocess.PIPE)
lines = sum(chunk.count(b"\n") for chunk in iter(lambda: process.stdout.read(1 << 16), b""))
_, status, used = os.wait4(process.pid, 0)
print(used.ru_maxrss if status == 0 else 0, lines)
PY
}
for at_once in 1 8; do
    test="peak memory with $at_once at once"
    read -r few count < <(peak_kb 500 $at_once)
    checks=$((checks + 1))
    [[ $count == 500 ]] || fail "$count lines, not 500"
    read -r many count < <(peak_kb 50000 $at_once)
    checks=$((checks + 2))
    [[ $count == 50000 ]] || fail "$count lines, not 50000"
    ((few > 0 && many > 0 && many - few < 4096)) || fail "$few KiB with 500 lines, $many with 50000"
done

# ---- limits: a line past LIMIT_JSON_LINE_BYTES, which are 32 MiB, among others
{
    line 1
    printf '{"id":2,"text":"'
    head -c 33554432 /dev/zero | tr '\0' a
    printf '"}\n'
    line 3
    printf '{"id":4,"text":"'
    head -c 16777217 /dev/zero | tr '\0' a
    printf '"}\n'
} >"$work/in"
run ask --jsonl --preset plain --quiet <"$work/in"
want_status 1
valid 4
want_field id '1 null 3 4'
want_out_has '"line":2,"error":{"status":"limit","message":"the line is longer than 33554432 bytes'
want_out_has '{"id":4,"line":4,"error":{"status":"limit"'

# ---- output that fails ends the tool while its input says nothing and stays open
for at_once in 1 4; do
    test="full disk, $at_once at once, silent input"
    rm -f "$work/pipe"
    mkfifo "$work/pipe"
    exec 7<>"$work/pipe"
    { line 1; line 2; } >&7
    status=0
    timeout 60 "$bin" ask --jsonl --preset plain --quiet --concurrency "$at_once" <"$work/pipe" 7<&- >/dev/full 2>"$work/err" || status=$?
    exec 7<&-
    : >"$work/out"
    want_status 1
    want_err "standard output: No space left on device; what was printed is not complete"
done
finish
