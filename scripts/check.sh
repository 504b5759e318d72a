#!/usr/bin/env bash
# Runs all checks that must pass before a commit, in stages; `make check` runs scripts/bootstrap.sh
# --dev first. A stage's output goes to build/logs/STAGE.log; the terminal gets one line a stage. The
# first stage that fails shows the end of its log and its failed tests' output, and ends the run with
# status 1. The last line of output is "N passed, N failed": tests, fuzz targets and stages that are
# one test. Stages with a + between them run together: they wait more than they compute.
#
#   scripts/check.sh [STAGE[+STAGE...]...]      FUZZ_SECONDS=60
#
# Stage dist runs only if it is named: it makes the packages, and needs root to try them on clean systems.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
self=$PWD/scripts/check.sh
all_stages=(build lint+model+peer release install browser+python clients clang asan tsan valgrind fuzz)
mkdir -p build/logs
jobs=$(nproc)
passed=0 failed=0

# ---- stages -------------------------------------------------------------------------------------

build() {
    scripts/configure.sh "$1"
    cmake --build --preset "$1"
}

# tests PRESET ARGUMENT...: ctest; writes the counts to $junit.
tests() {
    local preset=$1
    shift
    ctest --preset "$preset" -j "$jobs" --output-junit "$junit" "$@"
}

stage_build() { build release; }
stage_lint() { scripts/lint.sh; }

# These two print the path of the file; see with-live.sh.
stage_model() { build/release/s2a pull smollm2-135m-instruct; }
stage_peer() { scripts/build-peer.sh; }

stage_release() { tests release -LE '^install$'; }
stage_install() { tests release -L '^install$'; }
# Converts the reporters' lines for tests to the form that count reads.
stage_browser() { scripts/browser-test.sh | sed -E 's/^✔ /passed /; s/^✖ (.*\))$/failed \1/'; }
stage_clients() { scripts/clients-test.sh -rpfE | sed -E 's/^PASSED /passed /; s/^(FAILED|ERROR) /failed /'; }

stage_python() { scripts/python-test.sh --no-openwebui -rpfE | sed -E 's/^PASSED /passed /; s/^(FAILED|ERROR) /failed /'; }
stage_dist() { make dist && scripts/dist-test.sh; }

stage_clang() { build clang; } # warnings are errors

stage_asan() {
    build asan
    find build/asan -name '*.gcda' -delete
    tests asan
    scripts/coverage.sh --report
}

stage_tsan() {
    build tsan
    # Some kernels place memory where this sanitizer fails; without randomisation they do not.
    local -a run=()
    if setarch -R true 2>/dev/null; then
        run=(setarch -R)
    fi
    # test_log_queue cancels a thread in a write that blocks, which this sanitizer takes for an internal error.
    "${run[@]}" ctest --preset tsan -j "$jobs" --output-junit "$junit" -R '^(unit/|lab/test_|live/.*thread)' \
        -E '^unit/test_log_queue$'
}

stage_valgrind() { scripts/valgrind.sh; }
stage_fuzz() { scripts/fuzz.sh; }

if [[ ${1:-} == --stage ]]; then
    "stage_$2"
    exit
fi

# ---- running them -------------------------------------------------------------------------------

# attribute NAME: the number in the first NAME="N" of the JUnit file.
attribute() { grep -o "$1=\"[0-9]*\"" "$junit" | head -n 1 | tr -cd 0-9; }

# Adds the stage's tests to the totals and sets $summary; a stage without tests counts as one.
count() {
    local log=$1 status=$2 ok bad skipped=0
    if [[ -f $junit ]]; then
        bad=$(attribute failures)
        skipped=$(($(attribute skipped) + $(attribute disabled)))
        ok=$(($(attribute tests) - bad - skipped))
    else
        ok=$(grep -c '^passed ' "$log" || true)
        bad=$(grep -c '^failed ' "$log" || true)
    fi
    if ((status == 0 && ok + bad == 0)); then
        ok=1
    elif ((status != 0 && bad == 0)); then
        bad=1
    fi
    passed=$((passed + ok)) failed=$((failed + bad))
    summary="$ok passed"
    ((bad == 0)) || summary+=", $bad failed"
    ((skipped == 0)) || summary+=", $skipped skipped"
}

# The output of the failed tests from ctest's log. It is printed last, so that a log that is cut has it.
failed_output() {
    awk '/^ *[0-9]+\/[0-9]+ Test +#/ { show = /\*\*\*/ } /^ +Start +[0-9]+:/ { show = 0 } /^[0-9]+% tests passed/ { exit } show' "$1"
}

# In a separate process, so that -e works in the stage, and stages can run together.
run_stage() {
    local stage=$1 begin=$SECONDS status=0
    junit=$PWD/build/logs/$stage.xml bash "$self" --stage "$stage" >"build/logs/$stage.log" 2>&1 || status=$?
    echo "$status $((SECONDS - begin))" >"build/logs/$stage.status"
}

# Prints the stage's line, and on failure the end of its log; returns its status.
report_stage() {
    local stage=$1 log=build/logs/$1.log status took word=ok
    junit=$PWD/build/logs/$stage.xml
    read -r status took <"build/logs/$stage.status"
    count "$log" "$status"
    ((status == 0)) || word=FAILED
    printf '%-9s %-6s %5d s  %s\n' "$stage" "$word" "$took" "$summary"
    if ((status != 0)); then
        printf '%s\n' "---- the end of $log:"
        tail -n 60 "$log"
        failed_output "$log" >build/logs/failed.txt
        if [[ -s build/logs/failed.txt ]]; then
            echo '---- what the tests that failed said:'
            tail -n 80 build/logs/failed.txt
        fi
        printf '%s\n' '----'
    fi
    return "$status"
}

# run_together STAGE...: fails if one of them does.
run_together() {
    local stage bad=0
    [[ ! -t 1 ]] || printf '%-9s ...\r' "$*"
    for stage; do
        rm -f "build/logs/$stage.xml" "build/logs/$stage.status"
        run_stage "$stage" &
    done
    wait
    for stage; do
        report_stage "$stage" || bad=1
    done
    return "$bad"
}

stages=("$@")
((${#stages[@]} > 0)) || stages=("${all_stages[@]}")
export CTEST_OUTPUT_ON_FAILURE=1 S2A_REQUIRE_LIVE=1
result=0
for group in "${stages[@]}"; do
    IFS=+ read -ra together <<<"$group"
    for stage in "${together[@]}"; do
        if [[ $(type -t "stage_$stage") != function ]]; then
            echo "check.sh: no stage $stage: ${all_stages[*]}" >&2
            exit 2
        fi
    done
    run_together "${together[@]}" || {
        result=1
        break
    }
done
echo "$passed passed, $failed failed"
exit "$result"
