#!/usr/bin/env bash
# Installs what s2a needs to be built: system packages (apt-get) and libllama (npm packages pinned in
# scripts/llama.lock, unpacked into the cache). It installs missing parts only: a second run does
# nothing and needs no network.
#
#   scripts/bootstrap.sh            what building and running the tool needs (--minimal)
#   scripts/bootstrap.sh --dev      also what `make check` needs
#   scripts/bootstrap.sh --dist     also what `make dist` and scripts/dist-test.sh need
#
# Runs as root, or as a user who may use sudo. Cache: $S2A_CACHE, else $XDG_CACHE_HOME/s2a, else
# ~/.cache/s2a; through sudo it is the cache of the user who called sudo.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
llama_version=$(sed -n 's/^set(S2A_LLAMA_VERSION \([0-9.]*\)).*/\1/p' "$root/cmake/S2aLlama.cmake")

say() { printf 'bootstrap: %s\n' "$*"; }
fail() {
    printf 'bootstrap: %s\n' "$*" >&2
    exit 1
}
have() { command -v "$1" >/dev/null 2>&1; }

# ---- system packages ----------------------------------------------------------------------------

has_fuzzer() {
    # One directory below lib/: its name differs between releases.
    have clang && compgen -G "$(clang -print-resource-dir)/lib/*/libclang_rt.fuzzer*" >/dev/null
}
has_llama() { have pkg-config && pkg-config --exists "llama >= $llama_version"; }
has_pip() { have python3 && python3 -c "import pip"; }
has_venv() { have python3 && python3 -c "import ensurepip"; }
has_module() { have pkg-config && pkg-config --exists "$1"; }

# Prints the names of the packages that are missing. A program or library may come from elsewhere.
missing_packages() {
    local package piece
    while read -r package piece; do
        $piece >/dev/null || printf '%s\n' "$package"
    done <<END
gcc have gcc
g++ have g++
libc6-dev test -e /usr/include/stdio.h
make have make
cmake have cmake
ninja-build have ninja
pkg-config have pkg-config
git have git
ca-certificates test -e /etc/ssl/certs/ca-certificates.crt
openssl have openssl
python3 have python3
python3-pip has_pip
libcurl4-openssl-dev has_module libcurl
libjansson-dev has_module jansson
libicu-dev has_module icu-uc
libarchive-dev has_module libarchive
libmicrohttpd-dev has_module libmicrohttpd
libedit-dev has_module libedit
libssl-dev has_module libcrypto
liblinear-dev test -e /usr/include/linear.h
END
    if ! has_llama && ! llama_is_cached && ! have npm; then
        have node || printf 'nodejs\n'
        printf 'npm\n'
    fi
    if [[ $dist == yes ]]; then
        while read -r package piece; do
            $piece >/dev/null || printf '%s\n' "$package"
        done <<END
dpkg-dev have dpkg-shlibdeps
file have file
lintian have lintian
mmdebstrap have mmdebstrap
patchelf have patchelf
END
    fi
    [[ $dev == yes ]] || return 0
    while read -r package piece; do
        $piece >/dev/null || printf '%s\n' "$package"
    done <<END
clang have clang
clang-format have clang-format
shellcheck have shellcheck
codespell have codespell
libcmocka-dev has_module cmocka
libsqlite3-dev has_module sqlite3
libcairo2-dev has_module cairo
valgrind have valgrind
gcovr have gcovr
nodejs have node
npm have npm
python3-venv has_venv
END
}

as_root() {
    if ((EUID == 0)); then
        "$@"
    else
        sudo "$@"
    fi
}

# apt LOG ARG...: apt-get, quiet; its output goes to LOG.
apt() {
    local log=$1
    shift
    as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -y -o Dpkg::Use-Pty=0 \
        -o DPkg::Lock::Timeout=300 "$@" >>"$log" 2>&1
}

install_packages() {
    local log packages=("$@")
    have apt-get || fail "missing: ${packages[*]}: install them by this system's package manager"
    ((EUID == 0)) || have sudo || fail "missing: ${packages[*]}: run as root: apt-get install ${packages[*]}"
    log=$(mktemp)
    say "installing ${packages[*]}"
    # The package lists may be missing or old: they are fetched if the installation fails without.
    if ! apt "$log" install --no-install-recommends "${packages[@]}"; then
        apt "$log" update || fail "apt-get update failed: $(reason "$log") (log: $log)"
        apt "$log" install --no-install-recommends "${packages[@]}" ||
            fail "apt-get install ${packages[*]} failed: $(reason "$log") (log: $log)"
    fi
    rm -f "$log"
}

