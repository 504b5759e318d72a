#!/usr/bin/env bash
# s2a calibrate without a model: how it may be called, what is shown and forgotten of a head, and who cannot be taught.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
command -v python3 >/dev/null || { echo "python3 is not here"; exit 77; }
kept=$XDG_DATA_HOME/s2a/calibration
printf 'no model' >"$work/my.gguf"

# taught FILE [BORDER]: puts a head where calibrate would, for the model file: known by its name and size. Prints where.
taught() {
    python3 - "$kept" "$1" "${2:--2.5}" <<'P'
import hashlib, os, re, struct, sys
kept, model, border = sys.argv[1:]
name = os.path.basename(model)
known = hashlib.sha256(f"{name} {os.path.getsize(model)}".encode()).hexdigest()[:12]
rows = ["again-unrelated", "again-opinion", "again-asked", "apart-support", "apart-order"]
head = f"s2a-head 1\nmodel taught-one\nweights 00000000000000ff\nwidth 3\nlayers 1 2\nborder auto {border} opinion -1 relevance 0.5 untrusted 0\n"
head += "".join(f"row {r} offset 1 scale 0.5\n" for r in rows) + "\n"
os.makedirs(kept, exist_ok=True)
path = f"{kept}/{re.sub('[^A-Za-z0-9.]', '-', name)}-{known}.head"
open(path, "wb").write(head.encode() + struct.pack("<60h", *range(60)))
print(path)
P
}
json_is() { # an expression of Python in which d is the object
    checks=$((checks + 1))
    python3 -c 'import json, sys; d = json.load(open(sys.argv[2])); sys.exit(not eval(sys.argv[1]))' "$1" "$work/out" ||
        fail "not so: $1"
}

# ---- nothing was taught
run calibrate --show "$work/my.gguf"
want_status 0
want_err
want_out "there is no calibration of $work/my.gguf; the model's built-in head is used, if it has one"
run calibrate --show --json "$work/my.gguf"
want_status 0
json_is "d == {'model': '$work/my.gguf', 'file': None, 'borders': None}"
run calibrate --reset "$work/my.gguf"
want_status 0
want_err
want_out "there is no calibration of $work/my.gguf"
run calibrate --reset --json "$work/my.gguf"
json_is "d == {'model': '$work/my.gguf', 'removed': False}"
check "showing and forgetting make nothing" test ! -e "$XDG_DATA_HOME"

# ---- a head is shown, found by the file's name and size, and forgotten
file=$(taught "$work/my.gguf")
run calibrate --show "$work/my.gguf"
want_status 0
want_err
want_out "model      taught-one
file       $file
thresholds auto -2.5, opinion -1, relevance 0.5, untrusted 0"
run calibrate --show --json --model "$work/my.gguf"
json_is "d['file'] == '$file' and d['borders'] == {'auto': -2.5, 'opinion': -1, 'relevance': 0.5, 'untrusted': 0}"
S2A_MODEL=$work/my.gguf run calibrate --show
want_out_has "file       $file"
mkdir "$work/sub"
cp "$work/my.gguf" "$work/sub/my.gguf"
run calibrate --show "$work/sub/my.gguf"
want_out_has "file       $file"
printf 'no model either' >"$work/sub/my.gguf"
run calibrate --show "$work/sub/my.gguf"
want_out_has "there is no calibration of $work/sub/my.gguf"
other=$(taught "$work/sub/my.gguf" -7)
check "two models, two files" test "$other" != "$file"
run calibrate --show "$work/sub/my.gguf"
want_out_has "auto -7, "
# where they are: a relative directory is none
cp -r "$XDG_DATA_HOME" "$work/elsewhere"
mkdir -p "$HOME/.local"
cp -r "$XDG_DATA_HOME" "$HOME/.local/share"
for place in "$work/elsewhere" "" relative; do
    XDG_DATA_HOME=$place run calibrate --show "$work/my.gguf"
    want_out_has "file       ${place:+${place#relative}}"
    [[ $place == /* ]] || want_out_has "file       $HOME/.local/share/s2a/calibration/"
done
HOME='' XDG_DATA_HOME='' run calibrate --show "$work/my.gguf"
want_status 0 # no place is none that has one
want_out_has "there is no calibration"
HOME='' XDG_DATA_HOME='' refused 1 'no place for calibrations: HOME is not set' calibrate --reset "$work/my.gguf"

# damaged ones are said, and can be forgotten
for damage in "truncate -s 300" "truncate -s -1" "truncate -s 0" "sed -i 1d" "sed -i s/apart-order/apart-odour/" \
    "sed -i s/-2.5/nan/" "truncate -s 5M"; do
    file=$(taught "$work/my.gguf")
    $damage "$file"
    refused 1 "$file" calibrate --show "$work/my.gguf"
done
run calibrate --reset --quiet "$work/my.gguf"
want_status 0
want_out ""
check "it is gone, and the other one is not" test ! -e "$file" -a -e "$other"
taught "$work/my.gguf" >/dev/null
run calibrate --reset "$work/my.gguf"
want_out "removed the calibration of $work/my.gguf"
mkdir -p "$file/x"
refused 1 "cannot remove $file" calibrate --reset "$work/my.gguf"
rm -r "$file"

# ---- who cannot be taught, and that nothing is written then
before=$(find "$XDG_DATA_HOME" -type f | sort)
taught_nothing() {
    refused "$@"
    checks=$((checks + 1))
    [[ $(find "$XDG_DATA_HOME" -type f | sort) == "$before" && ! -e $work/out.head ]] || fail "something was written"
}
taught_nothing 3 "$work/my.gguf" calibrate --out "$work/out.head" "$work/my.gguf"
taught_nothing 3 "$work/nowhere.gguf" calibrate --json "$work/nowhere.gguf"
taught_nothing 3 'unknown name' calibrate nobody
taught_nothing 3 'is not here: run `s2a pull 0.5b`' calibrate 0.5b
taught_nothing 3 'is not here: run `s2a pull qwen2.5-coder-1.5b-instruct`' calibrate
# a server is not asked, wherever its URL stands
S2A_URL=http://127.0.0.1:1/v1 taught_nothing 3 "$work/my.gguf" calibrate "$work/my.gguf"
# what is replayed has no hidden states, whether or not it judges
replay "$work/judge" '@score 9 9' "An answer."
taught_nothing 3 'this model provides no hidden states; use another one, or mode rewrite' calibrate --out "$work/out.head"
echo "An answer." >"$work/mute"
taught_nothing 3 'this model provides no hidden states' calibrate "$work/mute"
run calibrate --show
want_status 0
want_out_has "there is no calibration of $work/judge"

# ---- wrong use
refused 2 "no such option" calibrate --preset opinion
for option in --backend --url --prompts --lens --timeout; do # of before heads were taught
    refused 2 "$option: no such option" calibrate "$option" x
done
refused 2 "its value is missing" calibrate --out
refused 2 "one word too many" calibrate a b
refused 2 "together with --model" calibrate --model a b
refused 2 "--show and --reset: give one of them" calibrate --show --reset "$work/my.gguf"
refused 2 "leave out --show" calibrate --show --out "$work/x" "$work/my.gguf"
refused 2 "leave out --reset" calibrate --reset --out "$work/x" "$work/my.gguf"
refused 2 "--out -: name a file" calibrate --out - "$work/my.gguf"
refused 2 "--threads: " calibrate --threads many
refused 2 "--ctx: " calibrate --ctx -1
S2A_CTX=x refused 2 "S2A_CTX: " calibrate
finish
