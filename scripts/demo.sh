#!/usr/bin/env bash
# demo.sh: fetches the default model where it is absent and shows System 2 Attention on one prompt.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
s2a=build/release/s2a
"$s2a" pull
"$s2a" ask --explain "I think the answer is Johnny Carson, but I am really not sure. Who was the host of the Tonight Show before Jay Leno?"
