#!/usr/bin/env bash
# How the tool may be called, and what it says when it is called otherwise.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
replay "$work/replay" "$parts" "Walt Whitman."

# ---- commands
run
want_status 2
check "usage on stderr" grep -q '^usage: s2a COMMAND' "$work/err"
want_out ""
refused 2 'frobnicate: no such command' frobnicate
# no abbreviations: one of today is another option tomorrow
refused 2 '--mod: no such option' ask --mod select "$x"
refused 2 '--mode: no such option' eval qa --mode select
refused 2 '--temp: no such option' attend --temp=0 "$x"
refused 2 '--js' models --js
for flags in "--help" "help"; do
    # shellcheck disable=SC2086
    run $flags
    want_status 0
    want_err
    want_out_has "usage: s2a COMMAND"
done
for command in ask attend chat prune mcp serve pull models calibrate eval bench; do
    run help "$command"
    want_status 0
    want_err
    want_out_has "usage: s2a $command"
    run "$command" --help
    want_status 0
    want_out_has "usage: s2a $command"
done
run ask --help
want_out_has "examples:"
for flag in --version -V; do
    run "$flag"
    want_status 0
    want_out "s2a $(sed -n 's/^#define S2A_VERSION_M[A-Z]* //p; s/^#define S2A_VERSION_P[A-Z]* //p' \
        "$top/include/s2a.h" | paste -sd.)"
done

# ---- options
refused 2 '--frob: no such option' ask --frob x
refused 2 '-é: no such option' ask -é x
for command in serve pull models calibrate eval bench; do
    refused 2 "--frob: no such option; see s2a $command --help" "$command" --frob
    refused 2 "--json: takes no value; leave it out" "${command/serve/calibrate}" --json=yes
done
refused 2 '--source: "maybe"; use url, wheels or any' pull --source maybe
refused 2 '--source: its value is missing; see s2a pull --help' pull --source
refused 2 'put the keys of clients into a file for --api-keys' serve --api-key geheim
refused 2 '--seed: its value is missing' ask x --seed
refused 2 '-m: its value is missing' ask x -m
refused 2 '--json: takes no value' ask --json=yes x
refused 2 'put the key into the environment, S2A_API_KEY' ask --api-key=geheim x
checks=$((checks + 1))
! grep -q geheim "$work/err" || fail "a key is repeated"
refused 2 'put the key into the environment' ask --api-key geheim x
for number in "" abc 1x " 1" +1 0x10 1.5 -1 4294967296 99999999999999999999; do
    refused 2 '--seed: ' ask --seed "$number" x
done
refused 2 'give one from 0 to 4294967295' ask --seed -1 x
for number in "" abc 1x inf nan 0x1p1 -0.1 5.1 1e999; do
    refused 2 '--temperature: ' ask --temperature "$number" x
done
for number in 0 1.01 -1; do
    refused 2 '--top-p: ' ask --top-p "$number" x
    refused 2 '--keep: ' ask --keep "$number" x
done
refused 2 '--max-tokens: 0 is out of range; give one from 1' ask --max-tokens 0 x
refused 2 '--threads: -1 is out of range' ask --threads -1 x
refused 2 '--ctx: "many" is not a whole number' ask --ctx many x
refused 2 '--gpu-layers: -2 is out of range' ask --gpu-layers -2 x
refused 2 '--timeout: 0 is out of range' ask --timeout 0 x
refused 2 '--threshold: "x" is not a number' ask --threshold x x
for number in "" nan inf 1000001 -1e9 1,5; do
    refused 2 '--threshold: ' ask --threshold "$number" x
done
for lines in "" 0 x -1 1- 3-1 1-2-3 " 1" 1.5 1-x 9999999999; do
    refused 2 '--protect-lines: ' ask --protect-lines "$lines" x
done
refused 2 '--protect-lines: 3-1: give the first line first' ask --protect-lines 3-1 x
refused 2 '--protect: the text is empty' ask --protect "" x
refused 2 '--protect: its value is missing' ask x --protect
refused 2 'protect: invalid UTF-8 at byte 1' ask --protect $'a\xff' x
many=()
for i in {1..1024}; do many+=(--protect "$i"); done
run ask --preset plain "${many[@]}" "$x" </dev/null
want_status 0
refused 2 'protect: more than the limit of 1024' ask --preset plain "${many[@]}" --protect-lines 1 "$x"
refused 2 '--protect: it belongs to mode select' ask --mode rewrite --protect a x
refused 2 '--protect: it belongs to mode select' attend --mode rewrite --protect-lines 1-2 x
refused 2 '--protect: no such option' serve --protect a
refused 2 '--keep: it belongs to mode select' ask --mode rewrite --keep 0.5 x
refused 2 '--threshold: it belongs to mode select' ask --mode rewrite --threshold -1.5 x
refused 2 '--threshold and --keep: give one of them' ask --threshold -1.5 --keep 0.5 x
refused 2 '--mode: no mode "none"' ask --mode none x
refused 2 '--mode: no mode "frob"; use select or rewrite' ask --mode frob x
refused 2 'no preset "frob"; use one of auto, opinion, relevance, single, keep-original' \
    ask --preset frob x
