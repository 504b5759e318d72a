#!/usr/bin/env bash
# exports.sh LIBRARY: the shared library exports what s2a.h declares, and nothing else.
set -euo pipefail
header=$(dirname "${BASH_SOURCE[0]}")/../../include/s2a.h

exported=$(nm -D --defined-only "$1" | awk '{ print $NF }' | sort)
declared=$(sed '/^#/d' "$header" | grep -o '\bs2a_[a-z0-9_]*(' | tr -d '(' | sort -u)
if ! difference=$(diff <(printf '%s\n' "$declared") <(printf '%s\n' "$exported")); then
    printf '%s\n' "exports.sh: < declared in s2a.h only, > exported only:" "$difference" >&2
    exit 1
fi
printf '%s symbols\n' "$(wc -l <<<"$exported")"
