#!/usr/bin/env bash
# s2a mcp: what it answers to a client that says lines.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
cd "$work" || exit 1
printf '@score -5 -5\n@score 3 3 9\n@score 9 9 9\nnothing\n' >judge
export S2A_BACKEND=script S2A_MODEL=$work/judge

# says LINE...: all of it, then the end of input
says() {
    test="mcp: ${*:1:1}"
    test=${test:0:200}
    status=0
    printf '%s\n' "$@" | "$bin" mcp >"$work/out" 2>"$work/err" || status=$?
    checks=$((checks + 1))
    python3 - "$work/out" <<'PY' || fail "not a JSON-RPC message a line"
import json, sys
for line in open(sys.argv[1], encoding="utf-8"):
    for m in (lambda v: v if isinstance(v, list) else [v])(json.loads(line)):
        assert m["jsonrpc"] == "2.0" and "id" in m and ("result" in m) != ("error" in m), m
PY
    want_status 0
    want_err
}
want_lines() {
    checks=$((checks + 1))
    [[ $(wc -l <"$work/out") == "$1" ]] || fail "not $1 lines"
}
call() { # ID NAME ARGUMENTS
    printf '{"jsonrpc":"2.0","id":%s,"method":"tools/call","params":{"name":"%s","arguments":%s}}' "$1" "$2" "$3"
}
context='{"question":"When?","documents":["It rained. It is on Friday.","No."]}'

# ---- the handshake
initialize() { # ID PARAMS
    says "{\"jsonrpc\":\"2.0\",\"id\":$1,\"method\":\"initialize\",\"params\":$2}" \
        '{"jsonrpc":"2.0","method":"notifications/initialized"}'
}
for version in 2024-11-05 2025-03-26 2025-06-18 2025-11-25; do
    initialize 0 "{\"protocolVersion\":\"$version\",\"capabilities\":{},\"clientInfo\":{\"name\":\"t\"}}"
    want_lines 1
    want_out_has "\"protocolVersion\":\"$version\""
done
want_out_has '"serverInfo":{"name":"s2a"'
want_out_has '"capabilities":{"tools":{}}'
initialize '"a"' '{"protocolVersion":"1999-01-01"}'
want_out_has '"protocolVersion":"2025-11-25"'
want_out_has '"id":"a"'
initialize 1 '[]'
want_out_has '"protocolVersion":"2025-11-25"'
says '{"jsonrpc":"2.0","id":1,"method":"ping"}'
want_out '{"jsonrpc":"2.0","id":1,"result":{}}'
says '{"jsonrpc":"2.0","id":1,"method":"tools/list"}'
want_out_has '"name":"filter_context"'
want_out_has '"name":"filter_prompt"'
says ''
want_out ""

# ---- the tools
says "$(call 1 filter_context "$context")"
want_out_has '"content":[{"type":"text","text":"It is on Friday."},{"type":"text","text":"No."}]'
want_out_has '"pruned_text":"It is on Friday.","removed":[{"start":0,"end":10,"text":"It rained."}]'
want_out_has '"isError":false'
says "$(call '"b"' filter_prompt '{"text":"It rained. Who is it?"}')"
want_out_has '"id":"b"'
want_out_has '"content":[{"type":"text","text":"Who is it?"}]'
want_out_has '"rewritten":"Who is it?","removed":[{"start":0,"end":10,"text":"It rained."}],"mode":"select","fallback":null'
# what is wrong with the call, and what is wrong with the text
for arguments in '{}' '{"question":"Q?"}' '{"question":"Q?","documents":[]}' '{"question":7,"documents":["a"]}' \
    '{"question":"Q?","documents":["a",7]}' '{"question":"Q?","documents":"a"}' '[]'; do
    says "$(call 1 filter_context "$arguments")"
    want_out_has '"result":{"content":[{"type":"text","text":"filter_context: '
    want_out_has '"isError":true'
done
says "$(call 1 filter_prompt '{"text":[]}')"
want_out_has '"text":"filter_prompt: text must be a string"}],"isError":true}'
says "$(call 1 frob '{}')" '{"jsonrpc":"2.0","id":2,"method":"tools/call"}'
want_out_has '"error":{"code":-32602,"message":"unknown tool: frob"}'
want_out_has '"id":2,"error":{"code":-32602'
says "$(call 1 filter_prompt '{"text":" "}')" "$(call 2 filter_context '{"question":" ","documents":["a"]}')" \
    "$(call 3 filter_context '{"question":"Q?","documents":["", " "]}')"
