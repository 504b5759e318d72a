#!/usr/bin/env bash
# demo.sh: fetches the default model where it is absent and shows System 2 Attention on five prompts,
# two of them the paper's. The first takes longer, because the prefill of mode select's instructions is
# not yet cached in a file. Answers are short: some are cut off.
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
    # Quiet: no note about an answer that was cut off.
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

show "A sentence that plays no part in a maths problem (the paper's)" \
    "The books have nothing to do with the candy." \
    "Mary has 3 times as much candy as Megan. Mary then adds 10 more pieces of candy to her \
collection. Max has 1000 more books than Mary. If Megan has 5 pieces of candy, how many does Mary \
have in total?" \
    --temperature 0 --max-tokens 150

show "A city that is mentioned again and again (the paper's)" \
    "He was born in Saratoga. Some of the distraction goes, but this small a model does not know." \
    "Sunnyvale is a city in California. Sunnyvale has many parks. Sunnyvale city is close to the \
mountains. Many notable people are born in Sunnyvale. In which city was San Jose's mayor Sam \
Liccardo born?" \
    --temperature 0 --max-tokens 40

show "The paper's own way: the model writes the prompt anew" \
    "Compare the time of step 1 with that of the first prompt." \
    "I think it is the Amazon. The river flows through Egypt. Which river is it?" \
    --mode rewrite --temperature 0 --max-tokens 40

printf '\nNext: %s ask --explain --compare "a prompt of your own"; docs/tour.md is a tour.\n' \
    "$s2a"
