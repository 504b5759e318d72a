#!/usr/bin/env bash
# s2a bench on the script backend, with a llama-server that is none: the object, the files, what lacks, what is
# refused, and that nothing is left behind by an interrupt.
source "$(dirname "${BASH_SOURCE[0]}")/../cli/lib.sh"
test="s2a bench"
# cairo's fonts leak; the sanitizer need not say that it looks away.
export LSAN_OPTIONS=${LSAN_OPTIONS:+$LSAN_OPTIONS:}print_suppressions=0
printf '%s\n' '@sleep 3' '@score -0.1 -3 -3' 'Unbiased text context: The bridge was opened in 1850.' '' \
    'Question/Query: In which year was the bridge opened?' >"$work/replay"
bench() { run bench --backend script --model "$work/replay" "$@" </dev/null; }

# ---- refused, before anything is run
refused 2 '--frob: no such option' bench --frob
refused 2 '--repeat: its value is missing' bench --repeat
refused 2 'one word too many' bench qa
for value in 0 -1 x 1001 ""; do refused 2 '--repeat: ' bench --repeat "$value"; done
for value in 63 1000001 200,x 200,200 "" 200,,300 $(seq -s, 100 116); do
    refused 2 '--lengths: ' bench --lengths "$value"
done
for value in 0 65 1,1; do refused 2 '--concurrency: ' bench --concurrency "$value"; done
for value in 0 -1 nan x; do refused 2 '--minutes: ' bench --minutes "$value"; done
refused 2 '--server and --no-server: give one' bench --server x --no-server
S2A_URL=http://127.0.0.1:1/v1 refused 2 'it measures this machine, not a server' bench --quick
refused 2 '--out: it is empty' bench --out ""
refused 3 'no-such-file' bench --backend script --model "$work/no-such-file" --quick
refused 3 'unknown' bench --model unknown --quick --no-server
echo plain >"$work/plain"
refused 3 "--server $work/plain: Permission denied" bench --backend script --model "$work/replay" \
    --server "$work/plain"
refused 3 'No such file' bench --backend script --model "$work/replay" --server "$work/none"
refused 1 'cannot make the directory' bench --backend script --model "$work/replay" --out "$work/plain/x"
run bench-worker x
want_status 2

# ---- without a server: null, and why
bench --quick --lengths 64,128 --concurrency 1,2 --repeat 2 --json --quiet --out "$work/out.d"
want_status 0
want_err
cat >"$work/check.py" <<'P'
import json, sys
o = json.load(open(sys.argv[1]))
names = ["select_step1_speedup", "select_total_over_plain", "rewrite_speedup", "rewrite_share_of_limit",
         "rewrite_over_server_speculation", "throughput_8_over_server", "rss_over_server", "growth_exponent"]
assert list(o) == names + ["detail"], list(o)
d = o["detail"]
missing = d["not_measured"]
for n in names:
    assert (o[n] is None) == (n in missing), n
for n in sys.argv[2].split():
    assert n in missing and missing[n], n
assert len(missing) == len(sys.argv[2].split()), missing
assert d["machine"]["cores"] > 0 and d["model"]["sha256"] and d["segment_mb_per_s"] > 0
for c in d["cells"]:
    assert c["n"] > 0 and c["total_ms"]["q1"] <= c["total_ms"]["median"] <= c["total_ms"]["q3"]
for r in d["runs"]:
    assert 0 <= r["step1_ms"] <= r["total_ms"] <= r["wall_ms"] and r["peak_rss_kb"] > 0, r
    assert abs(r["input_tokens"] / r["concurrency"] - r["length"]) <= 12, r
P
check "the object without a server" python3 "$work/check.py" "$work/out" "select_step1_speedup
    rewrite_speedup rewrite_share_of_limit rewrite_over_server_speculation throughput_8_over_server rss_over_server"
check "the file is the object" python3 -c '
import json, sys
a, b = (json.load(open(f)) for f in sys.argv[1:])
assert a["detail"]["cells"] == b["detail"]["cells"]' "$work/out" "$work/out.d/bench.json"
for file in runs.csv cells.csv figures.csv verdict.txt time-over-length.svg time-over-length.png \
    throughput-over-concurrency.svg throughput-over-concurrency.png; do
    check "--out has $file" test -s "$work/out.d/$file"
