#!/usr/bin/env bash
# coverage.sh [--report]: runs the tests that need no model on the asan build, which counts lines, writes
# build/coverage/index.html and fails when fewer than COVERAGE_LINES percent (90) of the lines of src/core ran.
# --report: runs no tests, and reports on those that ran.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
if [[ ${1-} != --report ]]; then
    scripts/configure.sh asan
    cmake --build --preset asan
    find build/asan -name '*.gcda' -delete
    ctest --preset asan -L '^(unit|wire|cli)$' -j "$(nproc)"
fi
mkdir -p build/coverage
gcovr --root . --object-directory build/asan --filter 'src/core/' --exclude-unreachable-branches \
    --txt --html-details build/coverage/index.html --print-summary \
    --fail-under-line "${COVERAGE_LINES:-90}" build/asan
