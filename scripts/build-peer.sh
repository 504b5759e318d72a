#!/usr/bin/env bash
# Builds llama-server, the peer of the live tests and benchmarks, from the llama.cpp source and libraries that
# scripts/bootstrap.sh put into the cache. stdout has one line, the path of the program; all else goes to stderr.
set -euo pipefail

usage() {
    cat <<'EOF'
usage: scripts/build-peer.sh [--print]
  --print   print the path of llama-server if it is built and up to date, else exit with 1; never builds
environment:
  S2A_CACHE   the cache directory (default: $XDG_CACHE_HOME/s2a, or ~/.cache/s2a)
  S2A_JOBS    compiler processes at a time (default: one for each processor)
EOF
}

print_only=0
case "$#:${1-}" in
    0:) ;;
    1:--print) print_only=1 ;;
    1:-h | 1:--help) usage; exit 0 ;;
    *) usage >&2; exit 2 ;;
esac

exec 3>&1 1>&2
# A git hook that calls this script must not decide which repository git uses below.
unset GIT_DIR GIT_WORK_TREE GIT_INDEX_FILE

say() { echo "build-peer: $*"; }
die() { say "$*"; exit 1; }

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cache=${S2A_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/s2a}
case $cache in /*) ;; *) cache=$PWD/$cache ;; esac
project=$root/cmake/peer
lib=$cache/llama/lib
bundle=$cache/llama/gitRelease.bundle
peer=$cache/peer
src=$peer/src
build=$peer/build
stamp=$peer/stamp
binary=$build/bin/llama-server

# The commit to build: the bundle's, or the checkout's if there is no bundle.
wanted_commit() {
    if [ -f "$bundle" ]; then
        git bundle list-heads "$bundle" HEAD | cut -d' ' -f1
    elif [ -d "$src/.git" ]; then
        git -C "$src" rev-parse HEAD
    fi
}

# What the program is made from. The build is complete when the stamp, which is written last, has the same text.
key() {
    echo "$cache"
    echo "$commit"
    cksum <"$project/CMakeLists.txt"
    (cd "$lib" && ls && cksum libllama* libggml.* libggml-base.*)
}

built() { [ -x "$binary" ] && [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$wanted" ]; }

[ -d "$lib" ] || die "no libraries in $lib: run scripts/bootstrap.sh first"
commit=$(wanted_commit)
[ -n "$commit" ] || die "no llama.cpp source in $bundle: run scripts/bootstrap.sh first"
wanted=$(key)

if [ "$print_only" = 1 ]; then
    built || exit 1
    echo "$binary" >&3
    exit 0
fi
if built; then
    echo "$binary" >&3
    exit 0
fi

mkdir -p "$peer"
if command -v flock >/dev/null; then
    exec 9>"$peer/lock"
    if ! flock -n 9; then
        say "waiting for another build"
        flock 9
    fi
    if built; then
        echo "$binary" >&3
        exit 0
    fi
fi
rm -f "$stamp"
began=$SECONDS

if [ "$(git -C "$src" rev-parse HEAD 2>/dev/null)" != "$commit" ]; then
    say "unpacking the llama.cpp source"
    rm -rf "$src" "$peer"/src.tmp.*
    git -c advice.detachedHead=false clone --quiet "$bundle" "$peer/src.tmp.$$"
    mv "$peer/src.tmp.$$" "$src"
fi

configure() {
    if [ ! -f "$build/CMakeCache.txt" ] && command -v ninja >/dev/null; then
        set -- -G Ninja
    fi
    cmake -S "$project" -B "$build" "$@" -DLLAMA_SRC="$src" -DLLAMA_LIB="$lib"
}

say "building llama-server from $commit"
# Removes links to the backends of an earlier set of libraries; configuring makes the present ones.
rm -rf "${build:?}/bin"
if ! configure; then
    say "configuring again from nothing"
    rm -rf "$build"
    configure
fi
jobs=${S2A_JOBS:-$(getconf _NPROCESSORS_ONLN 2>/dev/null || echo 1)}
# The build inherits the lock: if it outlives a killed script, the next script waits for its end.
nice cmake --build "$build" --parallel "$jobs" --target llama-server 3>&-
"$binary" --version

echo "$wanted" >"$stamp.tmp.$$"
mv "$stamp.tmp.$$" "$stamp"
say "done in $((SECONDS - began)) s"
echo "$binary" >&3
