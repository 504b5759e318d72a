# bash completion for s2a; source it, or install it as bash-completion/completions/s2a
# made by scripts/options.py from the option table; do not edit

# _s2a_models [OPTION]: what its value may be
_s2a_models() {
    [[ ${1-} != --select-model ]] || echo none
    s2a models 2>/dev/null | awk 'NR > 1 { print $1 }'
}

# _s2a_reply CURRENT WORDS [-f | -d]: some of the words, and files or directories
_s2a_reply() {
    [[ -z ${3-} ]] || compopt -o filenames
    mapfile -t COMPREPLY < <(
        compgen -W "$2" -- "$1"
        [[ -z ${3-} ]] || compgen "$3" -- "$1"
    )
}

_s2a() {
    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]} command=${COMP_WORDS[1]} words=
    COMPREPLY=()
    if ((COMP_CWORD == 1)); then
        _s2a_reply "$cur" 'ask attend chat serve pull models calibrate prune mcp eval bench help --help --version'
        return
    fi
    case $command:$prev in
    *:--context | *:--messages | *:--resume | *:--api-keys | *:--tls-cert | *:--tls-key | \
        *:--access-log | calibrate:--out | *:--data | *:--store | *:--server)
        _s2a_reply "$cur" '' -f; return ;;
    *:--question | *:--concurrency | *:--threshold | *:--keep | *:--protect | \
        *:--protect-lines | *:--url | *:--threads | *:--ctx | *:--gpu-layers | *:--step1-cache | \
        *:--timeout | *:--temperature | *:--top-p | *:--seed | *:--max-tokens | *:--system | \
        *:--upstream | *:--host | *:--port | *:--prefix | *:--step1-budget-ms | *:--allow-host | \
        *:--allow-origin | *:--max-body | *:--max-connections | *:--workers | *:--queue | \
        *:--head-timeout-ms | *:--body-timeout-ms | *:--upstream-timeout-ms | *:--drain-ms | \
        *:--keep-removed | *:--top | *:--limit | *:--seeds | *:--k | *:--judge-url | *:--command \
        | *:--lengths | *:--repeat | *:--minutes)
        return ;;
    *:--mode)
        _s2a_reply "$cur" 'select rewrite'; return ;;
    *:--preset)
        _s2a_reply "$cur" 'auto opinion relevance single keep-original not-instructed plain instructed instructed-math untrusted'; return ;;
    *:--model | *:-m | *:--judge-model)
        _s2a_reply "$cur" "$(_s2a_models)" -f; return ;;
    ask:--backend | attend:--backend | chat:--backend | eval:--backend)
        _s2a_reply "$cur" 'llama http script'; return ;;
    serve:--backend | prune:--backend | mcp:--backend | bench:--backend)
        _s2a_reply "$cur" 'llama script'; return ;;
    *:--prompts | eval:--out | bench:--out)
        _s2a_reply "$cur" '' -d; return ;;
    *:--draft | *:--kernels)
        _s2a_reply "$cur" 'on off'; return ;;
    *:--select-model)
        _s2a_reply "$cur" "$(_s2a_models --select-model)" -f; return ;;
    *:--kv-bits)
        _s2a_reply "$cur" '8 16'; return ;;
    serve:--show)
        _s2a_reply "$cur" 'none reasoning_content reasoning both think'; return ;;
    *:--source)
        _s2a_reply "$cur" 'url wheels any'; return ;;
    *:--arms)
        _s2a_reply "$cur" 'plain oracle instructed cot rewrite single keep-original not-instructed select select-50 select-20'; return ;;
    *:--bad-rows)
        _s2a_reply "$cur" 'skip refuse'; return ;;
    esac
    case $command in
    ask)
        words='
            --context --question --messages --jsonl --resume --concurrency --mode --preset
            --threshold --keep --protect --protect-lines --model --url --backend --prompts --threads
            --ctx --gpu-layers --draft --select-model --kernels --kv-bits --step1-cache --timeout
            --temperature --top-p --seed --max-tokens --explain --compare --json --strict --no-color
            --quiet --verbose --help --version' ;;
    attend)
        words='
            --context --question --messages --jsonl --resume --concurrency --mode --preset
            --threshold --keep --protect --protect-lines --model --url --backend --prompts --threads
            --ctx --gpu-layers --draft --select-model --kernels --kv-bits --step1-cache --timeout
            --temperature --top-p --seed --max-tokens --explain --json --strict --no-color --quiet
            --verbose --help --version' ;;
    chat)
        words='
            --system --no-history --mode --preset --threshold --keep --protect --model --url
            --backend --prompts --threads --ctx --gpu-layers --draft --select-model --kernels
            --kv-bits --step1-cache --timeout --temperature --top-p --seed --max-tokens --no-color
            --quiet --verbose --help --version' ;;
    serve)
        words='
            --upstream --host --port --mode --preset --prefix --show --step1-budget-ms --strict
            --model --backend --prompts --threads --ctx --gpu-layers --select-model --kernels
            --kv-bits --timeout --temperature --top-p --seed --max-tokens --api-keys
            --forward-authorization --allow-host --allow-origin --tls-cert --tls-key --max-body
            --max-connections --workers --queue --head-timeout-ms --body-timeout-ms
            --upstream-timeout-ms --drain-ms --keep-removed --access-log --log-prompts --quiet
            --verbose --help --version' ;;
    pull)
        words='
            --source --verify --force --json --quiet --help' ;;
    models)
        words='
            --json --help' ;;
    calibrate)
        words='
            --model --threads --ctx --gpu-layers --show --reset --out --json --quiet --verbose
            --help' ;;
    prune)
        words='
            --question --jsonl --resume --concurrency --threshold --keep --protect --model --backend
            --threads --ctx --gpu-layers --kernels --kv-bits --timeout --top --json --quiet
            --verbose --help --version' ;;
    mcp)
        words='
            --model --backend --threads --ctx --gpu-layers --kernels --kv-bits --timeout --quiet
            --verbose --help --version' ;;
    eval)
        words='
            --data --arms --limit --seeds --k --bad-rows --judge-model --judge-url --no-judge
            --no-answers --concurrency --store --json --out --command --max-tokens --model --url
            --backend --prompts --threads --ctx --gpu-layers --draft --select-model --kernels
            --kv-bits --timeout --temperature --top-p --seed --no-color --quiet --verbose --help' ;;
    bench)
        words='
            --quick --lengths --concurrency --repeat --minutes --max-tokens --seed --server
            --no-server --threads --ctx --json --out --verbose --model --backend --gpu-layers
            --kernels --timeout --quiet --help' ;;
    help) words='ask attend chat serve pull models calibrate prune mcp eval bench' ;;
    esac
    case $command:$cur in
    *:-*) ;;
    ask:*)
        words= ;;
    attend:*)
        words= ;;
    pull:*)
        words=$(_s2a_models) ;;
    calibrate:*)
        _s2a_reply "$cur" "$(_s2a_models)" -f
        return ;;
    prune:*)
        _s2a_reply "$cur" '' -f
        return ;;
    eval:*)
        words='qa argument math math-hard rag clean injection ordinary prune labelled report' ;;
    esac
    _s2a_reply "$cur" "$words"
}

complete -F _s2a s2a
