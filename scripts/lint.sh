#!/usr/bin/env bash
# lint.sh [CHECK...]: checks the tree without building it. Each check prints a line, "passed NAME" or "failed NAME",
# after its findings: FILE:LINE: what. There are no lists of exemptions: mend each finding. scripts/lint.py has the
# checks that need more than a command, and describes each.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 1

all_checks=(format columns shellcheck words exports claims links limits paths)

for tool in clang-format shellcheck codespell python3; do
    command -v "$tool" >/dev/null || {
        echo "lint.sh: $tool is not there: scripts/bootstrap.sh --dev" >&2
        exit 2
    }
done

# The files that are tracked, or new and not ignored.
sources() {
    git ls-files -co --exclude-standard -- "$@" | while IFS= read -r file; do [[ ! -f $file ]] || echo "$file"; done
}

check_format() {
    sources '*.c' '*.h' | xargs -P "$(nproc)" -n 50 clang-format --dry-run -Werror 2>&1 |
        grep -E '^[^ ]+:[0-9]+:[0-9]+: error' | cut -d: -f1,2 | uniq |
        sed 's/$/: not as clang-format writes it: make format/' || true
}
check_columns() { scripts/lint.py columns; }

# Errors and warnings, and one of the notes: expansions without quotes. Variables that a sourced file (one without
# #!) sets are used by others, so SC2034 is not checked there.
shellcheck_some() {
    shellcheck -x -f gcc "$@" | grep --line-buffered -E ': (error|warning): |\[SC2086\]$' || true
}
check_shellcheck() {
    local -a programs=() sourced=()
    while IFS= read -r file; do
        case $(head -n 1 "$file" | tr -d '\0') in
        '#!'*bash* | '#!/bin/sh'* | '#!/usr/bin/env sh'*) programs+=("$file") ;;
        *) [[ $file != *.sh && $file != *.bash ]] || sourced+=("$file") ;;
        esac
    done < <(git grep -lIE --untracked '^#!.*sh|^# shellcheck shell=' && sources '*.sh' '*.bash' | sort -u)
    export -f shellcheck_some
    printf '%s\n' "${programs[@]}" | sort -u | xargs -P "$(nproc)" -n 6 bash -c 'shellcheck_some "$@"' bash -P SCRIPTDIR
    printf '%s\n' "${sourced[@]}" | sort -u | xargs bash -c 'shellcheck_some "$@"' bash -s bash -e SC2034
}

# The spelling of comments, documentation and the tool's messages.
check_words() {
    local copy status
    copy=$(mktemp -d)
    scripts/lint.py words "$copy" && (cd "$copy" && codespell .) 2>&1 | sed 's,^\./,,'
    status=$?
    rm -rf "$copy"
    return "$status"
}

check_exports() { scripts/lint.py exports; }
check_claims() { scripts/lint.py claims; }
check_links() { scripts/lint.py links; }
check_limits() { scripts/lint.py limits; }

# No file may name a directory that only its author has, except tests and data, as examples.
check_paths() {
    git grep -nIoE --untracked '(^|[^[:alnum:]_.~}$/-])/(home/[[:alnum:]]|root/|Users/[[:alnum:]]|work/)[^ "]*' -- \
        ':!tests' ':!data' ':!fuzz/corpus' || true
}

checks=("$@")
((${#checks[@]} > 0)) || checks=("${all_checks[@]}")
result=0
for name in "${checks[@]}"; do
    if [[ $(type -t "check_$name") != function ]]; then
        echo "lint.sh: no check $name: format columns ${all_checks[*]}" >&2
        exit 2
    fi
    if found=$("check_$name" 2>&1) && [[ -z $found ]]; then
        echo "passed $name"
    else
        [[ -z $found ]] || printf '%s\n' "$found"
        echo "failed $name"
        result=1
    fi
done
exit "$result"
