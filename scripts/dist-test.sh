#!/usr/bin/env bash
# dist-test.sh [deb|tarball] [MODEL.gguf]: installs the packages of `make dist` on clean root file systems and uses them.
#
#   deb       Debian's minimal system: install, README's first examples, reinstall, purge; nothing may be left
#   tarball   only glibc and busybox: unpack, README's first examples; except glibc no library may come from outside
#
# Each check prints a line, "passed NAME" or "failed NAME", after its findings. Needs root (for chroot), the
# network (for mmdebstrap and apt) and a model (default: the smallest in the store, smollm2-135m-instruct).
# The file systems are in a temporary directory, which is removed at the end.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 1
dist=build/dist suite=${SUITE:-bookworm}
kinds=(deb tarball)
if [[ ${1:-} == deb || ${1:-} == tarball ]]; then
    kinds=("$1")
fi
model=${S2A_MODELS:-${XDG_DATA_HOME:-$HOME/.local/share}/s2a/models}/SmolLM2-135M-Instruct.Q4_1.gguf
[[ ${*: -1} != *.gguf ]] || model=${*: -1}

stop() {
    printf 'dist-test.sh: %s\n' "$*" >&2
    exit 2
}
((EUID == 0)) || stop "run it as root: it uses chroot"
command -v mmdebstrap >/dev/null || stop "mmdebstrap is not there: scripts/bootstrap.sh --dist"
[[ -f $model ]] || stop "$model: no such model; s2a pull 135m"
deb=$(compgen -G "$dist/s2a_*.deb") dev=$(compgen -G "$dist/libs2a-dev_*.deb") tarball=$(compgen -G "$dist/s2a-*-linux-*.tar.gz") ||
    stop "$dist: packages are missing; make dist"
version=$(dpkg-deb -f "$deb" Version)
version=${version%-*}

# Removes mmdebstrap's mounts when this script ends, for whatever reason.
if [[ -z ${DIST_TEST_MOUNTS:-} ]] && unshare --mount true 2>/dev/null; then
    DIST_TEST_MOUNTS=own exec unshare --mount bash "$PWD/scripts/dist-test.sh" "$@"
fi
work=$(mktemp -d)
trap 'rm -rf --one-file-system "$work"' EXIT
trap 'exit 130' INT TERM
result=0

# check NAME COMMAND...: shows the command's output if it fails.
check() {
    local name=$1 said
    shift
    if said=$("$@" 2>&1); then
        echo "passed $name"
    else
        printf '%s\n' "$said" | tail -n 30
        echo "failed $name"
        result=1
    fi
}

# ---- running inside -----------------------------------------------------------------------------

# Mounts and processes are in a namespace that ends with the command. If the kernel allows no namespace: only chroot.
inside() {
    local root=$1
    shift
    local -a clean=(env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/tmp/home LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive)
    if unshare --mount --pid --fork true 2>/dev/null; then
        # shellcheck disable=SC2016 # the inner shell's
        unshare --mount --pid --fork sh -c 'mount -t proc proc "$1/proc" && root=$1 && shift && exec chroot "$root" "$@"' \
            sh "$root" "${clean[@]}" "$@"
    else
        chroot "$root" "${clean[@]}" "$@"
    fi
}

# readme HEADING LANGUAGE: the first block of that language in README after the heading.
readme() { awk -v at="$1" -v kind="$2" '$0 == at { on = 1 } on && /^```/ { if (open) exit; open = $0 == "```" kind; next } open' README.md; }

prepare() {
    local root=$1
    mkdir -p "$root/proc" "$root/tmp/home" "$root/tmp/example"
    cp "$model" "$root/tmp/model.gguf"
    { echo 'set -e; cd /tmp/example' && readme '### Ask' sh; } >"$root/tmp/ask.sh"
    { echo 'set -e; cd /tmp/example' && readme '## Without a model' sh; } >"$root/tmp/replay.sh"
}

# ---- checks of both -----------------------------------------------------------------------------

is_version() { [[ $(inside "$1" "$2" --version) == *"$version"* ]]; }