want_out_has '"id":1,"result":{"content":[{"type":"text","text":"prompt: it is empty; write a question"}],"isError":true}'
want_out_has '"id":2,"result":{"content":[{"type":"text","text":"question: it is empty'
want_out_has '"id":3,"result":{"content":[{"type":"text","text":" "}],"structuredContent"'

# ---- what is no request; after each it goes on
ping='{"jsonrpc":"2.0","id":99,"method":"ping"}'
pong='{"jsonrpc":"2.0","id":99,"result":{}}'
says 'torn {' "$ping"
want_out_has '"id":null,"error":{"code":-32700,"message":"the message: not JSON'
want_out_has "$pong"
says "$(printf '{"a":"\xff"}')" "$ping"
want_out_has '"id":null,"error":{"code":-32700,"message":"the message: invalid UTF-8'
want_out_has "$pong"
for message in '7' '"ping"' 'null' '[]' '{}' '{"id":1,"method":"ping"}' '{"jsonrpc":"1.0","id":1,"method":"ping"}' \
    '{"jsonrpc":"2.0","id":1}' '{"jsonrpc":"2.0","id":null,"method":"ping"}' '{"jsonrpc":"2.0","id":1.5,"method":"ping"}' \
    '{"jsonrpc":"2.0","id":1,"method":7}'; do
    says "$message" "$ping"
    want_lines 2
    want_out_has '"error":{"code":-32600,'
    want_out_has "$pong"
done
says '{"jsonrpc":"2.0","id":1,"method":"resources/list"}' "$ping"
want_out_has '"id":1,"error":{"code":-32601,"message":"unknown method: resources/list"}'
# a notification gets no response, nor does a response
says '{"jsonrpc":"2.0","method":"frob"}' '{"jsonrpc":"2.0","id":1,"result":{}}' '{"jsonrpc":"2.0","method":"tools/call"}' "$ping"
want_out "$pong"
# an array is answered by one
says "[$ping,$(call 1 filter_context "$context"),{\"jsonrpc\":\"2.0\",\"method\":\"notifications/initialized\"},7]"
want_lines 1
check "an array of three" python3 -c '
import json, sys
got = json.load(open(sys.argv[1]))
assert [m["id"] for m in got] == [99, 1, None], got' "$work/out"
says '[{"jsonrpc":"2.0","method":"notifications/initialized"}]'
want_out ""
# a name that would be cut inside a character
says '{"jsonrpc":"2.0","id":1,"method":"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaéé"}'
want_out_has '"error":{"code":-32601,"message":"unknown method: aaa'
# a line past LIMIT_JSON_LINE_BYTES
python3 -c 'print("\"" + "a" * (33 << 20) + "\"")' >long
printf '%s\n' "$ping" >>long
"$bin" mcp <long >"$work/out" 2>"$work/err"
want_out_has '"error":{"code":-32700,"message":"the message is too long'
want_out_has "$pong"

