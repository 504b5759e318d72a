# Sourced by the tests of the tool. Each test gets an empty directory $work, a HOME in it, a store without models,
# and no setting from outside. run ARGUMENT... runs the tool; then $status, $work/out and $work/err are
# there. A check that fails says what it saw; `finish` gives the exit status.
# shellcheck shell=bash
set -u
bin=${S2A_BIN:?S2A_BIN is not set: the path of the tool}
[[ $bin == */* ]] && bin=$(realpath "$bin")
[[ -x $bin ]] || { echo "$bin is not there" >&2; exit 1; }
tests=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
top=$(cd "$tests/../.." && pwd)
work=$(mktemp -d "${TMPDIR:-/tmp}/s2a-cli-XXXXXX")
trap 'rm -rf "$work"' EXIT
for name in $(compgen -e | grep '^S2A_'); do unset "$name"; done
unset NO_COLOR XDG_CONFIG_HOME XDG_CACHE_HOME COLUMNS
export HOME=$work/home LC_ALL=C.UTF-8 TERM=xterm-256color
export XDG_DATA_HOME=$work/data S2A_MODELS=$work/models # whatever lies in the user's store
mkdir "$HOME"
checks=0
failures=0
status=0
test=

fail() {
    failures=$((failures + 1))
    printf 'FAILED: %s: %s\n' "$test" "$*" >&2
    if [[ -f $work/out ]]; then
        printf '  status %s\n' "$status" >&2
        head -c 1500 "$work/out" | sed 's/^/  out: /' >&2
        head -c 1500 "$work/err" | sed 's/^/  err: /' >&2
    fi
}

# Standard input is empty unless it is given: run ... <file.
run() {
    test="s2a $*"
    test=${test:0:200}
    status=0
    "$bin" "$@" >"$work/out" 2>"$work/err" || status=$?
}

want_status() {
    checks=$((checks + 1))
    [[ $status == "$1" ]] || fail "status $status, not $1"
}

# want_out TEXT: all of standard output, without its last newlines.
want_out() {
    checks=$((checks + 1))
    [[ $(<"$work/out") == "$1" ]] || fail "standard output is not: $1"
}

want_out_has() {
    checks=$((checks + 1))
    grep -qF -e "$1" "$work/out" || fail "not in standard output: $1"
}

want_out_lacks() {
    checks=$((checks + 1))
    ! grep -qF -e "$1" "$work/out" || fail "in standard output: $1"
}

# want_err TEXT: one line, which begins with "s2a: " and has TEXT in it; want_err without TEXT:
# nothing at all.
want_err() {
    checks=$((checks + 1))
    if (($# == 0)); then
        [[ ! -s $work/err ]] || fail "standard error is not empty"
    elif [[ $(wc -l <"$work/err") != 1 || $(head -c 5 "$work/err") != "s2a: " ]]; then
        fail "standard error is not one line of s2a's"
    else
        grep -qF -e "$1" "$work/err" || fail "not in standard error: $1"
    fi
}

# refused STATUS TEXT ARGUMENT...: the tool ends so, with TEXT in its one line and no output.
refused() {
    local wanted=$1 text=$2
    shift 2
    run "$@" </dev/null
    want_status "$wanted"
    want_err "$text"
    want_out ""
}

check() { # check WORDS COMMAND...: the command succeeds
    local words=$1
    shift
    checks=$((checks + 1))
    "$@" || fail "$words"
}

# replay FILE RECORD...: a replay file; from then on the tool runs on it.
replay() {
    local file=$1 i
    shift
    for ((i = 1; i <= $#; i++)); do
        ((i == 1)) || printf '%%%%\n'
        printf '%s\n' "${!i}"
    done >"$file"
    export S2A_BACKEND=script S2A_MODEL=$file
}

x='I think it was Poe. The poem is from 1855. Who wrote it?'
parts='Unbiased text context: The poem is from 1855.

Question/Query: Who wrote it?'
xprime='The poem is from 1855. Who wrote it?'

finish() {
    rm -rf "$work"
    if ((failures > 0)); then
        echo "$failures of $checks checks failed"
        exit 1
    fi
    echo "$checks checks"
    exit 0
}
