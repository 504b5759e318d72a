# fish completion for s2a; put it into a directory of $fish_complete_path

function __s2a_models
    s2a models 2>/dev/null | awk 'NR > 1 { print $1 }'
end

set -l both '__fish_seen_subcommand_from ask attend'
set -l none 'not __fish_seen_subcommand_from ask attend pull models help'

complete -c s2a -f
complete -c s2a -n $none -a ask -d 'answer a prompt in two steps'
complete -c s2a -n $none -a attend -d 'only rewrite it'
complete -c s2a -n $none -a pull -d 'download a model'
complete -c s2a -n $none -a models -d 'list the models'
complete -c s2a -n $none -a help -d 'help on a command'
complete -c s2a -n $none -s V -l version -d 'version'
complete -c s2a -s h -l help -d help

complete -c s2a -n $both -s m -l model -r -F -a '(__s2a_models)' -d 'model name or GGUF file'
complete -c s2a -n $both -l backend -x -a 'llama http script' -d 'where the model runs'
complete -c s2a -n $both -l url -x -d 'OpenAI-compatible server'
complete -c s2a -n $both -l mode -x -a rewrite -d 'how step 1 works'
complete -c s2a -n $both -l preset -x -a 'auto opinion relevance single keep-original not-instructed plain instructed instructed-math' -d 'what step 1 looks for'
complete -c s2a -n $both -l prompts -x -a '(__fish_complete_directories)' -d 'replace the built-in prompts'
complete -c s2a -n $both -l threads -x -d 'CPU threads'
complete -c s2a -n $both -l ctx -x -d 'context length in tokens'
complete -c s2a -n $both -l gpu-layers -x -d 'layers on the GPU'
complete -c s2a -n $both -l timeout -x -d 'seconds for one step'
complete -c s2a -n $both -l temperature -x -d '0 is greedy'
complete -c s2a -n $both -l top-p -x -d 'nucleus sampling'
complete -c s2a -n $both -l seed -x -d 'of the sampling'
complete -c s2a -n $both -l max-tokens -x -d 'of the answer'
complete -c s2a -n $both -l context -r -F -d 'context, apart from the question'
complete -c s2a -n $both -l question -x -d 'question to the context'
complete -c s2a -n $both -l messages -r -F -d 'JSON array of OpenAI messages'
complete -c s2a -n $both -l jsonl -d 'one request a line, one result a line'
complete -c s2a -n $both -l resume -r -F -d 'leave out what has a result there'
complete -c s2a -n $both -l explain -d 'show what was removed'
complete -c s2a -n '__fish_seen_subcommand_from ask' -l compare -d 'answer without step 1 too'
complete -c s2a -n $both -l json -d 'the whole result as JSON'
complete -c s2a -n $both -l strict -d 'status 4 when step 1 was not used'
complete -c s2a -n $both -l no-color -d 'no colours'
complete -c s2a -n $both -s q -l quiet -d 'only errors'
complete -c s2a -n $both -s v -l verbose -d 'what the backend reports'
complete -c s2a -n $both -s V -l version -d version

complete -c s2a -n '__fish_seen_subcommand_from pull' -l source -x -a 'url wheels any' -d 'only from there'
complete -c s2a -n '__fish_seen_subcommand_from pull' -l verify -d 'compare the sha256 again'
complete -c s2a -n '__fish_seen_subcommand_from pull' -l force -d 'download again'
complete -c s2a -n '__fish_seen_subcommand_from pull' -l json -d 'as JSON'
complete -c s2a -n '__fish_seen_subcommand_from pull' -s q -l quiet -d 'only errors'
complete -c s2a -n '__fish_seen_subcommand_from pull' -a '(__s2a_models)'
complete -c s2a -n '__fish_seen_subcommand_from models' -l json -d 'as JSON'
complete -c s2a -n '__fish_seen_subcommand_from help' -a 'ask attend pull models'
