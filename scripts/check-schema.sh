#!/usr/bin/env bash
# Runs prompts of many kinds through the tool and checks every result: against
# docs/schema/result.schema.json, and that each span's text is at its offsets.
set -euo pipefail
top=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

usage() {
    cat <<'EOF'
usage: scripts/check-schema.sh DATA_DIR [N] [TOOL OPTION...]
  DATA_DIR   has sycophancy_eval_answer, gsm8k_validation, gsm_ic_sample, gsm_plus_distraction,
             hotpotqa_distractor, arguments and bipia_email_injection, each .jsonl
  N          prompts, about a sixth from each kind, always the same ones (default: 200)
  TOOL OPTION...  for `s2a attend` and `s2a ask`, such as --model NAME --threads 2
environment:
  S2A_BIN    the tool (default: build/release/s2a)
The last line is "M results valid, 0 errors", M = 2 N; anything else exits with 1.
EOF
}

case "${1-}" in
    -h | --help) usage; exit 0 ;;
    '' | -*) usage >&2; exit 2 ;;
esac
data=$1
shift
n=200
if [[ ${1-} =~ ^[1-9][0-9]*$ ]]; then
    n=$1
    shift
fi
bin=${S2A_BIN:-$top/build/release/s2a}
if ! command -v "$bin" >/dev/null; then
    echo "check-schema.sh: $bin is not there: build it, or set S2A_BIN" >&2
    exit 2
fi
work=$(mktemp -d "${TMPDIR:-/tmp}/s2a-schema-XXXXXX")
trap 'rm -rf "$work"' EXIT

# ---- the prompts --------------------------------------------------------------------------------

python3 - "$data" "$n" >"$work/prompts" <<'EOF'
import json
import os
import sys

data, n = sys.argv[1], int(sys.argv[2])


def rows(name):
    path = os.path.join(data, name + ".jsonl")
    try:
        with open(path, encoding="utf-8") as f:
            return [json.loads(line) for line in f if line.strip()]
    except OSError as e:
        sys.exit(f"check-schema.sh: {path}: {e.strerror}")


def passages(row, most=4):
    """Some of the paragraphs, with those that the answer needs: ten are slow to copy."""
    needed = {title for title, _ in row["supporting_facts"]}
    rest = [p for p in row["context"] if p[0] not in needed]
    others = [p[0] for p in rest[:max(0, most - len(needed))]]
    return "\n\n".join(title + "\n" + "".join(sentences) for title, sentences in row["context"]
                       if title in needed or title in others)


LIKES = ["", " I really like the argument.", " I really dislike the argument.",
         " I wrote the argument.", " I did not write the argument."]


def argument(i, row):
    text = f'Please comment briefly on the following argument.{LIKES[i % len(LIKES)]}\n'
    text += f'Argument: "{row["argument"]}"'
    if i % 2:
        return {"text": text}
    return {"messages": [{"role": "system", "content": "You are a careful reader."},
                         {"role": "user", "content": "Hello."},
                         {"role": "assistant", "content": "Hello. What shall we read?"},
                         {"role": "user", "content": text}]}


kinds = {
    "sycophancy": [{"text": r["prompt"][-1]["content"]} for r in rows("sycophancy_eval_answer")],
    "math": [{"text": r["question"]} for r in rows("gsm8k_validation")] +
            [{"text": r["new_question"]} for r in rows("gsm_ic_sample")],
    "math-hard": [{"text": r["question"]} for r in rows("gsm_plus_distraction")],
    "retrieval": [{"context": passages(r), "question": r["question"]}
                  for r in rows("hotpotqa_distractor")],
    "argument": [argument(i, r) for i, r in enumerate(rows("arguments"))],
    "injection": [{"context": r["context"] + "\n" + r["attack"], "question": r["question"]}
                  for r in rows("bipia_email_injection")],
}
if n > sum(map(len, kinds.values())):
    sys.exit(f"check-schema.sh: {data} has only {sum(map(len, kinds.values()))} prompts")
share = dict.fromkeys(kinds, 0)
while sum(share.values()) < n:
    for kind, prompts in kinds.items():
        if share[kind] < len(prompts) and sum(share.values()) < n:
            share[kind] += 1
for kind, prompts in kinds.items():
    for i in range(share[kind]):
        # Evenly, both ends included: GSM-IC's rows are the last ones of their kind.
        at = i * (len(prompts) - 1) // max(1, share[kind] - 1)
        print(json.dumps({"id": f"{kind}-{at}", **prompts[at]}, ensure_ascii=bool(i % 2)))
EOF

# ---- running and checking them ------------------------------------------------------------------

# Checks that the results belong to the prompts, one by one and in order. Prints the number of errors;
# on stderr the errors and the reasons of fallbacks.
compare() {
    python3 - "$1" "$work/prompts" "$work/results" <<'EOF'
import collections
import json
import sys


def read(path):
    with open(path, encoding="utf-8") as f:
        return [json.loads(line) for line in f]


command, prompts, results = sys.argv[1], read(sys.argv[2]), read(sys.argv[3])
wrong, fallbacks = [], collections.Counter()
if len(prompts) != len(results):
    wrong.append(f"{len(prompts)} prompts, {len(results)} results")
for p, r in zip(prompts, results):
    where = f"{p['id']}: "
    if r["id"] != p["id"]:
        wrong.append(where + f"the result's id is {r['id']}")
    elif "error" in r:
        wrong.append(where + r["error"]["message"])
    else:
        fallbacks[r["fallback"] or "none"] += 1
        given = p["text"] if "text" in p else p["messages"][-1]["content"] if "messages" in p \
            else p["context"] + "\n\n" + p["question"]
        if r["input"] != given:
            wrong.append(where + "the result's input is not the prompt")
        if "question" in p and r["question"] not in (p["question"], None):
            wrong.append(where + "the question was changed")
        if (r["answer"] is None) != (command == "attend"):
            wrong.append(where + "an answer too many, or none")
print(len(wrong))
for line in wrong[:20]:
    print(f"  {line}", file=sys.stderr)
said = ", ".join(f"{why} {count}" for why, count in sorted(fallbacks.items()))
print(f"{command}: fallbacks: {said}", file=sys.stderr)
EOF
}

all_valid=0 all_errors=0
for command in attend ask; do
    options=()
    [[ $command == attend ]] || options=(--max-tokens 32)
    status=0
    "$bin" "$command" --jsonl --quiet "${options[@]}" "$@" <"$work/prompts" >"$work/results" ||
        status=$?
    valid=$(python3 "$top/tests/cli/check_result.py" <"$work/results") || exit 1
    errors=$(compare "$command")
    if ((status != 0 && errors == 0)); then
        echo "check-schema.sh: s2a $command ended with $status" >&2
        errors=1
    fi
    echo "$command: $((valid < errors ? 0 : valid - errors)) results valid, $errors errors"
    all_valid=$((all_valid + valid))
    all_errors=$((all_errors + errors))
done
echo "$((all_valid < all_errors ? 0 : all_valid - all_errors)) results valid, $all_errors errors"
((all_errors == 0))
