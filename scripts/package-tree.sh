#!/usr/bin/env bash
# package-tree.sh DEB|TGZ DIR: turns the files that cpack installed below DIR into the package's content. cpack runs it.
#
#   both  libllama's and ggml's libraries are stripped, and find each other only in their own directory
#   DEB   DIR/runtime/usr and DIR/dev/usr: places and files as Debian requires them, from packaging/debian/
#   TGZ   DIR: all libraries except glibc's are copied to lib/s2a, with their licences and a list of them
set -euo pipefail
top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
kind=$1 dir=$2

fail() {
    printf 'package-tree.sh: %s\n' "$*" >&2
    exit 1
}
command -v patchelf >/dev/null || fail "patchelf is not there: apt-get install patchelf"

# The prebuilt libraries have the run path "$ORIGIN:". The empty part of it is the current directory.
private_libraries() {
    local file
    for file in "$1"/*.so*; do
        [[ -f $file && ! -L $file ]] || continue
        strip --strip-unneeded "$file"
        # shellcheck disable=SC2016 # the loader expands it
        patchelf --set-rpath '$ORIGIN' "$file"
        chmod 644 "$file"
    done
}

# ---- DEB ----------------------------------------------------------------------------------------

debian_documents() {
    local doc=$1/share/doc/$2
    mkdir -p "$doc"
    rm -f "$doc"/LICENSE*
    install -m 644 "$top/packaging/debian/copyright" "$doc/"
    gzip -9nc "$top/packaging/debian/changelog" >"$doc/changelog.Debian.gz"
    gzip -9nc "$top/CHANGELOG.md" >"$doc/changelog.gz"
}

debian_runtime() {
    local usr=$1
    debian_documents "$usr" s2a
    gzip -9n "$usr/share/man/man1/s2a.1"
    mkdir -p "$usr/lib/systemd/system" "$usr/share/zsh/vendor-completions"
    mv "$usr/share/s2a/s2a.service" "$usr/lib/systemd/system/"
    mv "$usr/share/zsh/site-functions/_s2a" "$usr/share/zsh/vendor-completions/"
    rmdir "$usr/share/zsh/site-functions"
    install -D -m 644 "$top/packaging/debian/s2a.sysusers" "$usr/lib/sysusers.d/s2a.conf"
    install -D -m 644 "$top/packaging/debian/s2a.lintian-overrides" "$usr/share/lintian/overrides/s2a"
}

debian_dev() {
    debian_documents "$1" libs2a-dev
    find "$1" -name '*.a' -exec strip --strip-debug {} +
    install -D -m 644 "$top/packaging/debian/libs2a-dev.lintian-overrides" "$1/share/lintian/overrides/libs2a-dev"
}

# ---- TGZ ----------------------------------------------------------------------------------------

glibc='^(ld-linux.*|lib(c|m|mvec|dl|pthread|rt|resolv|util|anl))\.so'

# All libraries that the given files need, directly or not, by the loader's paths; except glibc's and those of the tree.
needed() {
    local name path
    ldd "$@" | sed -n 's/^\t\([^ ]*\) => \([^ ]*\) (.*/\1 \2/p' | sort -u | while read -r name path; do
        [[ $name =~ $glibc || $path == "$dir"/* ]] || printf '%s\n' "$path"
    done
}

# The package that owns a library; dpkg may know its path without /usr.
owner() {
    local real
    real=$(readlink -f "$1")
    { dpkg-query -S "$real" 2>/dev/null || dpkg-query -S "${real#/usr}" 2>/dev/null; } | head -n 1 | sed 's/: .*//'
}

bundle() {
    local private=$1 doc=$dir/share/doc/s2a path package version
    local -a users=("$dir/bin/s2a" "$dir"/lib/libs2a.so.*.*.* "$private"/*.so*)
    mkdir -p "$private" "$doc/licenses"
    ! ldd "${users[@]}" | grep 'not found' || fail "a library is not found"
    needed "${users[@]}" >"$dir/needed"
    printf 'library\tpackage\tversion\n' >"$doc/bundled.tsv"
    while read -r path; do
        package=$(owner "$path")
        [[ -n $package ]] || fail "$path: it is of no Debian package, so its licence is not known"
        version=$(dpkg-query -W -f '${Version}' "$package")
        # Debian's file, byte for byte, under the name that the loader looks for.
        install -m 644 "$(readlink -f "$path")" "$private/${path##*/}"
        install -m 644 "/usr/share/doc/${package%%:*}/copyright" "$doc/licenses/${package%%:*}"
        printf '%s\t%s\t%s\n' "${path##*/}" "${package%%:*}" "$version" >>"$doc/bundled.tsv"
    done <"$dir/needed"
    rm "$dir/needed"
    # DT_RPATH, not DT_RUNPATH: it also serves the libraries that a library needs.
    # shellcheck disable=SC2016 # the loader expands it
    patchelf --force-rpath --set-rpath '$ORIGIN/../lib/s2a' "$dir/bin/s2a"
    # shellcheck disable=SC2016
    patchelf --force-rpath --set-rpath '$ORIGIN/s2a' "$dir"/lib/libs2a.so.*.*.*
}

# ---- main ---------------------------------------------------------------------------------------

case $kind in
DEB)
    private_libraries "$dir/runtime/usr/lib/s2a"
    debian_runtime "$dir/runtime/usr"
    debian_dev "$dir/dev/usr"
    ;;
TGZ)
    private_libraries "$dir/lib/s2a"
    strip --strip-debug "$dir"/lib/libs2a.a
    bundle "$dir/lib/s2a"
    ;;
*) fail "$kind: DEB or TGZ" ;;
esac
