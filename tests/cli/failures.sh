#!/usr/bin/env bash
# What signals, limits and full disks do: the rows of docs/failures.md that no other test has.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
# A limit on files cuts what a build that counts lines writes at its end, too: that goes where nobody reads it.
export GCOV_PREFIX=$work/gcov GCOV_ERROR_FILE=/dev/null
command -v curl >/dev/null || { echo "curl is not here"; exit 77; }
server=
mounted=
cleanup() {
    [[ -z $server ]] || kill -9 "$server" 2>/dev/null
    [[ -z $mounted ]] || umount "$mounted"
    rm -rf "$work"
}
trap cleanup EXIT
done_rows=" "
row() { # the row's name in the table
    test=$1
    done_rows+="$1 | "
}
replay "$work/replay" "$parts" "Walt Whitman."

# limited ULIMIT-OPTION VALUE ARGUMENT...: standard output is a pipe, which no file limit is on.
limited() {
    {
        # shellcheck disable=SC2016
        bash -c 'ulimit "$1" "$2"; shift 2; exec "$@"' - "$1" "$2" "$bin" "${@:3}" \
            </dev/null 2>"$work/err"
        echo $? >"$work/status"
    } | cat >"$work/out"
    status=$(<"$work/status")
}

# serve_start COMMAND-BEFORE ARGUMENT...: the server on a free port, as $server and $port.
serve_start() {
    rm -f "$work/port"
    mkfifo "$work/port"
    bash -c "$1"'; exec "$@"' - "$bin" serve --port 0 --quiet "${@:2}" >"$work/port" 2>"$work/err" </dev/null &
    server=$!
    read -r line <"$work/port"
    port=${line##*:}
    port=${port%%/*}
}
serve_answers() { # N: so many requests are answered
    local i
    for ((i = 0; i < $1; i++)); do
        checks=$((checks + 1))
        [[ $(curl -s -m 60 "http://127.0.0.1:$port/v1/models") == *s2a-replay* ]] || fail "request $i"
    done
}
serve_stop() {
    kill "$server"
    status=0
    wait "$server" || status=$?
    server=
    want_status 0
}

# ---- SIGHUP

row "SIGHUP ends"
replay "$work/slow" "$parts" one "$parts" two "$parts" $'@sleep 60000\nthree'
hang_up() { # COMMAND-BEFORE: three lines, of which two get an answer
    mkfifo "$work/in"
    bash -c "$1"'; exec "$@"' - "$bin" ask --jsonl --quiet <"$work/in" >"$work/out" 2>"$work/err" &
    tool=$!
    exec {hold}>"$work/in"
    for id in 1 2 3; do printf '{"id": %s, "text": "%s"}\n' $id "$x" >&"$hold"; done
    for ((i = 0; i < 6000; i++)); do (($(wc -l <"$work/out") >= 2)) && break; sleep 0.01; done
    kill -HUP "$tool"
    rm "$work/in"
}
hang_up :
status=0
wait "$tool" || status=$?
exec {hold}>&-
want_status 129
want_err
check "two whole lines" test "$(python3 "$tests/check_result.py" <"$work/out")" == 2

row "SIGHUP is ignored"
hang_up "trap '' HUP"
sleep 0.3
check "it goes on" kill -0 "$tool"
kill -TERM "$tool"
status=0
wait "$tool" || status=$?
exec {hold}>&-
want_status 143
replay "$work/replay" "$parts" "Walt Whitman."

# ---- RLIMIT_FSIZE

for flags in "" --json --explain; do
    row "file size, output"
    status=0
    # shellcheck disable=SC2086
    (ulimit -f 0; exec "$bin" ask $flags "$x" </dev/null >"$work/full" 2>"$work/err2") || status=$?
    cp "$work/err2" "$work/err" 2>/dev/null
    want_status 1
done
# the message goes to a pipe: a file of it would be too large as well
row "SIGXFSZ"
for command in "attend --quiet x" "models" "--version" "help ask" "eval --help"; do
    # shellcheck disable=SC2086
    { (ulimit -f 0; "$bin" $command </dev/null 2>&1 >"$work/full"; echo "status $?"); } | cat >"$work/out"
    checks=$((checks + 1))
    [[ $(<"$work/out") == "s2a: standard output: File too large; what was printed is not complete
status 1" ]] || fail "s2a $command"
done

row "file size, store"
sed -i '3,$d' "$work/replay" # one record, for every request
printf '%s\n' "Unbiased text context:" "Question/Query: Who wrote it? Walt Whitman, 42." >"$work/all"
evaluate() { limited "$1" "$2" eval qa --limit 6 --arms plain,rewrite --backend script --model "$work/all" \
    --temperature 0 --store "$3"; }
evaluate -f 0 "$work/a.sqlite"
want_status 1
evaluate -f 40 "$work/b.sqlite"
check "status 0 or 1" test "$status" -le 1
rm -f "$work/err"
evaluate -n 256 "$work/a.sqlite"
want_status 0
evaluate -n 256 "$work/b.sqlite"
want_status 0

row "file size, cache"
replay "$work/replay" "$parts"
cached() { limited "$1" "$2" attend --step1-cache 8 "$x"; }
cached -f 0
want_status 0
want_out "$xprime"

row "file size, log"
replay "$work/replay.txt" "$parts" "It was Whitman."
serve_start 'ulimit -f 1' --access-log "$work/log"
serve_answers 20
check "the log is as long as it may be" test "$(stat -c %s "$work/log")" -le 1024
serve_stop

# ---- RLIMIT_NOFILE

row "open files, commands"
echo '{"format": 1, "models": [{"name": "a", "file": "a.gguf", "bytes": 9, "licence": "MIT", "sha256":
  "'"$(printf %064d 0)"'", "sources": [{"type": "url", "url": "http://127.0.0.1:1/x"}]}]}' >"$work/manifest.json"
for n in 3 4 5 6 8 12; do
    for command in "ask x" "models" "pull a" "attend --jsonl" "eval qa --limit 1 --store $work/n$n.sqlite"; do
        # shellcheck disable=SC2086
        S2A_MANIFEST=$work/manifest.json S2A_MODELS=$work/store limited -n $n $command
        checks=$((checks + 1))
        # 3: the model's file cannot be opened; 127: the libraries cannot, and the loader says so
        [[ $status == 0 || $status == 127 || ($status == [13] && $(head -c 5 "$work/err") == "s2a: ") ]] ||
            fail "$n files, $command: status $status"
    done
done

row "open files, serve"
limited -n 5 serve --port 0 --quiet
want_status 1
want_err "s2a: "
serve_start 'ulimit -n 64' --access-log off
python3 - "$port" <<'PY'
import socket, sys
held = []
for _ in range(80): # more than it can have
    s = socket.socket()
    s.settimeout(5)
    try:
        s.connect(("127.0.0.1", int(sys.argv[1])))
    except OSError:
        break
    held.append(s)
PY
serve_answers 3
serve_stop

# ---- full disks

row "full disk, output"
if [[ -c /dev/full ]]; then
    replay "$work/replay" "$parts" "$(seq 1 3000)"
    for flags in "ask --json" "ask --explain" "ask" "attend --json"; do
        status=0
        # shellcheck disable=SC2086
        "$bin" $flags --quiet "$x" >/dev/full 2>"$work/err" </dev/null || status=$?
        : >"$work/out"
        want_status 1
        want_err "standard output: No space left on device; what was printed is not complete"
    done
    replay "$work/replay.txt" "$parts" "It was Whitman."
    : >"$work/err" # what the command before said must not pass for the server's words
    "$bin" serve --port 0 --access-log off >/dev/full 2>"$work/err" </dev/null &
    server=$!
    for ((i = 0; i < 3000; i++)); do
        grep -q "listening\|No space\|asks for" "$work/err" && break
        kill -0 "$server" 2>/dev/null || break
        sleep 0.01
    done
    kill -TERM "$server" 2>/dev/null
    wait "$server"
    server=
    check "why" grep -q "No space left on device" "$work/err"
fi

mkdir "$work/small"
if [[ $(id -u) == 0 ]] && mount -t tmpfs -o size=64k none "$work/small" 2>/dev/null; then
    mounted=$work/small
    full() { head -c 100000 /dev/zero >"$work/small/filler" 2>/dev/null; }

    row "full disk, store"
    full
    evaluate -n 256 "$work/small/a.sqlite"
    want_status 1
    want_err "store $work/small/a.sqlite: "
    rm "$work"/small/*
    evaluate -n 256 "$work/small/a.sqlite"
    cp "$work/small/a.sqlite" "$work/c.sqlite" 2>/dev/null
    evaluate -n 256 "$work/c.sqlite" # goes on with what is there
    want_status 0
    rm -f "$work"/small/*

    row "full disk, cache"
    replay "$work/replay" "$parts"
    mkdir "$work/small/cache"
    full
    XDG_CACHE_HOME=$work/small/cache cached -n 256
    want_status 0
    want_out "$xprime"
    rm -r "$work/small/"*

    row "full disk, log"
    replay "$work/replay.txt" "$parts" "It was Whitman."
    full
    serve_start : --access-log "$work/small/log"
    serve_answers 5
    serve_stop
else
    echo "note: no tmpfs here: a full disk is not tested"
    done_rows+="full disk, store | full disk, cache | full disk, log | "
fi

# ---- every row of the table is a test

test="docs/failures.md"
while IFS=: read -r file name; do
    file=$tests/${file//\`/}
    name=${name# }
    check "no test: $name" grep -qF -e "$name" "$file"
    [[ $file != */failures.sh ]] || check "was not run: $name" grep -qF -e "$name |" <<<"$done_rows"
done < <(sed -n 's/^| .* | \(`[a-z_]*\.sh`: .*\) |$/\1/p' "$top/docs/failures.md")
[[ -z $mounted ]] || { umount "$mounted" && mounted=; }
check "rows" test "$(grep -c '^| .*\.sh`: ' "$top/docs/failures.md")" -ge 20
finish
