#!/usr/bin/env bash
# s2a chat: a conversation, through a pipe and on a terminal.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
command -v python3 >/dev/null || { echo "python3 is not here"; exit 77; }
server=
trap 'kill $server 2>/dev/null; rm -rf "$work"' EXIT
unset XDG_STATE_HOME
state=$HOME/.local/state/s2a
esc=$'\033'
editor=no
! ldd "$bin" | grep -q libedit || editor=yes
judged=$'@score 9 -1\n@score 9 9\n@score 9 9 9'

# says LINE...: these lines through a pipe; with=(OPTION...)
with=()
says() {
    printf '%s\n' "$@" >"$work/in"
    run chat "${with[@]}" <"$work/in"
}
# on_terminal STEP...: what the terminal gets is in $work/out
on_terminal() {
    test="s2a chat ${with[*]} on a terminal: $*"
    test=${test:0:300}
    status=0
    printf '%s\n' "$@" |
        python3 "$tests/converse.py" 80 "$bin" chat "${with[@]}" >"$work/out" 2>"$work/err" || status=$?
}

# ---- flags
refused 2 '--frob: no such option; see s2a chat --help' chat --frob
refused 2 '"hello": s2a chat takes no text; write it at the prompt' chat hello
refused 2 '--system: given twice' chat --system a --system b
refused 2 '--system: its value is missing' chat --system
refused 2 '--jsonl: no such option' chat --jsonl
refused 2 '--threshold and --keep: give one' chat --threshold 0 --keep 0.5
refused 2 '--protect: it belongs to mode select' chat --mode rewrite --protect a
refused 2 '--preset untrusted: it judges a separate context' chat --preset untrusted
refused 2 '--temperature: ' chat --temperature 6
refused 3 'unknown name' chat --model frob
refused 3 'http://127.0.0.1:1' chat --url http://127.0.0.1:1/v1 --model any --timeout 1
run chat --help
want_status 0
want_out_has "usage: s2a chat [options]"

# ---- messages
replay "$work/replay" "$judged" "Walt Whitman."
says
want_status 0
want_out ""
want_err
says "$x" /quit "not read"
want_status 0
want_err
want_out "[-I think it was Poe.-] The poem is from 1855. Who wrote it?

Walt Whitman."
with=(--quiet)
says "$x"
want_status 0
want_out "Walt Whitman."
with=()
printf '%s' "$x" >"$work/in" # the last line has no newline
run chat <"$work/in"
want_status 0
want_out_has "Walt Whitman."
says "" "   " $'\t'
want_status 0
want_out ""
# nothing was cut: nothing is shown; blank lines lie between two answers
replay "$work/plain" one two three
with=(--preset plain)
says a b
want_out "one

two"
# a line that continues, and a text that begins with a slash
replay "$work/plain" $'@expect first\nsecond\nthird\none' $'@expect /etc is full\ntwo'
says "first\\" "second\\" third "//etc is full"
want_status 0
want_err
want_out $'second\nthird\none\n\ntwo'
replay "$work/plain" $'@expect ends\none'
says "ends\\"
want_status 0
want_out one
check "no history without a terminal" test ! -e "$state/chat_history"
with=()
replay "$work/plain" 'no label' one
says hello
want_status 0
want_err 'note: step 1 was not used (no_question'
want_out one

# ---- what is not a message
with=(--preset plain)
replay "$work/plain" one
says /frob
want_status 0
want_err '/frob: no such command; see /help'
says /undo
want_err '/undo: there is no exchange to drop'
says /why
want_err '/why: there is no message yet'
says /plain
want_err '/plain: there is no message yet'
says "/new now"
want_err '/new takes nothing after it'
says "/"
want_err '/: no such command'
says /help
want_err
for command in /why /plain /undo /new "/model [NAME]" /help /quit //TEXT; do want_out_has "$command"; done
printf 'a\xff\nb\n' >"$work/in"
run chat "${with[@]}" <"$work/in"
want_status 0
want_err 'invalid UTF-8 at byte 1'
want_out one
with=(--preset plain --system $'a\xff')
says a
want_err 'invalid UTF-8 at byte 1'
with=(--preset plain)
test="a message of more than LIMIT_INPUT_BYTES"
head -c $((16 << 20)) /dev/zero | tr '\0' a >"$work/in"
printf 'a\nb\n' >>"$work/in"
run chat "${with[@]}" <"$work/in"
want_status 0
want_err 'the message has more than the limit of 16777216 bytes'
want_out one

