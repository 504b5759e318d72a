#!/usr/bin/env bash
# s2a prune: files, --json, --jsonl, --top, and what is refused.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
cd "$work" || exit 1
valid() { # COUNT
    checks=$((checks + 1))
    [[ $(python3 "$tests/check_result.py" prune <"$work/out") == "$1" ]] || fail "the output does not follow the schema"
}
value() { # PYTHON: of the first object, o
    python3 -c 'import json, sys; o = json.loads(sys.stdin.readline() if sys.argv[2] else sys.stdin.read())
print(eval(sys.argv[1]))' "$1" "${2-}" <"$work/out"
}
want_value() { # WANTED PYTHON [line]
    checks=$((checks + 1))
    local got
    got=$(value "$2" "${3-}")
    [[ $got == "$1" ]] || fail "$2 is $got, not $1"
}

printf 'The office is in Oslo. The review is on Friday. Bring tea.\n' >a.txt
printf 'Pasta takes nine minutes.\n' >b.txt
printf '# Plan\n\nThe review is at ten.' >c.txt
# in the order of the sentences; the heading has a score, too
printf '@score -5\n@score 3\n@score -5\n@score -6\n@score -5\n@score 1\nnothing\n' >judge
export S2A_BACKEND=script S2A_MODEL=$work/judge
q="When is the review?"

# ---- plain
run prune --question "$q" a.txt b.txt c.txt </dev/null
want_status 0
want_err
want_out "==> a.txt <==
The review is on Friday.

==> b.txt <==

==> c.txt <==
# Plan

The review is at ten."
run prune --question "$q" --top 2 b.txt a.txt c.txt </dev/null # b.txt is now first: it has the -5
want_out_lacks "b.txt"
want_out_has "==> c.txt <=="
for input in "" "-"; do
    # shellcheck disable=SC2086
    run prune --question "$q" $input <a.txt
    want_status 0
    want_out "The review is on Friday."
done
run prune --question "$q" - b.txt <a.txt
want_out "==> standard input <==
The review is on Friday.

==> b.txt <=="
run prune --question "$q" --threshold -9 a.txt </dev/null
want_out "$(<a.txt)"
run prune --question "$q" --keep 0.5 a.txt </dev/null
want_out "The review is on Friday."
run prune --question "$q" --protect Oslo a.txt </dev/null
want_out "The office is in Oslo. The review is on Friday."
# never everything
run prune --question "$q" --threshold 50 b.txt a.txt </dev/null
want_out "==> b.txt <==
Pasta takes nine minutes.

==> a.txt <==
$(<a.txt)"
: >empty.txt
printf ' \n' >blank.txt
run prune --question "$q" empty.txt blank.txt a.txt </dev/null
want_status 0
want_out_has "==> empty.txt <=="
run prune --question "$q" empty.txt </dev/null
want_status 0
want_out ""

# ---- JSON
run prune --question "$q" --json a.txt b.txt c.txt </dev/null
want_status 0
want_err
valid 1
want_value "$q" 'o["question"]'
want_value "['a.txt', 'b.txt', 'c.txt']" '[d["file"] for d in o["documents"]]'
want_value "['The review is on Friday.', '', '# Plan\\n\\nThe review is at ten.']" '[d["pruned_text"] for d in o["documents"]]'
want_value "[(0, 22, 'The office is in Oslo.'), (48, 58, 'Bring tea.')]" \
    '[(s["start"], s["end"], s["text"]) for s in o["documents"][0]["removed"]]'
want_value "[0.2689, 0.0025, 0.1192]" '[round(d["relevance_score"], 4) for d in o["documents"]]'
want_value "True" 'o["usage"]["prompt_tokens"] > 0'
run prune --question "$q" --json --top 2 a.txt b.txt c.txt </dev/null
valid 1
want_value "[0, 2]" '[d["index"] for d in o["documents"]]'
run prune --question "$q" --json --keep 0.5 a.txt </dev/null
valid 1
want_value None 'o["threshold"]'