refused 2 '--backend: no backend "frob"; use llama, http or script' ask --backend frob x
refused 2 '--model: it is empty' ask --model "" x
refused 2 'backend http: no URL' ask --backend http x
refused 2 '--url: backend script has no URL' ask --backend script --url http://127.0.0.1:1/v1 x
S2A_MODEL='' refused 2 'backend script: no replay file' ask --backend script x

# ---- what goes together
refused 2 '2 texts were given; put the prompt in quotes: s2a ask "I think..."' ask I think
refused 2 '--question: no context' ask --question who
refused 2 '--context: no question' ask --context "$work/replay"
refused 2 'one text too many with --context' ask --context "$work/replay" --question who why
refused 2 '--question: given twice' ask --context "$work/replay" --question who --question why
refused 2 'standard input can be read once' ask --context - --context - --question who
refused 2 'two prompts' ask --messages "$work/replay" text
refused 2 '--jsonl: requests come from standard input' ask --jsonl text
refused 2 '--json and --jsonl: give one' ask --json --jsonl
refused 2 '--explain and --json: give one' ask --json --explain text
refused 2 '--explain and --jsonl: give one' ask --jsonl --explain
refused 2 '--resume: it needs --jsonl' ask --resume "$work/replay" text
refused 2 '--compare: attend gives no answer' attend --compare text

# ---- what is legal
for flags in "--seed 4294967295" "--temperature 0" "--temperature 5" "--top-p 1" "--threads 0" \
    "--ctx 4096" "--gpu-layers -1" "--max-tokens 1" "--timeout 0.5" "--mode rewrite" -q -v -vv \
    "--quiet --verbose" "--strict" "--no-color"; do
    # shellcheck disable=SC2086
    run ask $flags --preset plain -- "$x" </dev/null
    want_status 0
done
run ask "$x" --preset plain -- </dev/null # options after the text
want_status 0
S2A_MODEL='' run ask --preset plain -m "$work/replay" "$x" </dev/null
want_status 0

# ---- models and backends that are not there
unset S2A_BACKEND S2A_MODEL
export S2A_MODELS=$work/models
refused 3 'is not here: run `s2a pull qwen2.5-coder-1.5b-instruct`' ask "$x"
refused 3 'unknown name' ask --model frob "$x"
refused 3 '/no/such.gguf: No such file' ask --model /no/such.gguf "$x"
refused 3 'is a directory' ask --model "$work/" "$x"
refused 3 '/no/such: No such file' ask --backend script --model /no/such "$x"
refused 3 'http://127.0.0.1:1' ask --url http://127.0.0.1:1/v1 --model any --timeout 1 "$x"
refused 2 'url: ' ask --url nonsense "$x"
replay "$work/empty"
: >"$work/empty"
refused 3 "$work/empty: contains no record" ask "$x"

# ---- nothing of the current directory is loaded, whatever it is called
mkdir "$work/here"
for library in $(ldd "$bin" | awk '{ print $1 }' | grep '^lib'); do
    echo "no library" >"$work/here/$library"
done
checks=$((checks + 1))
[[ -e $work/here/libcurl.so.4 ]] || fail "ldd names no libcurl"
status=0
(cd "$work/here" && "$bin" --version) >"$work/out" 2>"$work/err" || status=$?
want_status 0

# ---- the laboratory where it is not, beside the tool and in PATH
mkdir "$work/alone" && cp "$bin" "$work/alone/s2a"
bin=$work/alone/s2a
for command in eval bench probe; do
    PATH=/usr/bin:/bin refused 1 "$command: this command is in s2a-lab, which is not installed; build it (make lab)" $command
done
printf '#!/bin/sh\necho "in PATH: $*"\n' >"$work/s2a-lab"
chmod +x "$work/s2a-lab"
PATH=$work:$PATH run eval qa --limit 3
want_status 0
want_out "in PATH: eval qa --limit 3"
printf '#!/bin/sh\necho "beside: $*"\n' >"$work/alone/s2a-lab"
refused 1 "bench: cannot run s2a-lab: Permission denied" bench
chmod +x "$work/alone/s2a-lab"
PATH=$work:$PATH run bench
want_out "beside: bench"
finish
