#!/usr/bin/env bash
# Flags over the environment over the configuration file, and what is wrong in either.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
replay "$work/replay" "$parts" "Walt Whitman."
config=$HOME/.config/s2a/config.json
mkdir -p "$HOME/.config/s2a"

preset= # each call says which
preset_is() {
    run ask --json "$@" -- "$x" </dev/null
    want_status 0
    want_out_has "\"preset\": \"$preset\""
}

preset=auto preset_is
echo '{"preset": "opinion"}' >"$config"
preset=opinion preset_is
S2A_PRESET=single preset=single preset_is
S2A_PRESET=single preset=plain preset_is --preset plain
S2A_PRESET='' preset=opinion preset_is # set to nothing is not set
S2A_FROB=1 preset=opinion preset_is    # others' variables are theirs

# XDG_CONFIG_HOME, which must be absolute
mkdir -p "$work/xdg/s2a"
echo '{"preset": "relevance"}' >"$work/xdg/s2a/config.json"
XDG_CONFIG_HOME=$work/xdg preset=relevance preset_is
XDG_CONFIG_HOME=relative preset=opinion preset_is
XDG_CONFIG_HOME=$work/nowhere preset=auto preset_is

# all of it, in one file
cat >"$config" <<JSON
{"model": "$work/replay", "backend": "script", "mode": "rewrite", "preset": "auto",
 "threads": 1, "ctx": 4096, "gpu_layers": 0, "temperature": 0, "top_p": 1.0, "seed": 7,
 "max_tokens": 3, "timeout": 2.5, "api_key": "geheim"}
JSON
S2A_MODEL='' S2A_BACKEND='' run ask "$x" </dev/null
want_status 0
want_out "Walt Whitman."

# a URL implies http, unless a stronger source names a backend
refuses_http() { refused 3 'http://127.0.0.1:1' "$@"; }
echo '{"url": "http://127.0.0.1:1/v1", "model": "any", "timeout": 1}' >"$config"
S2A_MODEL='' S2A_BACKEND='' refuses_http ask "$x"
run ask "$x" </dev/null # S2A_BACKEND=script is stronger
want_status 0
: >"$config"
refused 2 "$config:1:0: " ask "$x"
rm "$config"
S2A_URL=http://127.0.0.1:1/v1 S2A_BACKEND='' S2A_TIMEOUT=1 refuses_http ask "$x"
S2A_TIMEOUT=1 refuses_http ask --url http://127.0.0.1:1/v1 --backend http "$x"

# ---- the environment's own faults
S2A_TOP_P=7 refused 2 'S2A_TOP_P: 7 is out of range' ask "$x"
S2A_KERNELS=maybe refused 2 'S2A_KERNELS: "maybe" is neither on nor off' ask "$x"
refused 2 '--kernels: "maybe" is neither on nor off' ask --kernels maybe "$x"
refused 2 '--lens: no such option' ask --lens on "$x" # of before heads were taught
S2A_LENS=on preset=auto preset_is
S2A_SEED=x refused 2 'S2A_SEED: "x" is not a whole number' ask "$x"
S2A_MODE=select refused 3 'mode select: there is no judge model' ask "$x"
S2A_MODE=select preset=auto preset_is --mode rewrite
S2A_PRESET=frob refused 2 'S2A_PRESET: no preset "frob"' ask "$x"

# ---- the file's own faults, with their place
bad() { # TEXT PLACE-AND-MESSAGE
    printf '%s' "$1" >"$config"
    refused 2 "$config:$2" ask "$x"
}
bad '{' '1:1: '
bad $'{\n  "seed": 1,\n}' "3:1: "
bad '[]' '1:1: not a JSON object'
bad '"x"' '1:1: not a JSON object'
bad $'{"seed": 1,\n "sede": 2}' '2:2: sede: no such setting'
bad '{"ümläut\n": 1}' '1:2: '
bad $'{"preset": "\xc3\xbc", "x": {"seed": 1}}' '1:2: preset: no preset "ü"'
bad $'{"model": "a\\"b", "url": "http://x", "nested": [{"seed": 1}]}' '1:38: nested: no such'
bad '{"lens": "off"}' '1:2: lens: no such setting'
bad '{"seed": "1"}' '1:2: seed: the value must be a number'
bad '{"preset": 1}' '1:2: preset: the value must be a string'
bad '{"seed": 1.5}' '1:2: seed: "1.5" is not a whole number'
bad '{"temperature": 9}' '1:2: temperature: 9 is out of range'
bad '{"seed": 1, "seed": 2}' '1:18: duplicate object key'
bad $'{"preset": "\xff"}' '1:'
bad '{"model": null}' '1:2: model: the value must be a string'
bad '{"model": "a\u0000b"}' '1:'
printf '\xef\xbb\xbf{"preset": "plain"}' >"$config"
preset=plain preset_is
# LIMIT_CONFIG_BYTES, which are 1 MiB
{ printf '{"preset": "plain"}'; head -c $(((1 << 20) - 19)) /dev/zero | tr '\0' ' '; } >"$config"
run ask "$x"
want_status 0
printf ' ' >>"$config"
refused 2 "$config: more than" ask "$x"
rm "$config"
mkdir "$config"
refused 2 "$config: Is a directory" ask "$x"
rmdir "$config"
run ask --help # needs no file
want_status 0
env -u HOME "$bin" ask --preset plain "$x" >"$work/out" 2>"$work/err"
want_out "$parts"
finish