# The line of LOG that says why. For apt: a failed download before errors that follow from it. For
# npm: the sentence, not the codes around it.
reason() {
    grep -E '^(E:|W: Failed|npm (error|ERR!))' "$1" |
        grep -Ev '(error|ERR!) (code|errno|syscall|type|A complete log)' | head -n 1 || true
}

# The compiler's run-time library for sanitizers and fuzzing is a separate package, named after
# clang's version; older releases have it in libclang-common.
clang_runtime_package() {
    local version name
    version=$(clang --version | sed -n 's/.*version \([0-9]*\)\..*/\1/p' | head -n 1)
    for name in "libclang-rt-$version-dev" "libclang-common-$version-dev"; do
        if [[ -n $(apt-cache policy "$name" 2>/dev/null) ]]; then
            printf '%s\n' "$name"
            return
        fi
    done
    fail "clang $version has no fuzzer library, and no package libclang-rt-$version-dev is known"
}

# ---- libllama -----------------------------------------------------------------------------------

cache_dir() { printf '%s\n' "${S2A_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/s2a}"; }
platform() { printf '%s-%s\n' "$(uname -s)" "$(uname -m)"; }

# lock PLATFORM: "package version integrity" from scripts/llama.lock.
lock() { awk -v platform="$1" '$1 == platform { print $2, $3, $4 }' "$root/scripts/llama.lock"; }

# The stamp's content when the cache is complete and has the pinned packages: the packages, and what this script
# changes in them.
llama_packages() { printf '%s\n' "$(lock any)" "$(lock "$(platform)")"; }
llama_stamp() { printf '%s\n' "$(llama_packages)" "headers of common; run paths without an empty part"; }
llama_is_cached() {
    local stamp
    stamp=$(cache_of_user)/llama/stamp
    [[ -r $stamp && $(<"$stamp") == "$(llama_stamp)" ]]
}

# Root through sudo works for the user who called it: the cache belongs to that user.
caller() {
    if ((EUID == 0)) && [[ -n ${SUDO_USER:-} && $SUDO_USER != root && -z ${S2A_CACHE:-} ]]; then
        printf '%s\n' "$SUDO_USER"
    fi
}
cache_of_user() {
    local user home
    user=$(caller)
    if [[ -n $user ]]; then
        home=$(getent passwd "$user" | cut -d: -f6)
        printf '%s\n' "$home/.cache/s2a"
    else
        cache_dir
    fi
}

# fetch_package DIR PACKAGE VERSION INTEGRITY: DIR/package.tgz, verified against the pinned hash.
fetch_package() {
    local dir=$1 package=$2 version=$3 integrity=$4 log=$1/npm.log found
    mkdir -p "$dir"
    (cd "$dir" && npm pack --fetch-retry-maxtimeout=15000 --pack-destination "$dir" \
        "$package@$version") >"$log" 2>&1 ||
        fail "npm pack $package@$version failed: $(reason "$log")"
    mv "$dir"/*.tgz "$dir/package.tgz"
    found=sha512-$(openssl dgst -sha512 -binary "$dir/package.tgz" | openssl base64 -A)
    [[ $found == "$integrity" ]] ||
        fail "$package@$version is not the file pinned in scripts/llama.lock: got $found"
}

# llama_headers DIR: DIR/include and DIR/LICENSE from DIR/gitRelease.bundle.
llama_headers() {
    local dir=$1 git=$1/git.new header
    rm -rf "$git"
    git clone --quiet --bare "$dir/gitRelease.bundle" "$git" 2>"$git.log" ||
        fail "gitRelease.bundle is not a git bundle: $(head -n 1 "$git.log")"
    mkdir -p "$dir/include/common/jinja"
    git -C "$git" show HEAD:LICENSE >"$dir/LICENSE"
    while read -r header; do
        git -C "$git" show "HEAD:$header" >"$dir/include/${header##*/}"
    done < <(git -C "$git" ls-tree --name-only HEAD include/ ggml/include/ | grep '\.h$')
    while read -r header; do
        git -C "$git" show "HEAD:$header" >"$dir/include/$header"
    done < <(git -C "$git" ls-tree --name-only HEAD common/ common/jinja/ | grep '\.h$')
    rm -rf "$git" "$git.log"
}