# README's first example, with the given model. The answer is compared only if README's is from this model.
answers() {
    local root=$1 path=$2 said
    said=$(inside "$root" env PATH="$path:/usr/bin:/bin" S2A_MODEL=/tmp/model.gguf S2A_MAX_TOKENS=32 sh /tmp/ask.sh) || return
    printf '%s\n' "$said"
    if [[ ${model##*/} == qwen2.5-coder-1.5b-instruct-q4_k_m.gguf ]]; then
        [[ $said == "$(readme '### Ask' text)" ]]
    else
        [[ ${#said} -gt 10 ]]
    fi
}

# README's example of the backend that replays a file: compares all output before "...".
replays() {
    local expected
    expected=$(readme '## Without a model' text | sed '/^\.\.\.$/,$d')
    said=$(inside "$1" env PATH="$2:/usr/bin:/bin" sh /tmp/replay.sh 2>&1) || return
    printf '%s\n' "$said"
    [[ -n $expected && $said == "$expected"* ]]
}

# Compiles examples/ask.c here against the installation in ROOT below PREFIX, and runs it there.
links() {
    local root=$1 prefix=$2 flags
    flags=$(PKG_CONFIG_PATH=$root$prefix/lib/pkgconfig pkg-config --cflags --libs s2a) || return
    # shellcheck disable=SC2086 # words are wanted
    cc examples/ask.c -o "$root/tmp/ask" $flags -Wl,--allow-shlib-undefined || return
    cp tests/install/ask.script "$root/tmp/"
    inside "$root" env LD_LIBRARY_PATH="$prefix/lib" /tmp/ask script /tmp/ask.script \
        "I think it was Poe. The poem is from 1855. Who wrote it?" >"$root/tmp/ask.out" 2>&1
    cat "$root/tmp/ask.out"
    grep -q 'Walt Whitman wrote it' "$root/tmp/ask.out"
}

has_files() {
    local file
    for file in "$@"; do
        [[ -s $file ]] || { echo "$file: not there" && return 1; }
    done
}

# ---- Debian packages ----------------------------------------------------------------------------

# Files and directories, except those that apt, dpkg and ldconfig write for themselves.
listing() {
    (cd "$1" && find . -xdev \( -path ./proc -o -path ./tmp -o -path ./var/lib/apt -o -path ./var/cache -o -path ./var/log \
        -o -path ./var/lib/dpkg -o -path ./dev \) -prune -o -print) | sort
}

install_deb() {
    cp "$deb" "$dev" "$1/tmp/" && inside "$1" apt-get -q update &&
        inside "$1" apt-get -q -y --no-install-recommends install "/tmp/${deb##*/}" "/tmp/${dev##*/}"
}
reinstall_deb() { inside "$1" dpkg -i "/tmp/${deb##*/}"; }
purge_deb() {
    inside "$1" apt-get -q -y purge s2a libs2a-dev && inside "$1" apt-get -q -y autoremove --purge || return
    listing "$1" | diff "$work/before" -
}
is_unit() {
    sed "s,^ExecStart=,&$1," "$1/usr/lib/systemd/system/s2a.service" >"$work/s2a.service"
    local said
    said=$(systemd-analyze verify --man=no "$work/s2a.service" 2>&1) && [[ -z $said ]] || { echo "$said" && false; }
}
is_user() {
    mkdir -p "$work/user/etc"
    systemd-sysusers --root="$work/user" "$1/usr/lib/sysusers.d/s2a.conf" && grep '^s2a:.*:/var/lib/s2a:/usr/sbin/nologin$' "$work/user/etc/passwd"
}
is_linted() { lintian --allow-root --fail-on error,warning "$deb" "$dev"; }

test_deb() {
    local root=$work/deb usr=$work/deb/usr
    ! command -v lintian >/dev/null || check deb/lintian is_linted
    mmdebstrap --quiet --variant=minbase "$suite" "$root" || stop "mmdebstrap failed"
    cp -L /etc/resolv.conf "$root/etc/" 2>/dev/null
    prepare "$root"
    listing "$root" >"$work/before"
    check deb/install install_deb "$root"
    check deb/version is_version "$root" s2a
    check deb/example answers "$root" /usr/bin
    check deb/replay replays "$root" /usr/bin
    check deb/library links "$root" /usr
    check deb/files has_files "$usr/share/man/man1/s2a.1.gz" "$usr/share/bash-completion/completions/s2a" \
        "$usr/share/zsh/vendor-completions/_s2a" "$usr/share/fish/vendor_completions.d/s2a.fish" \
        "$usr/lib/systemd/system/s2a.service" "$usr/lib/sysusers.d/s2a.conf" \
        "$usr/share/doc/s2a/copyright" "$usr/share/doc/s2a/changelog.Debian.gz"
    check deb/manual gzip -t "$usr/share/man/man1/s2a.1.gz"
    ! command -v systemd-analyze >/dev/null || check deb/unit is_unit "$root"
    ! command -v systemd-sysusers >/dev/null || check deb/user is_user "$root"
    check deb/reinstall reinstall_deb "$root"
    check deb/purge purge_deb "$root"
}

# ---- the tarball --------------------------------------------------------------------------------

# Checks the libraries that the loader takes for the tool and each library: inside the tarball, or glibc's.
takes_own() {
    local said
    said=$(inside "$1" env LD_TRACE_LOADED_OBJECTS=1 "$2/bin/s2a") || return
    ! grep -F 'not found' <<<"$said" || return
    ! sed -n 's/^.* => \(.*\) (0x[0-9a-f]*)$/\1/p' <<<"$said" |
        grep -Ev "^$2/|/(ld-linux[^/]*|lib(c|m|mvec|dl|pthread|rt|resolv))\.so"
}
# Checks that no library is taken from the current directory.
takes_no_stranger() {
    mkdir -p "$1/tmp/stranger"
    for name in libstdc++.so.6 libcurl.so.4 libggml-base.so; do
        echo "no library" >"$1/tmp/stranger/$name"
    done
    inside "$1" sh -c "cd /tmp/stranger && '$2/bin/s2a' models"
}

test_tarball() {
    local root=$work/tarball place='/opt/any place' prefix name
    mmdebstrap --quiet --variant=extract --include=libc6,busybox "$suite" "$root" || stop "mmdebstrap failed"
    prepare "$root"
    for name in sh cat env rm; do
        mkdir -p "$root/bin" "$root/usr/bin"
        ln -sf /bin/busybox "$root/bin/$name"
    done
    mkdir -p "$root$place"
    tar -xzf "$tarball" -C "$root$place" || stop "$tarball: tar failed"
    name=$(basename "$tarball" .tar.gz)
    prefix=$place/$name
    check tarball/version is_version "$root" "$prefix/bin/s2a"
    check tarball/libraries takes_own "$root" "$prefix"
    check tarball/directory takes_no_stranger "$root" "$prefix"
    check tarball/example answers "$root" "$prefix/bin"
    check tarball/replay replays "$root" "$prefix/bin"
    # pkg-config and the compiler need a path without spaces.
    mv "$root$prefix" "$root/opt/moved"
    check tarball/library links "$root" /opt/moved
    prefix=$root/opt/moved
    check tarball/files has_files "$prefix/share/man/man1/s2a.1" "$prefix/share/doc/s2a/LICENSE" \
        "$prefix/share/doc/s2a/LICENSE.llama.cpp" "$prefix/share/doc/s2a/bundled.tsv" "$prefix/share/s2a/s2a.service" \
        "$prefix/share/bash-completion/completions/s2a" "$prefix/share/zsh/site-functions/_s2a" \
        "$prefix/share/fish/vendor_completions.d/s2a.fish"
}

is_summed() { (cd "$dist" && sha256sum --quiet -c SHA256SUMS); }

check sums is_summed
for kind in "${kinds[@]}"; do
    "test_$kind"
    rm -rf --one-file-system "${work:?}/$kind"
done
exit "$result"
