#!/usr/bin/env bash
# The manual, the completions, the schema and --help know the same options, presets and names.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
test="documentation"

# options COMMAND: the long options of its --help, a line each
options() { "$bin" "$1" --help | grep -o -e '--[a-z][a-z0-9-]*' | sort -u; }

# has FILE WORD PATTERN
has() {
    checks=$((checks + 1))
    grep -qE -e "$3" "$top/$1" || fail "$1 does not have $2"
}

for command in ask attend serve pull models calibrate eval bench; do
    for option in $(options $command); do
        name=${option#--}
        has completions/s2a.bash "$option" "(^|[ '|:])$option\b"
        has completions/_s2a "$option" "$option\b"
        has completions/s2a.fish "$option" "-l $name\b"
        [[ $command == pull || $command == models ]] ||
            has docs/s2a.1 "$option" "Fl .*${name//-/\\\\?-}\b"
    done
done
# and no options that are gone
checks=$((checks + 1))
known=" $(for c in ask attend serve pull models calibrate eval bench; do options $c; done | sort -u | paste -sd' ') "
for option in $(grep -oh -e "--[a-z][a-z0-9-]*" "$top"/completions/s2a.bash "$top"/completions/_s2a |
    sort -u); do
    [[ $known == *" $option "* ]] || fail "completions: $option is no option"
done
for name in $(grep -h '^complete' "$top"/completions/s2a.fish | grep -o -e " -l [a-z][a-z0-9-]*" | sort -u | sed 's/.* //'); do
    [[ $known == *" --$name "* || $name == version || $name == help ]] || fail "s2a.fish: --$name is no option"
done
for name in $(grep -oh -e 'Fl \\-[a-z][a-z0-9-]*' "$top"/docs/s2a.1 | sort -u | sed 's/.*Fl ..//'); do
    [[ $known == *" --$name "* ]] || fail "s2a.1: --$name is no option"
done
# every option of the table is in the help
checks=$((checks + 1))
for name in $(sed -n '/^static const struct option longs/,/^};/s/.*{ "\([a-z0-9-]*\)".*/\1/p' \
    "$top/src/cli/options.c"); do
    "$bin" ask --help | grep -q -e "--$name\b" || fail "ask --help does not have --$name"
done

presets=$(sed -n '/define S2A_PRESET_MAP/,/^$/s/.*"\([a-z0-9-]*\)".*/\1/p' "$top/include/s2a.h")
for preset in $presets; do
    has completions/s2a.bash "$preset" "\b$preset\b"
    has completions/_s2a "$preset" "\b$preset\b"
    has completions/s2a.fish "$preset" "\b$preset\b"
    has docs/s2a.1 "$preset" "\b$preset\b"
    has docs/schema/result.schema.json "$preset" "\"$preset\""
    has src/cli/help.c "$preset" "\b$preset\b"
done
for reason in $(sed -n '/define S2A_FALLBACK_MAP/,/^$/s/.*"\([a-z0-9_]*\)".*/\1/p' \
    "$top/include/s2a.h"); do
    [[ $reason == none ]] || has docs/schema/result.schema.json "$reason" "\"$reason\""
done
for name in $(sed -n '/define S2A_STATUS_MAP/,/^$/s/^ *X(\([A-Z]*\),.*/\L\1/p' \
    "$top/include/s2a.h"); do
    [[ $name == ok ]] || has docs/schema/result.schema.json "$name" "\"$name\""
done
for name in $(sed -n '/define SETTINGS_MAP/,/^$/s/^ *X([A-Z0-9_]*, "\([a-z0-9_]*\)".*/\1/p' \
    "$top/src/cli/settings.h"); do
    has docs/s2a.1 "$name" "^\.It $name Ta Ev S2A_${name^^} "
done

# Helps fit a terminal; completions and the manual are well formed, where that can be told.
for command in ask attend serve pull models calibrate eval bench; do
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
completes "pull" s2a help p
completes "calibrate" s2a c
completes "--show" s2a calibrate --s
completes "--out" s2a calibrate --o
completes "none" s2a ask --select-model non
completes "none" s2a serve --select-model non
completes "--json" s2a models --j
finish