# ---- commands
with=()
replay "$work/replay" "$judged" "Walt Whitman." "Poe."
says "$x" /why /plain /why
want_status 0
want_err
want_out "[-I think it was Poe.-] The poem is from 1855. Who wrote it?

Walt Whitman.

Units
  - opinion    -1.00  I think it was Poe.
    needed     +8.31  The poem is from 1855.
    question   +8.31  Who wrote it?
  threshold    +0.00

Without S2A
Poe.

Units
  - opinion    -1.00  I think it was Poe.
    needed     +8.31  The poem is from 1855.
    question   +8.31  Who wrote it?
  threshold    +0.00"
with=(--preset plain)
says a /why
want_out_has "Step 1 did not run: preset plain has none."
with=(--preset plain)
replay "$work/other" "from the other"
replay "$work/replay" one $'@expect-before one\ntwo'
says a /model "/model $work/other" b "/model $work/nowhere" /model
want_status 0
want_err "/model: $work/nowhere: No such file"
want_out "one

replay, step 1: none

other, step 1: none

from the other

other, step 1: none"

# ---- an error of one answer, and the program goes on
replay "$work/replay" $'@error backend out of order\nx' "two"
says a b
want_status 0
want_err "out of order"
want_out "two"
with=()
replay "$work/replay" $'@error backend out of order\nx' "two" # of step 1: answered all the same
says "$x"
want_status 0
want_err "note: step 1 was not used (step1_failed: "
want_out "two"
with=(--mode select)
says "$x"
want_status 0
want_err "mode select: there is no judge model"
with=(--preset plain)
replay "$work/replay" $'@error limit the prompt is too long\nx'
says a
want_err "the prompt is too long"
check "there is nothing to undo yet" grep -qv "/undo" "$work/err"
replay "$work/replay" one $'@error limit the prompt is too long\nx'
says a b
want_err "the prompt is too long; here /undo drops the last exchange and /new the whole conversation"

# ---- signals without a terminal: it ends
replay "$work/replay" $'@sleep 30000\nlate'
for pair in INT:130 TERM:143; do
    test="s2a chat and SIG${pair%:*}"
    rm -f "$work/out"
    mkfifo "$work/fifo"
    exec {hold}<>"$work/fifo"
    "$bin" chat "${with[@]}" <"$work/fifo" >"$work/out" 2>"$work/err" &
    tool=$!
    echo hello >&"$hold"
    sleep 0.5
    kill -s "${pair%:*}" "$tool"
    status=0
    wait "$tool" || status=$?
    want_status "${pair#*:}"
    want_out ""
    exec {hold}>&-
    rm "$work/fifo"
done
if [[ -c /dev/full ]]; then
    replay "$work/replay" one
    test="s2a chat >/dev/full"
    status=0
    printf 'a\nb\n' | "$bin" chat "${with[@]}" >/dev/full 2>"$work/err" || status=$?
    : >"$work/out"
    want_status 1
    want_err "standard output: No space left on device"
fi

