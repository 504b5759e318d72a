#!/usr/bin/env bash
# s2a calibrate on the script backend: borders that are found, kept, shown, used and forgotten.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

# model NAME GOOD BAD: a script that gives needed units log-odds of GOOD and the others of BAD, for each
# prompt of the built-in set in its order.
model() {
    python3 - "$top/data/calibration.jsonl" "$2" "$3" >"$work/$1" <<'P'
import json, sys
good, bad = float(sys.argv[2]), float(sys.argv[3])
records = []
for n, line in enumerate(open(sys.argv[1])):
    rows = []
    for i, (label, _) in enumerate(json.loads(line)["units"]):
        if label == "question":
            continue
        wave = ((n * 7 + i * 3) % 5) / 10
        relevance = (bad if label == "unrelated" else good) + wave
        opinion = (bad if label == "opinion" else good) + wave
        rows.append(f"@score -1 {-1 - relevance:.3f} {-1 - opinion:.3f}")
    records.append("\n".join(rows))
print("\n%%\n".join(records))
P
}
export S2A_BACKEND=script
# Its scale is not the default's: there everything would go.
model low.txt -6 -14
model blind.txt 1 1
kept=$HOME/.local/share/s2a/calibration
text='The lamp costs 8 dollars. It is green. My aunt sings. How much is the lamp?'

# ---- before: the default, by which this model removes everything but the question
run calibrate --show "$work/low.txt"
want_status 0
want_err
want_out_has "source     default"
want_out_has "relevance_border -1, relevance_ratio 0.6, relevance_cap 5, opinion_border 1"
run attend --model "$work/low.txt" "$text"
want_out "How much is the lamp?"

# ---- calibrating
run calibrate --json "$work/low.txt"
want_status 0
want_err
checks=$((checks + 1))
python3 - "$work/out" "$kept" <<'P' || fail "the object is not as the manual says"
import json, os, sys
o = json.load(open(sys.argv[1]))
assert o["separates"] == {"relevance": True, "opinion": True} and o["auc"] == {"relevance": 1.0, "opinion": 1.0}
assert o["prompts"] == 40 and o["tokens"] > 0 and o["ms"] >= 0
for part in (o["held_out"], o["chosen"]):
    for kind, done in (("needed", "needed_kept"), ("unrelated", "unrelated_removed"), ("opinions", "opinions_removed")):
        assert part[kind] == part[done] > 20 - (kind == "opinions"), part
select = o["select"]
assert list(select) == ["relevance_border", "relevance_ratio", "relevance_cap", "opinion_border", "relevance_gap"]
assert select["relevance_gap"] == 0
assert -14 < select["relevance_border"] <= -6 and -14 < select["opinion_border"] <= -6
assert o["file"].startswith(sys.argv[2] + "/low.txt-")
f = json.load(open(o["file"]))
assert f["select"] == select and f["model"] == o["model"] == "low.txt %d" % os.path.getsize(os.path.dirname(sys.argv[1]) + "/low.txt")
P
check "nothing is left beside the file" test "$(find "$kept" -type f | wc -l)" = 1

# ---- and now it is used: needed ones stay, by ask, attend and eval
run attend --model "$work/low.txt" "$text"
want_status 0
want_out "The lamp costs 8 dollars. It is green. How much is the lamp?"
run attend --verbose --model "$work/low.txt" "$text"
want_err "borders of mode select: calibrated"
run calibrate --show --json "$work/low.txt"
checks=$((checks + 1))
python3 -c '
import json, sys
o = json.load(open(sys.argv[1]))
assert o["source"] == "calibrated" and json.load(open(o["file"]))["select"] == o["select"]' "$work/out" ||
    fail "--show --json"
# by another path, it is the same model; with other bytes, it is another
mkdir "$work/sub"
cp "$work/low.txt" "$work/sub/low.txt"
run calibrate --show "$work/sub/low.txt"
want_out_has "source     calibrated"
echo >>"$work/sub/low.txt"
run calibrate --show "$work/sub/low.txt"
want_out_has "source     default"

# eval made its records with other borders: they are made again, and not when nothing changed
run eval math --k 1 --limit 4 --arms select --model "$work/low.txt" --temperature 0 --store "$work/e.sqlite" --json
cp "$work/out" "$work/calibrated"
run eval math --k 1 --limit 4 --arms select --model "$work/low.txt" --temperature 0 --store "$work/e.sqlite" --json
check "the same borders, the same records" cmp -s "$work/calibrated" "$work/out"
HOME=$work/nobody run eval math --k 1 --limit 4 --arms select --model "$work/low.txt" --temperature 0 \
    --store "$work/e.sqlite" --json
want_status 0
checks=$((checks + 1))
python3 - "$work/calibrated" "$work/out" <<'P' || fail "other borders, the same records"
import json, sys
kept = [[u[2] for i in json.load(open(f))["items"] for u in i["arms"]["select"]["units"]] for f in sys.argv[1:]]
assert len(kept[0]) == len(kept[1]) > 0 and any(kept[0]) and not any(kept[1]), kept
P

# ---- twice gives the same; text for people; the snippet of a manifest
cp "$kept"/low.txt-*.json "$work/first"
run calibrate --model "$work/low.txt" --out "$work/snippet"
want_status 0
want_err
want_out_has "model      low.txt"
want_out_has "held out   "
want_out_has "relevance  AUC 1.000"
check "the same again" cmp -s "$work/first" "$kept"/low.txt-*.json
checks=$((checks + 1))
python3 -c '
import json, sys
a, b = json.load(open(sys.argv[1])), json.load(open(sys.argv[2]))
assert a == {"select": b["select"]}' "$work/snippet" "$work/first" || fail "--out"
run calibrate --quiet "$work/low.txt"
want_status 0
want_out ""
want_err

