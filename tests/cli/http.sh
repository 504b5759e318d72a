#!/usr/bin/env bash
# A server in place of a model: the URL, the key and the model's name arrive where they should.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
command -v python3 >/dev/null || { echo "python3 is not here"; exit 77; }

# Answers any chat with the number of its messages and what it was asked with; writes the
# Authorization headers to $work/keys.
python3 - "$work" <<'PY' &
import http.server, json, os, sys
work = sys.argv[1]
class Handler(http.server.BaseHTTPRequestHandler):
    def reply(self, body):
        with open(work + "/keys", "a") as f:
            f.write(str(self.headers.get("Authorization")) + "\n")
        data = json.dumps(body).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)
    def do_GET(self):
        self.reply({"object": "list", "data": [{"id": "first-model", "object": "model"}]})
    def do_POST(self):
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        names = "model temperature top_p seed max_tokens".split()
        text = " ".join(f"{n}={request.get(n)}" for n in names)
        self.reply({"choices": [{"index": 0, "finish_reason": "stop",
                                 "message": {"role": "assistant", "content": text}}],
                    "usage": {"prompt_tokens": 5, "completion_tokens": 7}})
    def log_message(self, *arguments):
        pass
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
with open(work + "/port.new", "w") as f:
    f.write(str(server.server_port))
os.rename(work + "/port.new", work + "/port")
server.serve_forever()
PY
server=$!
trap 'kill $server; rm -rf "$work"' EXIT
for ((i = 0; i < 500; i++)); do [[ -f $work/port ]] && break; sleep 0.02; done
url=http://127.0.0.1:$(<"$work/port")/v1
plain=(--preset plain)

run ask --url "$url" "${plain[@]}" "$x" </dev/null
want_status 0
want_err
want_out "model=first-model temperature=0.6 top_p=0.9 seed=0 max_tokens=1024"
run ask --url "$url" "${plain[@]}" -m other --temperature 0 --top-p 0.5 --seed 4294967295 \
    --max-tokens 7 "$x" </dev/null
want_out "model=other temperature=0.0 top_p=0.5 seed=4294967295 max_tokens=7"
S2A_URL=$url S2A_MODEL=env run ask "${plain[@]}" --json "$x" </dev/null
want_out_has '"model": "env"'
checks=$((checks + 1))
[[ $(python3 "$tests/check_result.py" <"$work/out") == 1 ]] || fail "not after the schema"

# ---- the key: from the environment or the file, and never said
check "no key, no header" grep -qx None "$work/keys"
: >"$work/keys"
S2A_API_KEY=geheim1 run ask --url "$url" "${plain[@]}" -vv "$x" </dev/null
want_status 0
check "the key arrives" grep -qx 'Bearer geheim1' "$work/keys"
mkdir -p "$HOME/.config/s2a"
echo '{"api_key": "geheim2"}' >"$HOME/.config/s2a/config.json"
cat "$work/out" "$work/err" >"$work/said"
: >"$work/keys"
run ask --url "$url" "${plain[@]}" -vv "$x" </dev/null
check "the file's key arrives" grep -qx 'Bearer geheim2' "$work/keys"
S2A_API_KEY=geheim3 run ask --url "$url" "${plain[@]}" "$x" </dev/null
check "the environment's key counts more" grep -qx 'Bearer geheim3' "$work/keys"
OPENAI_API_KEY=geheim4 run ask --url "$url" "${plain[@]}" "$x" </dev/null
check "others' keys are theirs" test "$(grep -c geheim4 "$work/keys")" = 0
cat "$work/out" "$work/err" >>"$work/said"
check "no key is printed" test "$(grep -c geheim "$work/said")" = 0
rm "$HOME/.config/s2a/config.json"

# ---- step 1 on a server that answers beside the point: the prompt is still answered
run ask --url "$url" "$x" </dev/null
want_status 0
want_err "note: step 1 was not used ("
want_out_has "model=first-model"
finish
