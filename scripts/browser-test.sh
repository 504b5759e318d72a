#!/usr/bin/env bash
# Tests web/index.html in Chromium against a fake server, and which requests pages of other origins may send to
# build/release/s2a (S2A_BIN). With S2A_URL, the address of a real `s2a serve` (http://127.0.0.1:8080/), also tests
# the page against that. Installs what is missing: Chromium and Node.js by apt-get, as root or through sudo; the
# packages of tests/browser in build/browser; if Node.js is too old for them, a newer one from npm, also there.
# Arguments are passed to node --test, such as --test-name-pattern=threshold.
#
#   scripts/browser-test.sh [ARGUMENT...]      S2A_CHROMIUM=/usr/bin/chromium  S2A_URL=
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
top=$PWD
: "${S2A_CHROMIUM:=$(command -v chromium || command -v chromium-browser || true)}"

install_system() {
    local -a packages=() as_root=()
    [[ -n $S2A_CHROMIUM ]] || packages+=(chromium)
    command -v node >/dev/null || packages+=(nodejs)
    command -v npm >/dev/null || packages+=(npm)
    ((${#packages[@]} > 0)) || return 0
    if ! command -v apt-get >/dev/null; then
        echo "browser-test.sh: missing are ${packages[*]}; install them" >&2
        exit 1
    fi
    ((EUID == 0)) || as_root=(sudo)
    "${as_root[@]}" apt-get install -y --no-install-recommends "${packages[@]}"
    : "${S2A_CHROMIUM:=$(command -v chromium)}"
}

# Again only if the lock file has changed.
install_packages() {
    local place=build/browser
    mkdir -p "$place"
    cmp -s tests/browser/package-lock.json "$place/installed-lock.json" && return
    cp tests/browser/package.json tests/browser/package-lock.json "$place"
    npm ci --prefix "$place" --ignore-scripts --no-audit --no-fund
    cp tests/browser/package-lock.json "$place/installed-lock.json"
}

# playwright-core needs 20; Debian 12 has 18.
newer_node() {
    local place=build/browser/node arch=x64
    (($(node -p 'process.versions.node.split(".")[0]') < 20)) || return 0
    [[ $(uname -m) != aarch64 ]] || arch=arm64
    [[ -x $place/node_modules/node-linux-$arch/bin/node ]] ||
        npm install --prefix "$place" --no-save --ignore-scripts --no-audit --no-fund "node-linux-$arch@20"
    PATH=$top/$place/node_modules/node-linux-$arch/bin:$PATH
}

install_system
install_packages
newer_node
export S2A_CHROMIUM S2A_BROWSER_PACKAGES=$top/build/browser
exec node --test --test-concurrency=1 --test-reporter=spec "$@" tests/browser/*.test.mjs
