#!/usr/bin/env bash
# Signals, readers that go away, and disks that are full.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

# start ARGUMENT...: in the background; $tool is its id, standard input what is given.
start() {
    test="s2a $* and a signal"
    "$bin" "$@" <&0 >"$work/out" 2>"$work/err" & # <&0: or it would be /dev/null
    tool=$!
    armed
}
# Until the tool has its handlers: a shell starts what is in the background with SIGINT ignored, and a
# busy machine takes its time.
armed() {
    for ((i = 0; i < 3000; i++)); do
        mask=$(sed -n 's/^SigCgt:[[:space:]]*//p' "/proc/$tool/status" 2>/dev/null) || return 0
        [[ -n $mask ]] || return 0
        ((0x$mask & 2)) && return
        sleep 0.01
    done
    fail "no handler for SIGINT"
}
ended() { # STATUS
    status=0
    wait "$tool" || status=$?
    want_status "$1"
}
# Until the file holds as many lines; at most ten seconds.
until_lines() {
    for ((i = 0; i < 1000; i++)); do
        (($(wc -l <"$1") >= $2)) && return
        sleep 0.01
    done
    fail "$1 has no $2 lines"
}

# ---- during step 1, step 2 and while the answer comes
replay "$work/replay" $'@sleep 30000\nlate'
for pair in INT:130 TERM:143; do
    start ask "$x" </dev/null
    sleep 0.3
    kill -s "${pair%:*}" "$tool"
    ended "${pair#*:}"
    want_out ""
    want_err
done
replay "$work/replay" "$parts" $'@sleep 30000\nlate'
start ask --json "$x" </dev/null
sleep 0.3
kill -s INT "$tool"
ended 130
want_out ""

# ---- before there is anything to end in order: at once
mkfifo "$work/fifo"
exec {hold}<>"$work/fifo"
start ask - <"$work/fifo"
sleep 0.2
kill -s INT "$tool"
ended 130

# ---- --jsonl: what is finished stays, nothing is torn
replay "$work/replay" "$parts" one "$parts" two "$parts" $'@sleep 30000\nthree'
for signal in INT TERM; do
    start ask --jsonl --quiet <"$work/fifo"
    for id in 1 2 3; do
        printf '{"id": %s, "text": "%s"}\n' $id "$x" >&"$hold"
    done
    until_lines "$work/out" 2
    kill -s $signal "$tool"
    ended "$([[ $signal == INT ]] && echo 130 || echo 143)"
    want_err
    checks=$((checks + 1))
    [[ $(python3 "$tests/check_result.py" <"$work/out") == 2 ]] || fail "not two results"
done

# while it waits for a line
start ask --jsonl <"$work/fifo"
sleep 0.3
kill -s INT "$tool"
ended 130
exec {hold}>&-

# ---- a second Ctrl-C ends at once: here nobody reads the output, so the first one cannot end it
replay "$work/replay" "$parts" "$(seq 1 50000)"
mkfifo "$work/stuck"
exec {hold}<>"$work/stuck"
test="s2a ask and two signals"
"$bin" ask --max-tokens 60000 "$x" </dev/null >"$work/stuck" 2>"$work/err" &
tool=$!
armed
sleep 0.5
kill -s INT "$tool"
sleep 0.2
check "the first one does not tear the output" kill -0 "$tool"
kill -s INT "$tool"
ended 130
want_err
exec {hold}>&-

# ---- standard output is full, closed or gone
replay "$work/replay" "$parts" "Walt Whitman."
full() {
    test="s2a $* >/dev/full"
    rm -f "$work/out"
    status=0
    "$bin" "$@" >/dev/full 2>"$work/err" || status=$?
    : >"$work/out"
    want_status 1
    want_err "standard output: No space left on device"
}
if [[ -c /dev/full ]]; then
    for flags in "" --json --explain --compare; do
        # shellcheck disable=SC2086
        full ask $flags "$x" </dev/null
    done
    full attend "$x" </dev/null
    full ask --jsonl < <(for i in {1..5}; do printf '{"id": %s, "text": "%s"}\n' "$i" "$x"; done)
    full --help
    full --version
    full ask --help
    full models </dev/null
fi
status=0
"$bin" ask "$x" </dev/null >&- 2>"$work/err" || status=$?
test="s2a ask >&-"
want_status 1
want_err "standard output: Bad file descriptor"
# whatever a command opens must not become its output
cp "$work/replay" "$work/copy"
"$bin" ask "$x" </dev/null >&- 2>&-
check "a file took the place of a closed stream" cmp -s "$work/replay" "$work/copy"

# the reader has gone: quietly, with status 1, and soon
# more than a pipe holds
replay "$work/replay" "$parts" "$(seq 1 20000)"
mkfifo "$work/pipe"
head -c 10 <"$work/pipe" >"$work/out" &
status=0
"$bin" ask --max-tokens 100000 "$x" </dev/null >"$work/pipe" 2>"$work/err" || status=$?
wait $!
test="s2a ask | head"
want_status 1
want_err
head -n 1 <"$work/pipe" >"$work/out" &
status=0
for i in {1..200}; do printf '{"id": %s, "text": "%s"}\n' "$i" "$x"; done |
    "$bin" ask --jsonl >"$work/pipe" 2>"$work/err" || status=$?
wait $!
test="s2a ask --jsonl | head"
want_status 1
want_err
finish