# ---- a damaged file is said and not used; calibrating again writes a whole one
for file in "$kept"/low.txt-*.json; do printf '{"format": 1' >"$file"; done
run attend --model "$work/low.txt" "$text"
want_status 0
want_err "note: the calibration was not used: $kept/low.txt-"
want_out "How much is the lamp?"
run calibrate --quiet "$work/low.txt"
check "whole again" cmp -s "$work/first" "$kept"/low.txt-*.json

# ---- forgetting
run calibrate --reset "$work/low.txt"
want_status 0
want_out_has "removed the calibration of low.txt"
run calibrate --reset "$work/low.txt"
want_status 0
want_out_has "there is no calibration of low.txt"
run attend --model "$work/low.txt" "$text"
want_out "How much is the lamp?"

# ---- a model that cannot tell: harmless borders, and status 1
run calibrate "$work/blind.txt"
want_status 1
want_err "does not tell needed sentences from others"
want_out_has "not told apart"
want_out_has "relevance_border -1000, relevance_ratio 0, relevance_cap 0, opinion_border -1000"
run attend --model "$work/blind.txt" "$text"
want_out "$text"

# ---- a signal: nothing is written
{ echo '@sleep 20000'; cat "$work/low.txt"; } >"$work/slow.txt"
"$bin" calibrate "$work/slow.txt" >"$work/out" 2>"$work/err" &
pid=$!
sleep 1
kill -INT $pid
status=0
wait $pid || status=$?
test="interrupted"
want_status 130
want_err "nothing was written"
want_out ""
check "no file" test -z "$(find "$kept" -name 'slow*')"

# ---- on a server, known by its URL and the model's name
cat >"$work/server.py" <<'P'
"""Chat completions of one token: what the labels of the built-in set say, as top_logprobs."""
import http.server, json, re, sys
label_of = {}
for line in open(sys.argv[1]):
    for label, text in json.loads(line)["units"]:
        label_of[" ".join(text.split()[:12])] = label
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def log_message(self, *a): pass
    def reply(self, body, status=200):
        body = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def do_GET(self):
        self.reply({"object": "list", "data": [{"id": "judge", "object": "model"}]})
    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if "mute" in self.path:
            return self.reply({"choices": [{"index": 0, "message": {"role": "assistant", "content": "x"}, "finish_reason": "length"}]})
        said = re.match(r'\[\d+\] "(.*?)(\.\.\.)?" is$', body["messages"][-1]["content"], re.S)
        label = label_of.get(said.group(1), "needed") if said else "needed"
        top = [{"token": " " + t, "logprob": -0.1 if t == label else -6.0, "bytes": None} for t in ("needed", "unrelated", "opinion")]
        self.reply({"choices": [{"index": 0, "message": {"role": "assistant", "content": " " + label}, "finish_reason": "length",
                                 "logprobs": {"content": [{**top[0], "top_logprobs": top}]}}], "usage": {"prompt_tokens": 50, "completion_tokens": 1}})
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
print(server.server_address[1], flush=True)
server.serve_forever()
P
python3 "$work/server.py" "$top/data/calibration.jsonl" >"$work/port" &
server=$!
for _ in {1..100}; do [[ -s $work/port ]] && break; sleep 0.05; done
url=http://127.0.0.1:$(<"$work/port")/v1
export S2A_BACKEND=http
run calibrate --url "http://me:secret@${url#http://}/" --json
want_status 0
want_err
want_out_has "\"model\": \"$url\""
want_out_has '"relevance": 1.0'
check "no password in a file" test -z "$(grep -rl secret "$kept")"
for name in "" judge; do
    run calibrate --show --url "$url" $name
    want_status 0
    want_out_has "source     calibrated"
done
run calibrate --show --url "$url" another
want_out_has "source     default"
run calibrate --url "${url%/v1}/mute"
want_status 3
want_err "log-probabilities"
kill $server
wait $server 2>/dev/null
run calibrate --url "$url" --model judge
want_status 3
export S2A_BACKEND=script

# ---- wrong use and failures
refused 2 "no such option" calibrate --preset opinion
refused 2 "its value is missing" calibrate --out
refused 2 "one word too many" calibrate a b
refused 2 "beside --model" calibrate --model a b
refused 2 "give one of them" calibrate --show --reset "$work/low.txt"
refused 2 "leave out --show" calibrate --show --out "$work/x" "$work/low.txt"
refused 2 "--out -: name a file" calibrate --out - "$work/low.txt"
refused 2 "no URL" calibrate --backend http
refused 3 "nowhere.txt" calibrate "$work/nowhere.txt"
refused 3 "unknown name" calibrate --backend llama nobody
echo "An answer." >"$work/mute.txt"
refused 3 "no log-probabilities" calibrate "$work/mute.txt"
printf '@score -1 nan -1\n' >"$work/nan.txt"
refused 1 "is no number" calibrate "$work/nan.txt"
printf '@error timeout too slow\n@score -1 -1 -1\n' >"$work/fails.txt"
refused 1 "too slow" calibrate "$work/fails.txt"
check "no file of what failed" test "$(find "$kept" -type f | wc -l)" = 3
mkdir "$work/full"
echo "a file" >"$work/full/s2a"
XDG_DATA_HOME=$work/full refused 1 "cannot make the directory" calibrate "$work/low.txt"
XDG_DATA_HOME=$work/data refused 1 "cannot write $work/none/x" calibrate --out "$work/none/x" "$work/low.txt"
finish
