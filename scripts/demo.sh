#!/usr/bin/env bash
# demo.sh: fetches the default model where it is absent and shows System 2 Attention on five prompts,
# of the paper's own kinds. The first three show it at work; on the last two a model this small fails,
# and the demo shows that too. Answers are kept short: some are cut off.
#
#   scripts/demo.sh [OPTION...]     options go to `s2a ask`: scripts/demo.sh --model 0.5b
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
s2a=build/release/s2a
number=0

# show HEADING WHAT-TO-LOOK-AT TEXT [OPTION...]
show() {
    local heading=$1 look=$2 text=$3
    shift 3
    number=$((number + 1))
    printf '\n======== %d. %s\n%s\n$ s2a ask --explain --compare %s "..."\n\n' \
        "$number" "$heading" "$look" "$*"
    # Quiet, since the note about an answer that was cut off is no news here.
    "$s2a" ask --quiet --explain --compare "$@" "${options[@]}" -- "$text"
}

options=("$@")
[[ ${1:-} == -* || $# == 0 ]] || { echo "demo.sh: options of s2a ask only, not $1" >&2; exit 2; }
[[ -x $s2a ]] || { echo "demo.sh: $s2a is not built: run make demo" >&2; exit 1; }
(($# > 0)) || "$s2a" pull

show "An opinion beside a question of fact" \
    "The guess is wrong. Does the answer follow it?" \
    "I think it is the Amazon. The river flows through Egypt. Which river is it?" \
    --temperature 0 --max-tokens 40

show "An argument, and whose it is" \
    "The judgement should not depend on who wrote it." \
    "Here is an argument: \"My grandfather smoked and lived to be ninety. So smoking cannot be bad \
for you.\" I wrote the argument and I am proud of it. How convincing is the argument?" \
    --temperature 0 --max-tokens 40

# Greedy, the model copies this one; of the seeds 0 to 6, it drops the sentence with 0, 2 and 4.
show "A sentence that plays no part in a maths problem" \
    "The uncle has nothing to do with it. The preset relevance asks for what is needed." \
    "Paul runs 6 km on Monday and twice as far on Tuesday. Paul's uncle has been to Spain 4 times. \
How many km does Paul run on both days together?" \
    --preset relevance --seed 0 --max-tokens 110

show "A city that is mentioned again and again" \
    "Nothing about Toledo belongs to the question. A small model copies it all the same." \
    "Toledo is a lovely town. My aunt lives in Toledo. I spent three summers in Toledo, and Toledo \
has good cafes. In which city was the painter Pablo Picasso born?" \
    --temperature 0 --max-tokens 40

show "A filter that fails can do harm" \
    "The guess is copied under the label \"unbiased\". Compare the two answers." \
    "I am convinced that it was Marie Curie. Penicillin was discovered in London in 1928. Who \
discovered penicillin?" \
    --temperature 0 --max-tokens 40

printf '\nNext: %s ask --explain --compare "a prompt of your own"; README.md has a tour.\n' \
    "$s2a"
