#!/usr/bin/env bash
# Runs all unit tests of the release build, also the laboratory's, under valgrind: no error, no leak.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
scripts/configure.sh release
cmake --build --preset release
mapfile -t tests < <(ctest --test-dir build/release -N -V -L '^(unit|lab)$' |
    sed -n 's/^[0-9]*: Test command: "\{0,1\}\([^" ]*\/test_[^" ]*\)"\{0,1\}$/\1/p')
((${#tests[@]} > 0)) || {
    echo "valgrind.sh: no unit tests" >&2
    exit 1
}
printf '%s\n' "${tests[@]}" | xargs -P "$(nproc)" -I TEST sh -c '
    log=build/release/valgrind-$(basename TEST).log
    if timeout 900 valgrind -q --num-callers=40 --leak-check=full --show-leak-kinds=definite,indirect,possible \
        --errors-for-leak-kinds=definite,indirect,possible --error-exitcode=99 \
        --suppressions=tests/valgrind.supp TEST >"$log" 2>&1
    then
        echo "passed $(basename TEST)"
    else
        cat "$log"
        echo "failed $(basename TEST): $log"
        exit 1
    fi'
