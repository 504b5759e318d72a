#!/usr/bin/env bash
# configure.sh PRESET: configures build/PRESET with the tests, unless that is done already. What
# changes later (sources, CMake files) is noticed by ninja.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
tests=ON
[[ $1 != fuzz ]] || tests=OFF
if [[ ! -f build/$1/build.ninja ]] || ! grep -q "^S2A_TESTS:[A-Z]*=$tests\$" "build/$1/CMakeCache.txt"; then
    cmake --preset "$1" -DS2A_TESTS=$tests
fi
