#!/usr/bin/env bash
# The walls of CMakeLists.txt stand: a room cannot include what it may not know, and can what it may.
source "$(dirname "${BASH_SOURCE[0]}")/lib.sh"
test="walls"
walls=${bin%/*}/walls

# compiles ROOM HEADER: in the room, a file that includes the header
compiles() {
    printf '#include "%s"\n' "$2" |
        cc -std=c11 -D_GNU_SOURCE -fsyntax-only -I"$top/include" -I"$walls/$1" -x c - 2>"$work/err"
}

# may ROOM HEADER...
may() {
    for header in "${@:2}"; do
        checks=$((checks + 1))
        compiles "$1" "$header" || fail "$1 cannot include $header: $(head -n 1 "$work/err")"
    done
}

# may_not ROOM HEADER...; each header is there
may_not() {
    for header in "${@:2}"; do
        checks=$((checks + 1))
        [[ -f $top/src/$header || -f $top/lab/$header ]] || fail "there is no $header"
        ! compiles "$1" "$header" || fail "$1 can include $header"
        grep -qE "(No such file|file not found)" "$work/err" || fail "$header is kept out by chance: $(head -n 1 "$work/err")"
    done
}

may base base/buf.h base/error.h
may_not base core/attend.c core/select.h backend/backend.h teach/teach.h serve/serve.h cli/session.h
may core base/buf.h core/select.h backend/backend.h
may_not core backend/llama.c backend/llama/embedded.h backend/llama/gate.h teach/teach.h serve/serve.h cli/session.h
may backend base/buf.h backend/backend.h
may_not backend core/engine.h core/head.h core/segment.h teach/teach.h serve/serve.h cli/session.h
may teach base/buf.h core/reading.h teach/teach.h backend/backend.h
may_not teach backend/llama/embedded.h serve/serve.h cli/session.h
may json base/buf.h json/tree.h
may_not json core/select.h backend/backend.h serve/serve.h cli/session.h
may serve base/buf.h json/tree.h serve/serve.h
may_not serve core/engine.h core/select.h backend/backend.h teach/teach.h cli/session.h
may cli base/buf.h json/tree.h serve/serve.h cli/session.h
may_not cli core/engine.h core/head.h core/segment.h backend/backend.h teach/teach.h eval/runner.h bench/run.h
finish