done

# the same prompts in the same order of arms
order() { cut -d, -f1-5 "$1/runs.csv"; }
bench --quick --lengths 64,128 --concurrency 1,2 --repeat 2 --quiet --out "$work/again.d"
want_out_has "not measured"
check "a run is repeatable" cmp <(order "$work/out.d") <(order "$work/again.d")
bench --lengths 64 --concurrency 1 --repeat 1 --quiet --out "$work/other.d" --no-server --seed 5
checks=$((checks + 1))
[[ $(order "$work/other.d" | head -n 1) == "$(order "$work/out.d" | head -n 1)" ]] || fail "columns differ"

# ---- with a server
cat >"$work/llama-server" <<'P'
#!/usr/bin/env python3
"""What the benchmark asks of llama-server. It takes 30 ms for a prompt, 5 less with speculation."""
import http.server, json, os, sys, time
args = sys.argv[1:]
if args == ["--version"]:
    print("version: 1 (test)", file=sys.stderr)
    sys.exit(0)
def value(name): return args[args.index(name) + 1]
open(os.environ["LOG"], "a").write(" ".join(args) + "\n")
open(os.environ["LOG"] + ".pid", "a").write("%d\n" % os.getpid())
if os.environ.get("FAULT") == "start" or os.environ.get("FAULT") == value("--spec-type") if "--spec-type" in args else False:
    print("error: this one does not run", file=sys.stderr)
    sys.exit(1)
text = ("Unbiased text context: The bridge was opened in 1850.\n\nQuestion/Query: In which year was the "
        "bridge opened?")
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def log_message(self, *a): pass
    def reply(self, kind, body):
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def do_GET(self):
        self.reply("application/json", b'{"object":"list","data":[{"id":"fake","object":"model"}]}')
    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        assert asked["temperature"] == 0
        time.sleep(float(os.environ.get("SLOW", 0)) + (0.025 if "--spec-type" in args else 0.03))
        if os.environ.get("FAULT") == "die" and len(open(os.environ["LOG"]).readlines()) > 1 + 3:
            os._exit(3)
        def chunk(delta, end=None): return {"choices": [{"index": 0, "delta": delta, "finish_reason": end}]}
        last = chunk({}, "stop")
        last["usage"] = {"prompt_tokens": 90, "completion_tokens": 15}
        last["timings"] = {"prompt_n": 50, "cache_n": 40, "predicted_n": 15, "draft_n": 10, "draft_n_accepted": 5}
        events = [chunk({"content": w + " "}) for w in text.split(" ")] + [last]
        self.reply("text/event-stream", ("".join("data: %s\n\n" % json.dumps(e) for e in events) + "data: [DONE]\n\n").encode())
http.server.ThreadingHTTPServer((value("--host"), int(value("--port"))), Handler).serve_forever()
P
chmod +x "$work/llama-server"
export LOG=$work/servers
# none ARGUMENT...: no server of this test and no worker is left
none() {
    checks=$((checks + 1))
    local pid
    for pid in $(cat "$LOG.pid" 2>/dev/null); do
        [[ ! -d /proc/$pid ]] || grep -q '^State:.Z' "/proc/$pid/status" 2>/dev/null || fail "a server is left: $pid"
    done
    ! pgrep -f "^$bin bench-worker" >/dev/null || fail "a worker is left"
    rm -f "$LOG" "$LOG.pid"
}
rm -f "$LOG" "$LOG.pid"
bench --quick --lengths 64,256 --concurrency 8 --repeat 2 --json --quiet --server "$work/llama-server"
want_status 0
want_err
check "the object with a server" python3 "$work/check.py" "$work/out" ""
check "speculation is tried and the best taken" python3 -c '
import json, sys
d = json.load(open(sys.argv[1]))["detail"]
assert d["server"]["version"] == "version: 1 (test)", d["server"]
assert len(d["server"]["trials"]) == 2 and d["server"]["speculation"] in [t["speculation"] for t in d["server"]["trials"]]
naive = [c for c in d["cells"] if c["arm"] == "naive" and c["concurrency"] == 1][0]
assert naive["n"] == 2 and naive["step1_ms"]["median"] >= 30 and naive["drafted_tokens"] == 20, naive
assert naive["acceptance"] == 0.5
' "$work/out"
checks=$((checks + 1))
[[ $(grep -c -- '--parallel 8 .*--threads' "$LOG") == 4 ]] || fail "four servers with eight slots: $(cat "$LOG")"
none
# a kind of speculation that does not run is passed over
FAULT=ngram-simple bench --lengths 64 --concurrency 1 --repeat 1 --json --quiet --server "$work/llama-server"
want_status 0
check "another kind is taken" python3 -c '
import json, sys
s = json.load(open(sys.argv[1]))["detail"]["server"]
ran = {t["speculation"]: t["step1_ms"] is not None for t in s["trials"]}
assert len(ran) == 6 and not ran["ngram-simple"] and ran["ngram-mod"] and ran[s["speculation"]], s' "$work/out"
none
# a server that does not start, or dies: the rest is measured, and the reason is there
cat >"$work/broken" <<'P'
#!/bin/sh
echo "error: no such model format" >&2
exit 1
P
chmod +x "$work/broken"
bench --quick --lengths 64,128 --concurrency 1 --repeat 1 --ctx 8192 --json --quiet --server "$work/broken"
want_status 0
want_out_has "llama-server ended before it was ready; it said: error: no such model format"
check "select over plain is there" python3 -c '
import json, sys
o = json.load(open(sys.argv[1]))
assert o["select_total_over_plain"] > 0 and o["growth_exponent"] is not None' "$work/out"
FAULT=die bench --quick --lengths 64,128 --concurrency 1 --repeat 2 --json --quiet --server "$work/llama-server"
want_status 0
want_out_has '"rewrite_speedup":null'
none

