#!/usr/bin/env bash
# --select-model: a model that judges in place of the one that answers; and the one that judges in front of a server
# without being asked for.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
server=
trap 'kill $server 2>/dev/null; rm -rf "$work"' EXIT
replay "$work/answers" "Walt Whitman."
printf '@score 9 -1\n@score 9 9\n@score 9 9 9\nnothing\n' >"$work/judge"

# The one that answers judges nothing, and yet the mode is select.
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
refused 3 'mode select: there is no judge model' ask --select-model none --mode select "$x" # stronger than the file
rm "$HOME/.config/s2a/config.json"

refused 3 'there is no judge model; use --select-model 0.5b, or teach this model (s2a calibrate)' \
    ask --mode select "$x"
refused 3 'preset untrusted needs mode select, and this backend has no judge model' ask --preset untrusted "$x"
refused 3 "$work/nowhere" ask --select-model "$work/nowhere" "$x"
# Where nothing is judged it is not opened.
replay "$work/rewrites" "$parts" "Walt Whitman."
for flags in "--mode rewrite --select-model $work/nowhere" "--select-model none"; do
    # shellcheck disable=SC2086
    run ask --json $flags "$x" </dev/null
    want_status 0
    want_err
    want_out_has '"mode": "rewrite"'
    want_out_has '"answer": "Walt Whitman."'
done
# A model that judges by itself does so unless another one is named.
replay "$work/both" $'@score 9 9\n@score 9 -1\n@score 9 9 9' "Walt Whitman."
run attend "$x" </dev/null
want_out "I think it was Poe. Who wrote it?"
run attend --select-model "$work/judge" "$x" </dev/null
want_out "$xprime"

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
printf '@score 9 9\nnothing\n' >"$work/keeps"
evaluated --select-model "$work/keeps" --json
want_status 0
want_out_has '"unchanged":true'

# ---- in front of a server: the model "0.5b" of the store judges, if it is there
command -v python3 >/dev/null || finish
cat >"$work/server.py" <<'P'
"""Rewrites and answers, by turns; a line in the log for each."""
import http.server, json, sys
texts = ["Unbiased text context: The poem is from 1855.\n\nQuestion/Query: Who wrote it?", "Walt Whitman."]
class Handler(http.server.BaseHTTPRequestHandler):
    def log_message(self, *a): pass
    def reply(self, body):
        body = json.dumps(body).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def do_GET(self):
        self.reply({"object": "list", "data": [{"id": "m", "object": "model"}]})
    def do_POST(self):
        said = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["messages"][-1]["content"]
        step1 = said.startswith("Given the following text")
        open(sys.argv[1], "a").write("%d\n" % step1)
        self.reply({"choices": [{"index": 0, "message": {"role": "assistant", "content": texts[not step1]}, "finish_reason": "stop"}]})
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
print(server.server_address[1], flush=True)
server.serve_forever()
P
python3 "$work/server.py" "$work/posts" >"$work/port" &
server=$!
for _ in {1..600}; do [[ -s $work/port ]] && break; sleep 0.05; done
url=http://127.0.0.1:$(<"$work/port")/v1
unset S2A_BACKEND S2A_MODEL

rewritten() { # ARGUMENT...: nothing judges; the server writes the prompt anew, and nothing is said of it
    : >"$work/posts"
    run ask --url "$url" --json "$@" -- "$x" </dev/null
    want_status 0
    want_err
    want_out_has '"mode": "rewrite"'
    want_out_has "\"rewritten\": \"$xprime\""
    check "the server is asked twice" test "$(paste -sd, "$work/posts")" = 1,0
}
rewritten
rewritten --select-model none
refused 3 'model 0.5b is not here: run `s2a pull 0.5b`' ask --url "$url" --select-model 0.5b "$x"
refused 3 'there is no judge model' ask --url "$url" --mode select "$x"

# notes ARGUMENT...: what s2a serve says until it listens
notes() {
    test="s2a serve $*"
    : >"$work/out"
    "$bin" serve --port 0 --access-log off --upstream "$url" "$@" </dev/null >"$work/out" 2>"$work/err" &
    local serving=$!
    for _ in {1..1500}; do
        [[ ! -s $work/out ]] && kill -0 $serving 2>/dev/null || break
        sleep 0.02
    done
    kill $serving 2>/dev/null
    status=0
    wait $serving || status=$?
    want_status "${expected:-0}"
}
hint='note: the server rewrites prompts; run `s2a pull 0.5b` once, and a small model on this machine judges them'
has_hint() {
    checks=$((checks + 1))
    [[ $(grep -cF -e "$hint" "$work/err") == "$1" ]] || fail "the note is there not $1 times"
}
notes
has_hint 1
for flags in "--select-model none" "--mode rewrite" "--quiet"; do
    # shellcheck disable=SC2086
    notes $flags
    has_hint 0
done

# A store that has it, which here is a file that no engine can load: seen by the failure, or not used by a build
# without an engine.
mkdir "$S2A_MODELS"
printf 'no model' >"$S2A_MODELS/small.gguf"
cat >"$work/manifest.json" <<'J'
{"format": 1, "models": [{"name": "small", "aliases": ["0.5b"], "file": "small.gguf", "bytes": 8, "licence": "MIT",
  "sha256": "0000000000000000000000000000000000000000000000000000000000000000", "sources": [{"type": "url", "url": "http://127.0.0.1:1/x"}]}]}
J
export S2A_MANIFEST=$work/manifest.json
run models --json
want_out_has '"state": "downloaded"'
run ask --backend llama --model "$S2A_MODELS/small.gguf" "$x" </dev/null
if grep -q 'built without libllama' "$work/err"; then
    rewritten
else
    refused 3 "$S2A_MODELS/small.gguf" ask --url "$url" "$x"
    expected=3 notes
    has_hint 0
    checks=$((checks + 1))
    grep -qF "$S2A_MODELS/small.gguf" "$work/err" || fail "the model that judges is not named"
fi
rewritten --select-model none
rewritten --mode rewrite
notes --select-model none
# half of it is as good as none
printf 'no' >"$S2A_MODELS/small.gguf"
rewritten
notes
has_hint 1
# on an engine of this machine nothing judges without being asked for
printf 'no model' >"$S2A_MODELS/small.gguf"
replay "$work/rewrites" "$parts" "Walt Whitman."
run ask --json "$x" </dev/null
want_status 0
want_out_has '"mode": "rewrite"'
finish
