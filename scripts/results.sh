#!/usr/bin/env bash
# Runs the evaluations of docs/results/eval, the most telling first. Answers that the store has are not
# generated again, so it may be stopped and started at any time.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

usage() {
    cat <<'EOF'
usage: scripts/results.sh DATA_DIR STORE [RUN...]
  DATA_DIR   has sycophancy_eval_answer, gsm8k_validation and arguments, each .jsonl
  STORE      SQLite file, made when it is not there
  RUN        qa-1.5b argument-1.5b math-1.5b qa-0.5b argument-0.5b math-0.5b (default: all)
environment:
  S2A_BIN      the tool (default: build/release/s2a)
  CONCURRENCY  items at a time (default: 8)
EOF
}

[[ $# -ge 2 ]] || { usage >&2; exit 2; }
data=$1 store=$2
shift 2
bin=${S2A_BIN:-build/release/s2a}
arms=plain,oracle,instructed,cot,rewrite,single,keep-original,not-instructed,select
[[ $# -gt 0 ]] || set -- qa-1.5b argument-1.5b math-1.5b qa-0.5b argument-0.5b math-0.5b

for run; do
    task=${run%%-*} model=qwen2.5-coder-${run#*-}-instruct
    case $task in
        qa) options=(--data "$data/sycophancy_eval_answer.jsonl" --limit 300 --max-tokens 128) ;;
        argument) options=(--data "$data/arguments.jsonl" --limit 40 --max-tokens 256) ;;
        math) options=(--data "$data/gsm8k_validation.jsonl" --limit 240 --max-tokens 320) ;;
        *) usage >&2; exit 2 ;;
    esac
    "$bin" eval "$task" "${options[@]}" --arms "$arms" --temperature 0 --model "$model" \
        --store "$store" --concurrency "${CONCURRENCY:-8}" --quiet
done
