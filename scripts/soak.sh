#!/usr/bin/env bash
# Runs many mixed requests with random cancels on one engine; tests/live/test_soak.c says what it checks.
#
#   scripts/soak.sh [REQUESTS [PRESET]]      default: 2000 release; asan and tsan are the others
#   S2A_SOAK_SEED=N                          other requests (default 1)
#   S2A_SOAK_THREADS=N                       the engine's threads (default 1; 2 only if nothing else runs)
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
requests=${1:-2000} preset=${2:-release}
case $requests in '' | 0 | *[!0-9]*) echo "soak.sh: \"$requests\" is no number of requests" >&2; exit 2 ;; esac
scripts/configure.sh "$preset"
cmake --build --preset "$preset" --target test_soak
run=()
# As in check.sh: the thread sanitizer needs memory without randomisation.
if [[ $preset == tsan ]] && setarch -R true 2>/dev/null; then
    run=(setarch -R)
fi
export S2A_SOAK_REQUESTS=$requests S2A_REQUIRE_LIVE=0
# Freed memory must not look like growth: by default the sanitizer holds up to 256 MiB of it.
export ASAN_OPTIONS=${ASAN_OPTIONS:-detect_leaks=1:quarantine_size_mb=16:thread_local_quarantine_size_kb=64}
export LSAN_OPTIONS=${LSAN_OPTIONS:-suppressions=$PWD/tests/lsan.supp}
export TSAN_OPTIONS=${TSAN_OPTIONS:-suppressions=$PWD/tests/tsan.supp halt_on_error=1 ignore_noninstrumented_modules=1}
exec "${run[@]}" scripts/with-live.sh "build/$preset/tests/live/test_soak"
