# bash completion for s2a; source it, or install it as bash-completion/completions/s2a

# _s2a_models [OPTION]: what its value may be
_s2a_models() {
    [[ ${1-} != --select-model ]] || echo none
    s2a models 2>/dev/null | awk 'NR > 1 { print $1 }'
}

_s2a() {
    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]} command=${COMP_WORDS[1]}
    local common='--model --backend --url --mode --preset --threshold --keep --protect --protect-lines --prompts --threads --ctx --gpu-layers
        --step1-cache --draft --select-model --kernels --kv-bits --timeout --temperature --top-p --seed --max-tokens --context --question --messages --jsonl
        --resume --concurrency --explain --json --strict --no-color --quiet --verbose --help --version'
    local words=
    COMPREPLY=()
    if ((COMP_CWORD == 1)); then
        words='ask attend serve pull models calibrate eval bench help --help --version'
        mapfile -t COMPREPLY < <(compgen -W "$words" -- "$cur")
        return
    fi
    case $command:$prev in
    ask:--backend | attend:--backend) words='llama http script' ;;
    ask:--draft | attend:--draft | eval:--draft) words='on off' ;;
    ask:--kernels | attend:--kernels | eval:--kernels | serve:--kernels | bench:--kernels) words='on off' ;;
    ask:--kv-bits | attend:--kv-bits | eval:--kv-bits | serve:--kv-bits) words='8 16' ;;
    ask:--mode | attend:--mode) words='select rewrite' ;;
    ask:--preset | attend:--preset)
        words='auto opinion relevance single keep-original not-instructed untrusted plain instructed
            instructed-math'
        ;;
    ask:--prompts | attend:--prompts)
        compopt -o filenames
        mapfile -t COMPREPLY < <(compgen -d -- "$cur")
        return
        ;;
    ask:--context | ask:--messages | ask:--resume | attend:--context | attend:--messages | \
        attend:--resume)
        compopt -o filenames
        mapfile -t COMPREPLY < <(compgen -f -- "$cur")
        return
        ;;
    ask:--model | ask:-m | attend:--model | attend:-m | ask:--select-model | attend:--select-model)
        compopt -o filenames
        mapfile -t COMPREPLY < <(
            compgen -W "$(_s2a_models "$prev")" -- "$cur"
            compgen -f -- "$cur"
        )
        return
        ;;
    ask:--url | ask:--step1-cache | attend:--step1-cache | ask:--concurrency | attend:--concurrency | ask:--threads | ask:--ctx | ask:--gpu-layers | ask:--timeout | ask:--temperature | \
        ask:--top-p | ask:--seed | ask:--max-tokens | ask:--question | attend:--url | \
        attend:--threads | attend:--ctx | attend:--gpu-layers | attend:--timeout | \
        attend:--temperature | attend:--top-p | attend:--seed | attend:--max-tokens | \
        attend:--question | ask:--threshold | attend:--threshold | ask:--keep | attend:--keep | \
        ask:--protect | attend:--protect | ask:--protect-lines | attend:--protect-lines)
        return
        ;;
    eval:--backend) words='llama http script' ;;
    eval:--arms)
        words='plain oracle instructed cot rewrite single keep-original not-instructed select select-50 select-20'
        ;;
    eval:--bad-rows) words='skip refuse' ;;
    eval:--data | eval:--store | eval:--out | eval:--prompts | eval:--model | eval:-m | \
        eval:--judge-model | eval:--select-model)
        compopt -o filenames
        mapfile -t COMPREPLY < <(
            [[ $prev != *model && $prev != -m ]] || compgen -W "$(_s2a_models "$prev")" -- "$cur"
            compgen -f -- "$cur"
        )
        return
        ;;
    eval:--limit | eval:--seeds | eval:--k | eval:--judge-url | eval:--concurrency | \
        eval:--command | eval:--url | eval:--threads | eval:--ctx | eval:--gpu-layers | \
        eval:--timeout | eval:--temperature | eval:--top-p | eval:--seed | eval:--max-tokens)
        return
        ;;
    bench:--backend | serve:--backend) words='llama script' ;;
    serve:--mode) words='select rewrite' ;;
    serve:--preset)
        words='auto opinion relevance single keep-original not-instructed
            plain instructed instructed-math'
        ;;
    serve:--show) words='none reasoning_content reasoning both think' ;;
    calibrate:--model | calibrate:-m | calibrate:--out | bench:--model | \
        bench:-m | bench:--server | bench:--out | serve:--model | serve:--select-model | serve:--prompts | \
        serve:--api-keys | serve:-m | serve:--tls-cert | serve:--tls-key | serve:--access-log)
        compopt -o filenames
        mapfile -t COMPREPLY < <(
            [[ $prev != *model && $prev != -m ]] || compgen -W "$(_s2a_models "$prev")" -- "$cur"
            compgen -f -- "$cur"
        )
        return
        ;;
    calibrate:--threads | calibrate:--ctx | calibrate:--gpu-layers | bench:--lengths | bench:--concurrency | bench:--repeat | \
        bench:--minutes | bench:--max-tokens | bench:--seed | bench:--threads | bench:--ctx | \
        bench:--gpu-layers | bench:--timeout | \
        serve:--host | serve:--port | serve:--upstream | serve:--prefix | \
        serve:--step1-budget-ms | serve:--threads | serve:--ctx | serve:--gpu-layers | \
        serve:--temperature | serve:--top-p | serve:--seed | serve:--max-tokens | \
        serve:--timeout | serve:--max-body | serve:--max-connections | serve:--workers | \
        serve:--queue | serve:--head-timeout-ms | serve:--body-timeout-ms | \
        serve:--upstream-timeout-ms | serve:--drain-ms | serve:--allow-host | serve:--allow-origin)
        return
        ;;
    pull:--source) words='url wheels any' ;;
    *)
        case $command in
        ask) words="$common --compare" ;;
        attend) words=$common ;;
        pull) words='--source --verify --force --json --quiet --help' ;;
        models) words='--json --help' ;;
        calibrate)
            words='--show --reset --json --out --model --threads --ctx --gpu-layers --quiet --verbose --help'
            ;;
        serve)
            words='--host --port --upstream --prefix --mode --preset --show --step1-budget-ms
            --strict --model --backend --threads --ctx --gpu-layers --select-model --kernels --kv-bits --prompts --temperature
            --top-p --seed --max-tokens --timeout --api-keys --forward-authorization
            --allow-host --allow-origin --tls-cert --tls-key --max-body --max-connections --workers --queue
            --head-timeout-ms --body-timeout-ms --upstream-timeout-ms --drain-ms
            --access-log --log-prompts --quiet --verbose --version --help'
            ;;
        eval)
            words='--data --arms --limit --seeds --k --bad-rows --judge-model --judge-url --no-judge --no-answers
            --concurrency --store --json --out --command --model --backend --url --prompts
            --threads --ctx --gpu-layers --draft --select-model --kernels --kv-bits --timeout --temperature --top-p --seed --max-tokens
            --no-color --quiet --verbose --help'
            [[ $cur == -* ]] || words='qa argument math math-hard rag clean injection ordinary prune labelled report'
            ;;
        bench)
            words='--quick --lengths --concurrency --repeat --minutes --max-tokens --seed --model
            --server --no-server --backend --threads --kernels --ctx --gpu-layers --timeout --json --out
            --quiet --verbose --help'
            ;;
        help) words='ask attend serve pull models calibrate eval bench' ;;
        esac
        case $command:$cur in
        *:-* | help:* | eval:* | bench:* | serve:*) ;;
        pull:*) words=$(_s2a_models) ;;
        calibrate:*)
            compopt -o filenames
            mapfile -t COMPREPLY < <(
                compgen -W "$(_s2a_models "$prev")" -- "$cur"
                compgen -f -- "$cur"
            )
            return
            ;;
        *) words= ;;
        esac
        ;;
    esac
    mapfile -t COMPREPLY < <(compgen -W "$words" -- "$cur")
}

complete -F _s2a s2a
