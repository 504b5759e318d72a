#!/usr/bin/env bash
# Real clients against build/release/s2a: OpenAI's SDKs for Python and Node, LangChain, LlamaIndex, litellm and llm, as
# their registries have them. They are installed in build/clients, in the versions that tests/clients pins; nothing else
# is built. The last line says how it went; the status is 1 where something failed.
set -euo pipefail

usage() {
    cat <<'TEXT'
usage: scripts/clients-test.sh [--quick] [ARGUMENT-OF-PYTEST...]
  --quick   only what needs no model: the script backend, and a proxy in front of a server of the tests
environment:
  S2A_BIN              the tool (build/release/s2a)
  S2A_TEST_MODEL       a small GGUF model (that of `s2a pull smollm2-135m-instruct`)
  S2A_LLAMA_SERVER     llama-server (that of scripts/build-peer.sh)
  S2A_REQUIRE_LIVE=1   without these two it is a failure
TEXT
}

cd "$(dirname "${BASH_SOURCE[0]}")/.."
quick=()
case ${1-} in
    -h | --help) usage; exit 0 ;;
    --quick) quick=(-k "not embedded and not peer and not front"); shift ;;
esac

here=tests/clients
home=build/clients
export S2A_BIN=${S2A_BIN:-$PWD/build/release/s2a}
[[ -x $S2A_BIN ]] || { echo "clients-test: $S2A_BIN is not there; run make" >&2; exit 1; }
for need in python3 node npm; do
    command -v "$need" >/dev/null || { echo "clients-test: $need is not there; install it" >&2; exit 1; }
done
mkdir -p "$home"

# install STAMP FILE COMMAND...: runs COMMAND unless it has been run for this content of FILE.
install() {
    local stamp=$home/$1 file=$2
    shift 2
    cmp -s "$file" "$stamp" && return
    rm -f "$stamp"
    timeout 900 "$@" >"$home/install.log" 2>&1 || {
        tail -n 20 "$home/install.log" >&2
        echo "clients-test: could not install what $file names" >&2
        exit 1
    }
    cp "$file" "$stamp"
}

install_python() {
    [[ -x $home/venv/bin/python ]] || python3 -m venv "$home/venv" || return
    "$home/venv/bin/pip" install --disable-pip-version-check --no-deps -r "$here/requirements.txt"
}

install_node() {
    mkdir -p "$home/node"
    cp "$here/package.json" "$here/package-lock.json" "$home/node/"
    npm --prefix "$home/node" ci --no-audit --no-fund --ignore-scripts
}

export -f install_python install_node
export here home
install python.stamp "$here/requirements.txt" bash -euc install_python
install node.stamp "$here/package-lock.json" bash -euc install_node

# ---- run ----------------------------------------------------------------------------------------
export PYTHONDONTWRITEBYTECODE=1
python=$home/venv/bin/python
status=0

echo "== node"
cp "$here/openai.test.mjs" "$home/node/" # beside what it imports
timeout 400 "$python" "$here/with_servers.py" node --test --test-reporter=dot "$home/node/openai.test.mjs" \
    >"$home/node.log" 2>&1 || status=1
node_says=passed
((status == 0)) || { node_says=failed; cat "$home/node.log"; }
echo "$node_says openai.test.mjs"

echo "== python"
timeout 1500 "$python" -m pytest -p no:cacheprovider -q -rxX --tb=short "$here" "${quick[@]}" "$@" |
    tee "$home/python.log" || status=1
echo "clients-test: node: $node_says; python: $(tail -n 1 "$home/python.log")"
exit $status