# ---- a server that says what it was sent, in pieces; after "slowly" it stops in the middle
python3 - "$work" <<'PY' &
import http.server, json, os, sys, time
work = sys.argv[1]
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        data = json.dumps({"object": "list", "data": [{"id": "first-model", "object": "model"}]}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)
    def say(self, text):
        chunk = {"choices": [{"index": 0, "delta": {"content": text}, "finish_reason": None}]}
        self.wfile.write(b"data: " + json.dumps(chunk).encode() + b"\n\n")
        self.wfile.flush()
    def do_POST(self):
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.end_headers()
        last = request["messages"][-1]["content"]
        if last == "never":
            open(work + "/asked", "w").close()
            time.sleep(60)
        if last == "hostile":
            self.say("a\033[31mb\033]0;title\ac\r")
        elif last == "slowly":
            self.say("half an")
            time.sleep(60)
        else:
            self.say(request["model"] + ":" + " ".join(m["role"][0] + "=" + m["content"] for m in request["messages"][-6:]))
        self.wfile.write(b'data: {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}\n\ndata: [DONE]\n\n')
    def log_message(self, *arguments):
        pass
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
server.daemon_threads = True
with open(work + "/port.new", "w") as f:
    f.write(str(server.server_port))
os.rename(work + "/port.new", work + "/port")
server.handle_error = lambda *a: None
server.serve_forever()
PY
server=$!
for ((i = 0; i < 500; i++)); do [[ -f $work/port ]] && break; sleep 0.02; done
unset S2A_BACKEND S2A_MODEL
with=(--url "http://127.0.0.1:$(<"$work/port")/v1" --preset plain)
says one two /undo three /new four "/model other" five
want_status 0
want_err
want_out "first-model:u=one

first-model:u=one a=first-model:u=one u=two

The last exchange is dropped; 1 left.

first-model:u=one a=first-model:u=one u=three

The conversation is empty.

first-model:u=four

other, step 1: none

other:u=four a=first-model:u=four u=five"
with+=(--system "Be brief.")
says one /new two
want_out "first-model:s=Be brief. u=one

The conversation is empty.

first-model:s=Be brief. u=two"
with=("${with[@]:0:4}")

# ---- on a terminal
# The prompt is there, and with libedit the terminal is in its mode.
prompt='expect >'
[[ $editor == no ]] || prompt+=$'\nraw'
for terminal in xterm-256color dumb; do
    # without an editor the terminal edits the line
    export TERM=$terminal
    [[ $terminal != dumb ]] || prompt='expect >'
    on_terminal "$prompt" 'send hello\r' 'expect first-model:u=hello' "$prompt" 'send \x04'
    want_status 0
    want_out_has ", step 1: none"
    want_out_lacks "step 1, reading"
    on_terminal "$prompt" 'send /quit\r'
    want_status 0
    # Ctrl-C at the prompt clears the line
    on_terminal "$prompt" 'send abandoned' 'expect abandoned' 'send \x03' "$prompt" 'send kept\r' 'expect first-model:u=kept' \
        "$prompt" 'send \x04'
    want_status 0
    # a continued line, too
    on_terminal "$prompt" 'send abandoned\\\r' 'expect .' 'send \x03' "$prompt" 'send kept\r' 'expect first-model:u=kept' \
        "$prompt" 'send \x04'
    want_status 0
    # Ctrl-C during an answer: what came of it stays, also in the conversation
    on_terminal "$prompt" 'send slowly\r' 'expect half an' 'send \x03' 'expect [cut]' "$prompt" 'send and\r' \
        'expect first-model:u=slowly a=half an u=and' "$prompt" 'send \x04'
    want_status 0
    # and before it: the message is dropped
    on_terminal "$prompt" 'send never\r' "exists $work/asked" 'send \x03\x03' 'expect cancelled; the message was dropped' "$prompt" \
        'send again\r' 'expect first-model:u=again' "$prompt" 'send \x04'
    want_status 0
    # escape sequences of the model and of the user
    on_terminal "$prompt" 'send hostile\r' 'expect a^[[31mb^[]0;title^Gc^M' "$prompt" \
        'send /model\x16\x1b[31m\r' 'expect no such command' "$prompt" 'send \x04'
    want_status 0
    want_out_lacks "${esc}[31m"
    want_out_lacks "$esc]0;"