# ---- JSON lines
{
    printf '{"id": 1, "question": "Q?", "documents": ["The office is in Oslo. The review is on Friday.", {"text": "Tea.", "title": "T", "rank": [1]}]}\n'
    printf '\n'
    printf '{"question": "Q?", "documents": [""]}\n'
    printf '{"id": 3, "question": "Q?", "documents": []}\n'
    printf '{"id": 4, "question": " ", "documents": ["a"]}\n'
    printf '{"id": 5, "documents": ["a"]}\n'
    printf '{"id": 6, "question": "Q?", "documents": ["a", 7]}\n'
    printf '{"id": 7, "question": "Q?", "documents": ["a", {"title": "a"}]}\n'
    printf '{"id": 8, "question": "Q?", "documents": "a"}\n'
    printf '["a"]\n'
    printf 'torn'
} >in
run prune --jsonl <in
want_status 1
want_err 'note: 8 of 10 requests failed'
valid 10
want_value "['The review is on Friday.', '']" '[d["pruned_text"] for d in o["documents"]]' line
want_value "[None, {'title': 'T', 'rank': [1]}]" '[d.get("metadata") for d in o["documents"]]' line
want_value 1 'o["id"]' line
want_out_has '"id":3,"line":4,"error":{"status":"argument","message":"documents: there are none; add one"}'
want_out_has 'question: it is empty'
want_out_has 'question and documents must both be given'
want_out_has 'documents[1]: must be a string, or an object with a text'
want_out_has 'the line must be a JSON object'
want_out_has 'not JSON'
cp out first
run prune --jsonl --resume first --concurrency 3 --top 1 <in
want_status 1
want_out_lacks '"id":1,'
for i in 1 2 3 4 5 6; do printf '{"id": %d, "question": "Q?", "documents": ["A. B.", "C."]}\n' "$i"; done >in
run prune --jsonl --concurrency 3 <in
want_status 0
valid 6
check "in order" test "$(grep -o '"id":[0-9]' out | paste -sd,)" = '"id":1,"id":2,"id":3,"id":4,"id":5,"id":6'

# ---- what is refused
refused 2 'no question; give --question TEXT' prune a.txt
refused 2 '--question: it is empty' prune --question " " a.txt
refused 2 '-: given twice' prune --question "$q" - -
refused 2 'leave --question and files out' prune --jsonl a.txt
refused 2 'leave --question and files out' prune --jsonl --question "$q"
refused 2 '--json and --jsonl' prune --jsonl --json
refused 2 '--resume: it needs --jsonl' prune --question "$q" --resume first a.txt
refused 2 '--threshold and --keep' prune --question "$q" --keep 0.5 --threshold 1 a.txt
refused 2 '--top: ' prune --question "$q" --top 0 a.txt
refused 2 '--mode: no such option' prune --mode rewrite --question "$q" a.txt
refused 1 'nowhere.txt: No such file' prune --question "$q" a.txt nowhere.txt
refused 1 '.: Is a directory' prune --question "$q" .
printf 'a\xff' >bad.txt
refused 1 'bad.txt: invalid UTF-8 at byte 1' prune --question "$q" a.txt bad.txt
head -c 16777217 /dev/zero | tr '\0' a >big.txt
refused 1 'big.txt: more than the limit of 16777216 bytes' prune --question "$q" big.txt
head -c 16777200 big.txt >large.txt
refused 1 'large.txt: documents[1]: documents and question are together more than the limit' \
    prune --question "$q" a.txt large.txt
printf 'nothing\n' >writes
refused 3 'documents need mode select, and there is no judge model' prune --model "$work/writes" --question "$q" a.txt
printf '@score 1\n@error backend it broke\n' >breaks
refused 1 'it broke' prune --model "$work/breaks" --question "$q" a.txt
# NUL bytes are text, and a settings' mode is of other commands
printf 'A\0b. The review is on Friday.' >nul.txt
S2A_MODE=rewrite run prune --question "$q" nul.txt </dev/null
want_status 0
want_out "The review is on Friday."
# a server of the settings is not asked: a model of this machine judges
unset S2A_BACKEND S2A_MODEL
S2A_URL=http://127.0.0.1:1/v1 refused 3 '0.5b' prune --question "$q" a.txt

# ---- a reader that has gone, a full disk, a signal
export S2A_BACKEND=script S2A_MODEL=$work/judge
checks=$((checks + 1))
status=0
"$bin" prune --question "$q" a.txt >/dev/full 2>"$work/err" </dev/null || status=$?
want_status 1
want_err 'standard output: No space left on device'
printf '@score 1\n@sleep 30000\nnothing\n' >sleeps
test="prune, and SIGTERM"
"$bin" prune --model "$work/sleeps" --question "$q" a.txt >"$work/out" 2>"$work/err" </dev/null &
pid=$!
sleep 1
kill -TERM $pid
status=0
wait $pid || status=$?
want_status 143
want_out ""
finish
