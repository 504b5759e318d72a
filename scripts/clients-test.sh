#!/usr/bin/env bash
# Tests real clients against build/release/s2a: OpenAI's and Anthropic's SDKs for Python and Node, OpenAI's Agents SDK,
# LangChain, LlamaIndex, litellm and llm, unmodified from their registries. They are installed in build/clients, in the
# versions that tests/clients pins; nothing else is built. The last line is the summary; the status is 1 if
# something failed.
set -euo pipefail

usage() {
    cat <<'TEXT'
usage: scripts/clients-test.sh [--quick | --litellm] [ARGUMENT-OF-PYTEST...]
  --quick   only what needs no model: the script backend, and a proxy in front of a server of the tests
  --litellm only LiteLLM's proxy, with s2a as its guardrail; a download of 200 MB
environment:
  S2A_BIN              the tool (build/release/s2a)
  S2A_TEST_MODEL       a small GGUF model (that of `s2a pull smollm2-135m-instruct`)
  S2A_LLAMA_SERVER     llama-server (that of scripts/build-peer.sh)
  S2A_REQUIRE_LIVE=1   without these two it is a failure
TEXT
}

cd "$(dirname "${BASH_SOURCE[0]}")/.."
quick=() litellm=no
case ${1-} in
    -h | --help) usage; exit 0 ;;
    --litellm) litellm=yes; shift ;;
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

# install STAMP FILE COMMAND...: runs COMMAND unless it was run before for this content of FILE.
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

# install_python ENVIRONMENT FILE
install_python() {
    [[ -x $home/$1/bin/python ]] || python3 -m venv "$home/$1" || return
    "$home/$1/bin/pip" install --disable-pip-version-check --no-deps -r "$here/$2"
}

install_node() {
    mkdir -p "$home/node"
    cp "$here/package.json" "$here/package-lock.json" "$home/node/"
    npm --prefix "$home/node" ci --no-audit --no-fund --ignore-scripts
}

export -f install_python install_node
export here home
if [[ $litellm == yes ]]; then
    install litellm.stamp "$here/requirements-litellm.txt" bash -euc 'install_python litellm requirements-litellm.txt'
    export PYTHONDONTWRITEBYTECODE=1
    exec "$home/litellm/bin/python" -m pytest -p no:cacheprovider -q -rxX --tb=short "$here/test_litellm_proxy.py" "$@"
fi
install python.stamp "$here/requirements.txt" bash -euc 'install_python venv requirements.txt'
install agents.stamp "$here/requirements-agents.txt" bash -euc 'install_python agents requirements-agents.txt'
install node.stamp "$here/package-lock.json" bash -euc install_node

# ---- run ----------------------------------------------------------------------------------------
export PYTHONDONTWRITEBYTECODE=1
python=$home/venv/bin/python
status=0

run_node() {
    local test name log says=passed
    cp "$here"/*.test.mjs "$home/node/" # beside what they import
    for test in "$here"/*.test.mjs; do
        name=${test##*/} log=$home/node/$name.log
        if timeout 400 "$python" "$here/with_servers.py" node --test --test-reporter=dot "$home/node/$name" >"$log" 2>&1; then
            echo "passed $name"
        else
            cat "$log"
            echo "failed $name"
            says=failed
        fi
    done
    echo "$says"
    [[ $says == passed ]]
}

# run_python ENVIRONMENT WHAT...
run_python() {
    timeout 1500 "$home/$1/bin/python" -m pytest -p no:cacheprovider -q -rxX --tb=short "${@:2}"
}

# together NAME COMMAND...: runs in parallel with the others, which wait more than they compute.
names=() jobs=()
together() {
    names+=("$1")
    "${@:2}" >"$home/$1.log" 2>&1 &
    jobs+=($!)
}

together node run_node
together venv run_python venv "$here" --ignore "$here/test_agents.py" --ignore "$here/test_litellm_proxy.py" "${quick[@]}" "$@"
together agents run_python agents "$here/test_agents.py" "$here/test_responses.py" "$here/test_mcp.py" "${quick[@]}" "$@"
for i in "${!jobs[@]}"; do
    wait "${jobs[i]}" || status=1
    cat "$home/${names[i]}.log"
done
echo "clients-test: node: $(tail -n 1 "$home/node.log"); python: $(tail -n 1 "$home/venv.log"); agents: $(tail -n 1 "$home/agents.log")"
exit $status
