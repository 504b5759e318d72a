#!/usr/bin/env bash
# Runs the tests that need no model on a build that counts lines, writes build/coverage/html and
# fails when fewer than COVERAGE_LINES percent (90) of the lines of src/core ran.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
scripts/configure.sh coverage
cmake --build --preset coverage
find build/coverage -name '*.gcda' -delete
ctest --preset coverage -L '^(unit|wire|cli)$' -j "$(nproc)" --output-junit "$PWD/build/coverage/junit.xml"
mkdir -p build/coverage/html
gcovr --root . --object-directory build/coverage --filter 'src/core/' --exclude-unreachable-branches \
    --txt --html-details build/coverage/html/index.html --print-summary \
    --fail-under-line "${COVERAGE_LINES:-90}" build/coverage