# llama_run_paths DIR: the prebuilt libraries have the run path "$ORIGIN:". The loader takes its empty part for the
# current directory. It becomes "$ORIGIN"; the string keeps its place and length.
llama_run_paths() {
    local file
    for file in "$1"/lib/lib*.so; do
        LC_ALL=C sed -i 's/\x00\$ORIGIN:\x00/\x00$ORIGIN\x00\x00/' "$file"
    done
}

# The packages may be there with the headers of an earlier version of this script.
refresh_llama() {
    local dir
    dir=$(cache_dir)/llama
    [[ -r $dir/stamp && $(head -n 2 "$dir/stamp") == "$(llama_packages)" &&
        -r $dir/gitRelease.bundle ]] || return 1
    llama_headers "$dir"
    llama_run_paths "$dir"
    llama_stamp >"$dir/stamp"
    say "$dir is up to date"
}

install_llama() {
    local cache work package version integrity
    refresh_llama && return 0
    if [[ -z $(lock "$(platform)") ]]; then
        fail "no libllama is pinned for $(platform): install llama.cpp >= $llama_version so that" \
            "pkg-config finds it, or configure with -DS2A_LLAMA=OFF"
    fi
    cache=$(cache_dir)
    mkdir -p "$cache" || fail "cannot create $cache: set S2A_CACHE to a directory that can be written"
    work=$(mktemp -d "$cache/llama.new.XXXXXX")
    # shellcheck disable=SC2064 # the directory's name is fixed now
    trap "rm -rf '$work'" EXIT

    read -r package version integrity < <(lock "$(platform)")
    say "fetching $package@$version"
    fetch_package "$work/bins" "$package" "$version" "$integrity"
    read -r package version integrity < <(lock any)
    say "fetching $package@$version"
    fetch_package "$work/source" "$package" "$version" "$integrity"

    mkdir "$work/llama" "$work/llama/lib" "$work/llama/include"
    tar -xzf "$work/bins/package.tgz" -C "$work/bins" package/bins
    mv "$work"/bins/package/bins/*/lib*.so "$work/llama/lib/"
    tar -xzf "$work/source/package.tgz" -C "$work/source" package/llama/gitRelease.bundle
    mv "$work/source/package/llama/gitRelease.bundle" "$work/llama/"

    llama_headers "$work/llama"
    llama_run_paths "$work/llama"

    # Complete: write the stamp, then move it into place. Remove an old directory first: rename
    # replaces only an empty one.
    llama_stamp >"$work/llama/stamp"
    if [[ -e $cache/llama ]]; then
        mv "$cache/llama" "$work/llama.old"
    fi
    mv "$work/llama" "$cache/llama"
    rm -rf "$work"
    trap - EXIT
    say "libllama is in $cache/llama"
}

# ---- main ---------------------------------------------------------------------------------------

dev=no dist=no only_llama=no
for argument in "$@"; do
    case $argument in
    --minimal) dev=no ;;
    --dev) dev=yes ;;
    --dist) dist=yes ;;
    --llama-only) only_llama=yes ;; # internal: the part that runs as the caller of sudo
    -h | --help)
        sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//;p}' "${BASH_SOURCE[0]}"
        exit 0
        ;;
    *)
        printf 'bootstrap: unknown option %s: --minimal, --dev or --dist\n' "$argument" >&2
        exit 2
        ;;
    esac
done

if [[ $only_llama == yes ]]; then
    llama_is_cached || install_llama
    exit 0
fi

mapfile -t packages < <(missing_packages 2>/dev/null)
if ((${#packages[@]} > 0)); then
    install_packages "${packages[@]}"
fi
if [[ $dev == yes ]] && ! has_fuzzer; then
    install_packages "$(clang_runtime_package)"
fi
if ! has_llama && ! llama_is_cached; then
    user=$(caller)
    if [[ -n $user ]]; then
        sudo -H -u "$user" bash "${BASH_SOURCE[0]}" --llama-only
    else
        install_llama
    fi
fi
