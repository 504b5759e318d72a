/* Options that several commands have, for their --help. */
#ifndef S2A_CLI_HELP_PARTS_H
#define S2A_CLI_HELP_PARTS_H

#define HELP_MODEL                                                                                \
    "\nmodel:\n"                                                                                  \
    "  -m, --model NAME|FILE  a model of `s2a models`, a GGUF file, or the name of a model on\n"  \
    "                         the server of --url\n"                                              \
    "      --url URL          an OpenAI-compatible server, such as http://127.0.0.1:8080/v1;\n"   \
    "                         its key comes from S2A_API_KEY\n"                                   \
    "      --backend NAME     llama (the default), http (implied by --url), or script: --model\n" \
    "                         is then a text file that is replayed\n"                             \
    "      --threads N        CPU threads (0: as many as measured to be best)\n"                  \
    "      --ctx N            context length in tokens (0: the default)\n"                        \
    "      --gpu-layers N     layers on the GPU (-1: as many as fit)\n"                           \
    "      --draft on|off     rewrite: check several copied tokens at once (default on)\n"        \
    "      --select-model NAME|FILE|none\n"                                                    \
    "                         select: a model on this machine that judges in place of the one\n"  \
    "                         that answers (before a server: 0.5b, if `s2a pull 0.5b` got it)\n"  \
    "      --kernels on|off   code of our own for quantised weights, where the processor\n"      \
    "                         has AVX-512 VNNI (default on)\n"                                    \
    "      --kv-bits 8|16     of a number in the KV cache (16); 8 takes half the memory\n"        \
    "      --timeout SECONDS  for one step; a fraction is allowed\n"

#define HELP_SAMPLING                                                 \
    "\nsampling:\n"                                                   \
    "      --temperature X    0 to 5, 0 is greedy (default 0.6)\n"    \
    "      --top-p X          more than 0, at most 1 (default 0.9)\n" \
    "      --seed N           0 to 4294967295 (default 0)\n"          \
    "      --max-tokens N     of the answer (default 1024)\n"

#endif
