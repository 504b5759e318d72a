#!/usr/bin/env bash
# s2a serve from the command line: what it prints, its signals, its log, its keys, its faults.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
command -v python3 >/dev/null || { echo "python3 is not here"; exit 77; }
server=
trap '[[ -z $server ]] || kill -9 $server 2>/dev/null; rm -rf "$work"' EXIT

# start ARGUMENT...: the server on a free port; $url is where it is.
start() {
    test="s2a serve $*"
    : >"$work/out"
    : >"$work/err"
    "$bin" serve --port 0 "$@" >"$work/out" 2>>"$work/err" &
    server=$!
    for ((i = 0; i < 500; i++)); do
        [[ -s $work/out ]] && break
        kill -0 $server 2>/dev/null || break
        sleep 0.02
    done
    url=$(head -n 1 "$work/out")
    checks=$((checks + 1))
    [[ $url == http*://*:*/v1 ]] || fail "it did not start"
}

# stop [SIGNAL]: ends it; its exit status is in $status.
stop() {
    [[ ${1-} == 0 ]] || kill "-${1:-TERM}" $server
    status=0
    wait $server || status=$?
    server=
}

# ask PATH BODY [FIELD...]: prints status, fields and body of the answer.
ask() {
    python3 - "$url" "$@" <<'PY'
import ssl, sys, urllib.error, urllib.request
url, path, body = sys.argv[1], sys.argv[2], sys.argv[3]
base = url[:-3]
request = urllib.request.Request(base + path, body.encode() if body else None,
                                 {"Content-Type": "application/json"})
for field in sys.argv[4:]:
    name, value = field.split(": ", 1)
    request.add_header(name, value)
context = ssl._create_unverified_context()
try:
    answer = urllib.request.urlopen(request, context=context, timeout=20)
except urllib.error.HTTPError as e:
    answer = e
print(answer.status, answer.headers, answer.read().decode())
PY
}

# Until a worker works, and the client has been waiting a little.
wait_busy() {
    for ((i = 0; i < 100; i++)); do
        [[ $(ask /metrics "") == *"s2a_workers_busy 1"* ]] && return
    done
    fail "no worker works"
}

answer() { # answer WANTED ARGUMENT-OF-ask...
    checks=$((checks + 1))
    local got
    got=$(ask "${@:2}" 2>&1)
    [[ $got == *"$1"* ]] || fail "$1 is not in: ${got:0:600}"
}

chat='{"model":"s2a-replay.txt","messages":[{"role":"user","content":"'$x'"}]}'
replay "$work/replay.txt" "$parts" "It was Whitman."

# ---- it answers, logs a line a request without the prompt, and ends
start
answer '"content":"It was Whitman."' /v1/chat/completions "$chat" "X-Request-Id: id-7"
answer '"id":"s2a-replay.txt"' /v1/models ""
answer '<h1' / ""
stop
want_status 0
check "a line of the log is JSON" python3 - "$work/err" <<'PY'
import json, sys
lines = [json.loads(l) for l in open(sys.argv[1]) if l.startswith("{")]
first = lines[0]
assert len(lines) == 3, lines
assert first["id"] == "id-7" and first["status"] == 200 and first["complete"], first
assert first["path"] == "/v1/chat/completions" and first["mode"] == "rewrite", first
assert first["fallback"] is None and first["removed_bytes"] > 0 and "prompt" not in first, first
PY
want_err_text() {
    checks=$((checks + 1))
    grep -qF -e "$1" "$work/err" || fail "not in standard error: $1"
}
want_err_text "s2a: model replay.txt; s2a-replay.txt asks for S2A"
check "the prompt is not logged" bash -c '! grep -q Poe "$1"' - "$work/err"

start --quiet --access-log "$work/log" --log-prompts --show none
answer '"content":"It was Whitman."},' /v1/chat/completions "$chat"
stop INT
want_status 0
want_err
check "the prompt is logged where that is asked for" grep -q '"prompt":"I think it was Poe' "$work/log"
check "and x'" grep -q "\"rewritten\":\"$xprime\"" "$work/log"

# ---- keys, from the file or the environment; SIGHUP reads them again and opens the log again
printf %s one | sha256sum >"$work/keys"
start --api-keys "$work/keys" --access-log "$work/log2"
answer 401 /v1/models ""
answer 200 /v1/models "" "Authorization: Bearer one"
printf %s two | sha256sum >"$work/keys"
mv "$work/log2" "$work/log2.old"
kill -HUP $server
for ((i = 0; i < 100; i++)); do grep -q "1 keys" "$work/err" && break; sleep 0.02; done
answer 401 /v1/models "" "Authorization: Bearer one"
answer 200 /v1/models "" "Authorization: Bearer two"
echo nonsense >"$work/keys"
kill -HUP $server
for ((i = 0; i < 100; i++)); do grep -q "stay as they were" "$work/err" && break; sleep 0.02; done
want_err_text "the keys stay as they were"
answer 200 /v1/models "" "Authorization: Bearer two"
stop
want_status 0
check "the log was opened again" test -s "$work/log2"
printf %s one | sha256sum >"$work/keys"
S2A_SERVE_API_KEYS_FILE=$work/keys start
answer 401 /v1/models ""
stop

# ---- it lets what runs end, and a second signal does not
replay "$work/replay.txt" "@sleep 4000
$parts" "It was Whitman."
start
ask /v1/chat/completions "$chat" >"$work/answer" 2>&1 &
asking=$!
wait_busy
stop
want_status 0
wait $asking
check "the answer came" grep -q "It was Whitman" "$work/answer"
want_err_text "1 requests are not answered yet"
replay "$work/replay.txt" "@sleep 30000
x"
for more in "" twice; do
    start --drain-ms "$([[ $more ]] && echo 20000 || echo 300)"
    ask /v1/chat/completions "$chat" >"$work/answer" 2>&1 &
    asking=$!
    wait_busy
    SECONDS=0
    kill $server
    [[ -z $more ]] || { sleep 0.3; kill $server; }
    stop 0
    want_status 0
    checks=$((checks + 1))
    ((SECONDS < 6)) || fail "it took $SECONDS s to end"
    wait $asking
done

# ---- standard error, or the log, that nobody reads: it answers, reloads and ends
mkfifo "$work/stuck"
exec 9<>"$work/stuck"
python3 - "$work/stuck" <<'PY'
import os, sys
fd = os.open(sys.argv[1], os.O_WRONLY | os.O_NONBLOCK)
try:
    while True:
        os.write(fd, b"x" * 4096)
except BlockingIOError:
    pass
PY
for log in - "$work/stuck"; do
    : >"$work/out"
    test="s2a serve --access-log $log, stuck"
    "$bin" serve --port 0 --verbose --access-log "$log" --api-keys "$work/keys" >"$work/out" 2>"$work/stuck" &
    server=$!
    for ((i = 0; i < 500; i++)); do [[ -s $work/out ]] && break; sleep 0.02; done
    url=$(head -n 1 "$work/out")
    for ((i = 0; i < 3; i++)); do answer '"status":"ok"' /health ""; done
    kill -HUP $server
    sleep 0.2
    kill -HUP $server
    answer '"status":"ok"' /health ""
    SECONDS=0
    stop
    want_status 0
    checks=$((checks + 1))
    ((SECONDS < 8)) || fail "it took $SECONDS s to end"
done
exec 9>&-

# ---- a burst of idle connections, far more than are let in: it answers after that, and ends
start --max-connections 64 --access-log off
for _ in 1 2 3; do
    python3 - "$url" <<'PY'
import socket, sys, time, urllib.parse
at = urllib.parse.urlsplit(sys.argv[1])
sockets = []
for i in range(900):
    s = socket.socket()
    s.setblocking(False)
    s.connect_ex((at.hostname, at.port))
    sockets.append(s)
time.sleep(0.5)
PY
done
answer '"status":"ok"' /health ""
SECONDS=0
stop
want_status 0
checks=$((checks + 1))
((SECONDS < 6)) || fail "it took $SECONDS s to end after a burst"

# ---- TLS
if command -v openssl >/dev/null; then
    openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost -keyout "$work/key.pem" \
        -out "$work/cert.pem" 2>/dev/null
    replay "$work/replay.txt" "$parts" "It was Whitman."
    start --tls-cert "$work/cert.pem" --tls-key "$work/key.pem"
    checks=$((checks + 1))
    [[ $url == https://* ]] || fail "$url is not https"
    answer '"content":"It was Whitman."' /v1/chat/completions "$chat"
    stop
    want_status 0
    refused 2 "not a PEM certificate" serve --port 0 --tls-cert "$work/replay.txt" \
        --tls-key "$work/key.pem"
fi

# ---- in front of a server
replay "$work/replay.txt" "$parts" "It was Whitman."
start
behind=$url backend=$server
: >"$work/out"
S2A_BACKEND='' S2A_MODEL='' start --upstream "$behind"
answer '"content":"It was Whitman."' /v1/chat/completions "$chat"
answer '"id":"s2a-s2a-replay.txt"' /v1/models ""
want_err_text "in front of $behind; s2a-MODEL asks for S2A"
stop
want_status 0
server=$backend
stop

# ---- what it refuses
refused 2 "serve takes options only" serve text
refused 2 "--port: 65536 is out of range" serve --port 65536
refused 2 "--prefix" serve --prefix 'a b'
refused 2 "--show" serve --show everything
refused 2 "--tls-cert and --tls-key: give both" serve --tls-cert x
refused 2 "--forward-authorization: it needs --upstream" serve --forward-authorization
refused 2 "no such option" serve --nonsense
refused 2 "put the keys of clients into a file" serve --api-key=geheim
refused 2 "its value is missing" serve --port
refused 2 "each request names its own" serve --upstream http://h/v1 --model m
refused 2 "--upstream: not a base URL" serve --upstream nonsense
refused 2 "S2A_API_KEY" serve --upstream http://me:secret@127.0.0.1:1/v1
refused 2 "--host nowhere: not an address" serve --host nowhere
refused 1 "/nonexistent: No such file" serve --api-keys /nonexistent
printf %s "" | sha256sum >"$work/empty"
refused 2 "SHA-256 of an empty key" serve --api-keys "$work/empty"
refused 2 "--allow-host" serve --allow-host 'a b'
refused 2 "--allow-origin" serve --allow-origin http://localhost:3000/
refused 2 "no key in it" serve --api-keys /dev/null
refused 1 "--access-log /nonexistent/x" serve --access-log /nonexistent/x
start
port=${url##*:}
busy=$server
run serve --port "${port%/v1}" </dev/null
want_status 1
want_err "Address already in use; choose another with --port"
server=$busy
stop
S2A_MODEL=/nonexistent run serve --port 0 </dev/null
want_status 3
finish