done
export TERM=xterm-256color
[[ $editor == no ]] || prompt+=$'\nraw'
with+=(--no-color --quiet)
on_terminal "$prompt" 'send hello\r' 'expect first-model:u=hello' "$prompt" 'send \x04'
want_status 0
want_out_lacks "step 1"
want_out_lacks "${esc}[1m"
with=("${with[@]:0:4}")

# what was cut is struck through
replay "$work/replay" "$judged" "Walt Whitman."
with=()
on_terminal "$prompt" "send $x\\r" 'expect Walt Whitman.' "$prompt" 'send /why\r' 'expect threshold' "$prompt" 'send \x04'
want_status 0
want_out_has "${esc}[2;9;31mI think it was Poe.${esc}[0m The poem is from 1855. Who wrote it?"
want_out_has "${esc}[2m  - opinion   ${esc}[0m"
long=$(printf 'very %.0s' {1..40})
replay "$work/replay" $'@score 9 9\n@score 9 9' "Walt Whitman."
on_terminal "$prompt" "send It is a ${long}long poem. Who wrote it?\\r" 'expect Walt Whitman.' "$prompt" 'send /why\r' \
    'expect threshold' "$prompt" 'send \x04'
want_status 0
checks=$((checks + 1))
sed -n '/Units/,/threshold/p' "$work/out" | sed "s/$esc\[[0-9;]*m//g; s/\r//; s/…/./" |
    awk 'length($0) > 80 { exit 1 }' || fail "a line of /why is wider than the terminal"

# ---- the editor: only where there is libedit
if [[ $editor == yes ]]; then
    with=(--preset plain)
    replay "$work/replay" $'@expect one\ntwo\nthe answer'
    # a pasted text of several lines is one message
    on_terminal "$prompt" 'send \x1b[200~one\r\ntwo\n\x1b[201~' 'expect two' 'send \r' 'expect the answer' "$prompt" 'send \x04'
    want_status 0
    want_out_has "${esc}[?2004h"
    # the history: its mode, and what it has in the next conversation
    check "the history's mode" test "$(stat -c %a "$state/chat_history" "$state")" = $'600\n700'
    on_terminal "$prompt" 'send \x1b[A\r' 'expect the answer' "$prompt" 'send \x04'
    want_status 0
    with=(--preset plain --no-history)
    cp "$state/chat_history" "$work/before"
    replay "$work/replay" "the answer"
    on_terminal "$prompt" 'send \x1b[Asecret\r' 'expect the answer' "$prompt" 'send \x04'
    check "--no-history writes nothing" cmp -s "$work/before" "$state/chat_history"
    want_out_lacks two
    with=(--preset plain)
    export XDG_STATE_HOME=$work/state
    # LIMIT_CHAT_HISTORY is 1000: at it nothing is forgotten, past it the oldest line
    mkdir -p "$work/state/s2a"
    { echo _HiStOrY_V2_; seq 1 999; } >"$work/state/s2a/chat_history"
    for oldest in 1 2; do
        on_terminal "$prompt" "send line $oldest\\r" 'expect the answer' "$prompt" 'send \x04'
        check "the history has 1000 lines" test "$(wc -l <"$work/state/s2a/chat_history")" = 1001
        check "line $oldest is the oldest" test "$(sed -n 2p "$work/state/s2a/chat_history")" = "$oldest"
    done
    # where it cannot be written: a note, once
    rm -r "$work/state/s2a/chat_history"
    mkdir "$work/state/s2a/chat_history"
    on_terminal "$prompt" 'send a\r' 'expect earlier lines are not saved' 'expect the answer' "$prompt" 'send b\r' \
        'expect the answer' "$prompt" 'send \x04'
    want_status 0
    check "one note" test "$(grep -c 'not saved' "$work/out")" = 1
fi
finish
