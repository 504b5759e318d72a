#!/usr/bin/env bash
# fuzz.sh [TARGET...]: runs the fuzz targets (all of fuzz/fuzz_*.c by default) for FUZZ_SECONDS (60)
# each, two at a time, from their seeds in fuzz/corpus. New inputs stay in build/fuzz/corpus; an
# input that fails is in build/fuzz/failures, and `build/fuzz/fuzz/TARGET FILE` runs it again.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
scripts/configure.sh fuzz
cmake --build --preset fuzz

targets=("$@")
if ((${#targets[@]} == 0)); then
    for source in fuzz/fuzz_*.c; do
        targets+=("$(basename "$source" .c)")
    done
fi
mkdir -p build/fuzz/failures
export FUZZ_SECONDS=${FUZZ_SECONDS:-60}
printf '%s\n' "${targets[@]}" | xargs -P 2 -I TARGET sh -c '
    name=$(echo TARGET | sed s/^fuzz_//)
    log=build/fuzz/TARGET.log
    found=build/fuzz/corpus/$name
    mkdir -p "$found"
    set -- "$found"
    [ ! -d "fuzz/corpus/$name" ] || set -- "$@" "fuzz/corpus/$name"
    [ ! -f "fuzz/$name.dict" ] || set -- "-dict=fuzz/$name.dict" "$@"
    if build/fuzz/fuzz/TARGET -max_total_time="$FUZZ_SECONDS" -timeout=20 -rss_limit_mb=2048 \
        -print_final_stats=1 -artifact_prefix="build/fuzz/failures/$name-" "$@" >"$log" 2>&1
    then
        echo "passed TARGET: $(sed -n "s/^stat::number_of_executed_units: *//p" "$log") runs"
    else
        tail -n 60 "$log"
        echo "failed TARGET: $log"
        exit 1
    fi'
