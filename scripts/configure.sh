#!/usr/bin/env bash
# configure.sh PRESET: configures build/PRESET with the tests and the laboratory, unless that is done already. Ninja
# notices later changes (sources, CMake files).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
tests=ON
[[ $1 != fuzz ]] || tests=OFF
if [[ ! -f build/$1/build.ninja ]] ||
    (($(grep -cE "^S2A_(TESTS:[A-Z]*=$tests|LAB:BOOL=ON)\$" "build/$1/CMakeCache.txt") < 2)); then
    cmake --preset "$1" -DS2A_TESTS=$tests -DS2A_LAB=ON
fi
