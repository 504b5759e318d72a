#!/usr/bin/env bash
# The manual, the completions and the schemas are those of the options, presets and names that there are.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
test="documentation"

# has FILE WORD PATTERN
has() {
    checks=$((checks + 1))
    grep -qE -e "$3" "$top/$1" || fail "$1 does not have $2"
}

# completions/, the manual's lists and config.schema.json are what the option table makes of them
check "what scripts/options.py makes is out of date" "${PYTHON:-python3}" "$top/scripts/options.py" --check "$bin"

presets=$(sed -n '/define S2A_PRESET_MAP/,/^$/s/.*"\([a-z0-9-]*\)".*/\1/p' "$top/include/s2a.h")
for preset in $presets; do
    has docs/schema/result.schema.json "$preset" "\"$preset\""
done
for reason in $(sed -n '/define S2A_FALLBACK_MAP/,/^$/s/.*"\([a-z0-9_]*\)".*/\1/p' \
    "$top/include/s2a.h"); do
    [[ $reason == none ]] || has docs/schema/result.schema.json "$reason" "\"$reason\""
done
for name in $(sed -n '/define S2A_STATUS_MAP/,/^$/s/^ *X(\([A-Z]*\),.*/\L\1/p' \
    "$top/include/s2a.h"); do
    [[ $name == ok ]] || has docs/schema/result.schema.json "$name" "\"$name\""
done

# Helps fit a terminal; completions and the manual are well formed, where that can be told.
for command in ask attend chat prune mcp serve pull models calibrate eval bench; do
    "$bin" "$command" --help >"$work/out"
    checks=$((checks + 1))
    (($(awk '{ if (length($0) > w) w = length($0) } END { print w }' "$work/out") <= 100)) ||
        fail "$command --help has lines of more than 100 columns"
done
check "s2a.bash" bash -n "$top/completions/s2a.bash"
! command -v zsh >/dev/null || check "_s2a" zsh -n "$top/completions/_s2a"
! command -v fish >/dev/null || check "s2a.fish" fish -n "$top/completions/s2a.fish"
! command -v mandoc >/dev/null || check "s2a.1" mandoc -Tlint -Wwarning "$top/docs/s2a.1"

# bash: what is completed after each of these
complete_line() { # WORD...: the last one is being typed
    PATH=$(dirname "$bin"):$PATH bash --norc -c '
        compopt() { :; }
        source "$1"; shift
        COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _s2a; printf "%s\n" "${COMPREPLY[@]}"' - \
        "$top/completions/s2a.bash" "$@" | paste -sd' '
}
completes() { # WANTED WORD...
    checks=$((checks + 1))
    local got
    got=$(complete_line "${@:2}")
    [[ $got == "$1" ]] || fail "after ${*:2}: $got, not $1"
}
completes "ask attend" s2a a
completes "--preset --protect --protect-lines --prompts" s2a ask --pr
completes "--compare" s2a ask --comp
completes "" s2a attend --comp
completes "keep-original" s2a attend --preset k
completes "llama" s2a ask --backend l
completes "any" s2a pull --source a
completes "pull" s2a help pu
completes "calibrate" s2a ca
completes "--system" s2a chat --sy
completes "--top" s2a prune --to
completes "--show" s2a calibrate --s
completes "--out" s2a calibrate --o
completes "none" s2a ask --select-model non
completes "none" s2a serve --select-model non
completes "--json" s2a models --j
finish
