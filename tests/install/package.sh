#!/usr/bin/env bash
# package.sh BUILD_DIR: installs that build, moves the tree elsewhere, and uses it as a stranger
# would: by pkg-config and by CMake, with the shared and the static library, from C and C++.
set -euo pipefail
build=$1
top=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
unset LD_LIBRARY_PATH DESTDIR

fail() {
    printf 'package.sh: %s\n' "$*" >&2
    exit 1
}

DESTDIR=$work/stage cmake --install "$build" --prefix /usr >/dev/null
[[ -f $work/stage/usr/include/s2a.h ]] || fail "DESTDIR is not honoured"

cmake --install "$build" --prefix "$work/first" >/dev/null
mv "$work/first" "$work/moved"
prefix=$work/moved
pc=$(find "$prefix" -name s2a.pc)
lib=$(dirname "$(dirname "$pc")")
export PKG_CONFIG_PATH=${pc%/*}${PKG_CONFIG_PATH:+:$PKG_CONFIG_PATH}

# The header alone, as strictly as its users may compile.
cc -std=c11 -pedantic -Wall -Wextra -Werror -fsyntax-only -x c "$prefix/include/s2a.h"
if command -v c++ >/dev/null; then
    c++ -std=c++11 -pedantic -Wall -Wextra -Werror -fsyntax-only -x c++ "$prefix/include/s2a.h"
fi

# Nothing that is installed depends on the build tree or on the bootstrap's cache.
for file in "$lib"/libs2a.so "$prefix"/bin/s2a; do
    [[ -e $file ]] || continue
    libraries=$(ldd "$file")
    ! grep 'not found' <<<"$libraries" || fail "$file: a library is not found"
    if compgen -G "$lib/s2a/libllama*" >/dev/null; then
        grep -q "libllama.* => $prefix/" <<<"$libraries" || fail "$file takes libllama from elsewhere"
    fi
done
# Kernels find the ggml library that they stand before, and the engine finds them: the tool's and the
# shared library's run paths have their directory.
for file in "$lib"/s2a/libs2a-kernels-*.so; do
    [[ -e $file ]] || continue
    grep -q "libggml-cpu.* => $prefix/" <<<"$(ldd "$file")" || fail "$file takes ggml from elsewhere"
    for user in "$lib"/libs2a.so "$prefix"/bin/s2a; do
        [[ ! -e $user ]] || readelf -d "$user" | grep -q 'RUNPATH.*\$ORIGIN.*/\?s2a\]' ||
            fail "$user does not look for kernels in lib/s2a"
    done
done
if [[ -x $prefix/bin/s2a ]]; then
    version=$(pkg-config --modversion s2a)
    [[ $("$prefix/bin/s2a" --version) == *"$version"* ]] || fail "s2a --version is not $version"
fi

# The unit, with the program where it now is. Manual pages are not asked for: this one is not installed.
if command -v systemd-analyze >/dev/null; then
    unit=$(find "$prefix" -name s2a.service)
    sed "s,^ExecStart=[^ ]*,ExecStart=$prefix/bin/s2a," "$unit" >"$work/s2a.service"
    said=$(systemd-analyze verify --man=no "$work/s2a.service" 2>&1) && [[ -z $said ]] ||
        fail "systemd-analyze verify: $said"
fi

# check_program PROGRAM: examples/ask.c answers as the replay file says; what other examples need is
# not known here, they must build.
check_program() {
    local output
    [[ $(basename "$1") == ask* ]] || return 0
    output=$("$1" script "$top/tests/install/ask.script" \
        "I think it was Poe. The poem is from 1855. Who wrote it?" 2>&1) || fail "$1: $output"
    [[ $output == *'removed: I think it was Poe.'*'Walt Whitman wrote it.' ]] || fail "$1: $output"
}

shopt -s nullglob
examples=("$top"/examples/*.c)
for example in "${examples[@]}"; do
    program=$work/$(basename "$example" .c)
    # shellcheck disable=SC2046 # words are wanted
    cc -std=c11 -Wall -Wextra -Werror "$example" $(pkg-config --cflags --libs s2a) -o "$program"
    LD_LIBRARY_PATH=$lib check_program "$program"
done

cp "$top/tests/install/CMakeLists.txt" "$work/"
cmake -S "$work" -B "$work/build" -G Ninja -DEXAMPLES="$(IFS=';' && echo "${examples[*]}")" \
    -DCMAKE_PREFIX_PATH="$prefix" >"$work/log" 2>&1 &&
    cmake --build "$work/build" >>"$work/log" 2>&1 || {
    cat "$work/log" >&2
    fail "find_package(s2a) does not work"
}
for example in "${examples[@]}"; do
    name=$(basename "$example" .c)
    check_program "$work/build/$name-shared"
    check_program "$work/build/$name-static"
done
printf '%s examples\n' "${#examples[@]}"
