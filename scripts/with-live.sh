#!/usr/bin/env bash
# with-live.sh COMMAND...: runs a live test with S2A_TEST_MODEL (a small GGUF model) and
# S2A_LLAMA_SERVER (a llama-server to compare with). Defaults: those that `make check` fetched and
# built. Without a model the status is 77 (ctest: skipped). With S2A_REQUIRE_LIVE=1, as in
# `make check`, a missing model or server is a failure.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

models=${S2A_MODELS:-${XDG_DATA_HOME:-$HOME/.local/share}/s2a/models}
: "${S2A_TEST_MODEL:=$models/SmolLM2-135M-Instruct.Q4_1.gguf}"
: "${S2A_LLAMA_SERVER:=$(scripts/build-peer.sh --print 2>/dev/null || true)}"
# A model whose template has tools; without it tests of tools are skipped.
: "${S2A_TEST_TOOLS:=$models/qwen2.5-coder-0.5b-instruct-q4_k_m.gguf}"
[[ -f $S2A_TEST_TOOLS ]] || S2A_TEST_TOOLS=
export S2A_TEST_MODEL S2A_LLAMA_SERVER S2A_TEST_TOOLS

missing=
[[ -f $S2A_TEST_MODEL ]] || missing="the test model: s2a pull smollm2-135m-instruct"
if [[ ${S2A_REQUIRE_LIVE:-} == 1 && ! -x $S2A_LLAMA_SERVER ]]; then
    missing="llama-server: scripts/build-peer.sh"
fi
if [[ -n $missing ]]; then
    echo "with-live.sh: missing is $missing" >&2
    [[ ${S2A_REQUIRE_LIVE:-} == 1 ]] && exit 1
    exit 77
fi
exec "$@"