# ---- a text that does not fit is no failure of the run
{
    for _ in {1..7}; do
        cat "$work/replay"
        echo '%%'
    done
    printf '@error limit the prompt does not fit\n'
} >"$work/limit"
run bench --backend script --model "$work/limit" --lengths 64 --concurrency 1 --repeat 3 --json --quiet --no-server
want_status 0
want_out_has '"reason":"script: the prompt does not fit"'
printf '@score -1 -1 -1\n@error limit the prompt does not fit\n' >"$work/limit"
refused 1 'nothing could be measured: select: script: the prompt does not fit' bench --backend script \
    --model "$work/limit" --lengths 64 --repeat 1 --no-server

# ---- time is short
bench --lengths 64,128 --concurrency 1 --repeat 1000 --minutes 0.1 --json --quiet --no-server
want_status 0
want_out_has 'left out: '
checks=$((checks + 1))
python3 -c '
import json, sys
assert len(json.load(open(sys.argv[1]))["detail"]["runs"]) < 5900' "$work/out" || fail "it did not stop in time"

# ---- an interrupt: the status, no process, what there was
# begun TEXT ARGUMENT...: in the background, until its notes have TEXT
begun() {
    rm -f "$work/err" # of the one before: it has such a text too
    "$bin" bench --backend script --model "$work/replay" --repeat 500 --lengths 64 --concurrency 1 --ctx 8192 -v \
        --out "$work/int.d" "${@:2}" </dev/null >"$work/out" 2>"$work/err" &
    tool=$!
    for _ in {1..600}; do
        ! grep -qs -e "$1" "$work/err" || return
        sleep 0.05
    done
    fail "no \"$1\""
}
served() { # until the server runs: before, it may still be on its way to it
    for _ in {1..600}; do
        [[ ! -s $LOG.pid ]] || return
        sleep 0.05
    done
    fail "no server was started"
}
interrupt() { # SIGNAL STATUS
    test="s2a bench and $1"
    kill -s "$1" "$tool"
    status=0
    wait "$tool" || status=$?
    want_status "$2"
    want_out ""
    none
}
begun "run 3 of" --no-server
interrupt INT 130
check "it says so" grep -q '^s2a: stopped; the ' "$work/err"
check "runs until then are kept" grep -q '^select,64,1,' "$work/int.d/runs.csv"
begun "run 3 of" --no-server
interrupt TERM 143
export SLOW=30
begun "with ngram-simple" --server "$work/llama-server" # its first answer will not come
served
interrupt INT 130
# and when the tool is killed, nothing outlives it
test="s2a bench, killed"
begun "with ngram-simple" --server "$work/llama-server"
served
kill -KILL "$tool"
wait "$tool" 2>/dev/null
sleep 0.3
none
finish