# ---- anything: each line gets one response at most, and what follows is answered
cat >"$work/random.py" <<'P'
import json, random, subprocess, sys
tool, judge = sys.argv[1:]
rng = random.Random(1)
def rpc(method, params): return {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
seeds = [rpc("initialize", {"protocolVersion": "2025-11-25"}), rpc("ping", None), rpc("tools/list", {"cursor": ""}),
         rpc("tools/call", {"name": "filter_prompt", "arguments": {"text": "It rained. Who is it?"}}),
         rpc("tools/call", {"name": "filter_context", "arguments": {"question": "When?", "documents": ["No.", ""]}}),
         [rpc("ping", {}), {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": 1}}]]
values = [None, True, -1, 1.5, 1e308, "", "\ud800", "\0", "ping", [], [[]], {}, {"id": 2}, "a" * 5000]

def changed(value):
    if rng.random() < 0.12:
        return rng.choice(values)
    if isinstance(value, dict):
        return {k if rng.random() < 0.97 else k + "x": changed(v) for k, v in value.items() if rng.random() < 0.95}
    return [changed(v) for v in value for _ in range(rng.choice((1, 1, 1, 0, 2)))] if isinstance(value, list) else value

lines = []
for _ in range(2000):
    line = bytearray(json.dumps(changed(rng.choice(seeds))).encode())
    for _ in range(rng.choice((0, 0, 0, 1, 3))):
        at = rng.randrange(len(line))
        line[at : at + rng.choice((0, 1))] = bytes([rng.randrange(256)])
    at = rng.randrange(len(line)) if rng.random() < 0.2 else len(line)
    lines.append(bytes(line[:at]).replace(b"\n", b""))
# the end of input would overtake calls that wait, so that some lines more than fit are refused as busy
lines.append(b'{"jsonrpc":"2.0","id":"end","method":"ping"}')
done = subprocess.run([tool, "mcp", "--model", judge], input=b"\n".join(lines) + b"\n", stdout=subprocess.PIPE, timeout=100)
answers = [json.loads(line) for line in done.stdout.decode().splitlines()]
for m in answers:
    for one in m if isinstance(m, list) else [m]:
        assert one["jsonrpc"] == "2.0" and ("result" in one) != ("error" in one), one
        assert one["id"] is None or isinstance(one["id"], (str, int)), one
assert {"jsonrpc": "2.0", "id": "end", "result": {}} in answers
assert done.returncode == 0 and 500 < len(answers) <= len(lines), (done.returncode, len(answers))
P
printf '@score 3 3 3\nnothing\n' >steady
check "lines of any kind" python3 "$work/random.py" "$bin" "$work/steady"

# ---- while the model works: pings, cancelled calls, LIMIT_MCP_CALLS
cat >"$work/client.py" <<'P'
"""A client that does not wait. The judge sleeps for 30 s: what is not cancelled would take that long."""
import json, re, subprocess, sys, time
tool, work, top = sys.argv[1:]
open(work + "/sleeps", "w").write("@score 3 3 3\n@sleep 30000\nnothing\n")
limit = int(re.search(r"LIMIT_MCP_CALLS \(\(size_t\)(\d+)\)", open(top + "/src/base/limits.h").read())[1])
server = subprocess.Popen([tool, "mcp", "--model", work + "/sleeps"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                          text=True, encoding="utf-8")

def say(message):
    server.stdin.write(json.dumps({"jsonrpc": "2.0", **message}) + "\n")
    server.stdin.flush()

def hear():
    return json.loads(server.stdout.readline())

def call(number):
    say({"id": number, "method": "tools/call", "params": {"name": "filter_prompt", "arguments": {"text": "Who is it?"}}})

def cancel(number):
    say({"method": "notifications/cancelled", "params": {"requestId": number, "reason": "test"}})

started = time.monotonic()
call("runs")
say({"id": 1, "method": "ping"})
assert hear() == {"jsonrpc": "2.0", "id": 1, "result": {}}
call("waits")
cancel("waits")
cancel("nobody")
say({"method": "notifications/cancelled"})
time.sleep(0.5)
cancel("runs")
# neither is answered; the next is
say({"id": 2, "method": "tools/call", "params": {"name": "filter_prompt", "arguments": {}}})
assert hear()["id"] == 2
# the limit wait, one may run, and all others are refused
for i in range(2 * limit):
    call(i)
say({"id": "end", "method": "ping"})
refused = []
while (answer := hear())["id"] != "end":
    assert answer["error"]["code"] == -32000, answer
    refused.append(answer["id"])
assert limit - 1 <= len(refused) <= limit and min(refused) >= limit, refused
for i in range(2 * limit):
    cancel(i)
server.stdin.close()
assert server.stdout.read() == ""
assert server.wait(20) == 0
assert time.monotonic() - started < 25
P
test="a client that does not wait"
checks=$((checks + 1))
timeout 100 python3 "$work/client.py" "$bin" "$work" "$top" >"$work/out" 2>"$work/err" || fail "it did not go as it should"

# ---- how it ends
test="mcp, and SIGTERM"
mkfifo in
"$bin" mcp --model "$work/sleeps" <in >"$work/out" 2>"$work/err" &
pid=$!
exec 9>in
call 1 filter_prompt '{"text":"Who is it?"}' >&9
printf '\n' >&9
sleep 1
kill -TERM $pid
status=0
wait $pid || status=$?
exec 9>&-
want_status 143
want_err
want_out ""
checks=$((checks + 1))
status=0
printf '%s\n' "$ping" | "$bin" mcp >/dev/full 2>"$work/err" || status=$?
want_status 1
refused 2 'mcp: "x": it takes no words' mcp x
refused 3 "$work/nowhere" mcp --model "$work/nowhere"
# where nothing judges, prompts are rewritten, and documents refused
printf '%s\n' "$parts" >writes
export S2A_MODEL=$work/writes
says "$(call 1 filter_prompt "{\"text\":\"$x\"}")" "$(call 2 filter_context "$context")"
want_out_has "\"rewritten\":\"$xprime\""
want_out_has '"mode":"rewrite"'
want_out_has '"id":2,"result":{"content":[{"type":"text","text":"documents need mode select, and there is no judge model'
finish
