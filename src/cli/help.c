#include "cli/help.h"

#include "cli/help_parts.h"
#include "s2a.h"

#include <stdio.h>

void help_version(void)
{
    printf("s2a %s\n", s2a_version());
}

const char help_main[] =
    "usage: s2a COMMAND [options]\n"
    "\n"
    "System 2 Attention: drops what should not count from a prompt before answering it.\n"
    "\n"
    "  ask [TEXT]     answer a prompt in two steps: rewrite it, then answer what is left\n"
    "  attend [TEXT]  only rewrite it\n"
    "  serve          an OpenAI-compatible server: s2a- before a model's name asks for S2A\n"
    "  pull [MODEL]   download a model\n"
    "  models         list the models that can be downloaded, and which are here\n"
    "  calibrate [MODEL]\n"
    "                 teach a model to judge sentences, in ten minutes or so\n"
    "  eval TASK      the paper's experiments; s2a eval report makes a page of them\n"
    "  bench          how fast it is on this machine, beside what it would cost without\n"
    "\n"
    "  --help         this text; s2a COMMAND --help says more\n"
    "  --version      print the version\n"
    "\n"
    "first steps:\n"
    "  s2a pull\n"
    "  s2a ask \"I think it was Poe, but who wrote Leaves of Grass?\"\n";

#define HELP_CACHE                                                                               \
    "      --step1-cache MIB  keep results of step 1, prompts included, in the user's cache\n"   \
    "                         directory, up to this size; 0, the default: do not\n"

#define HELP_PROMPT                                                                             \
    "\nprompt, one of:\n"                                                                       \
    "  TEXT                   a single argument; - or none: standard input\n"                   \
    "      --context FILE --question TEXT\n"                                                    \
    "                         FILE may be -; several --context are joined by a blank line\n"    \
    "      --messages FILE    a JSON array of OpenAI messages\n"                                \
    "      --jsonl            one JSON object a line on standard input, one result a line on\n" \
    "                         standard output: {\"id\":...,\"text\":...}, or \"context\" and\n" \
    "                         \"question\", or \"messages\" in place of \"text\"; also \"protect\":\n" \
    "                         [TEXT,...] and \"protect_lines\": [[A,B],...]\n"                   \
    "      --resume FILE      with --jsonl: leave out the ids that have a result in FILE\n"     \
    "      --concurrency N    with --jsonl: requests at a time, 1 to 256 (default 1)\n"

#define HELP_STEP1                                                                                \
    "\nstep 1:\n"                                                                                 \
    "      --mode MODE        select: each sentence is judged, and your own words stay (the\n"    \
    "                         default where a model judges: on the embedded engine, and before\n" \
    "                         a server with --select-model); rewrite: the prompt is written anew\n" \
    "      --preset NAME      auto, opinion, relevance, single, keep-original, not-instructed;\n" \
    "                         untrusted: cuts orders to the assistant from --context;\n"          \
    "                         without step 1: plain, instructed, instructed-math\n"               \
    "      --threshold X      select: a sentence is kept if its log-odds are at least X (what\n"  \
    "                         the model was taught with, below 0: more stays than goes)\n"        \
    "      --keep RATIO       select: the best sentences up to this share of the text's bytes\n"  \
    "      --protect TEXT     select: sentences with any of TEXT stay; may be repeated\n"         \
    "      --protect-lines A-B\n"                                                              \
    "                         select: lines A to B of the prompt stay, from 1; may be repeated\n" \
    "      --prompts DIR      files that replace the built-in prompts\n"

#define HELP_OUTPUT_END                                                                        \
    "      --json             the whole result as JSON\n"                                      \
    "      --strict           exit with status 4 when step 1 was not used\n"                   \
    "      --no-color         no colours (so does NO_COLOR)\n"                                 \
    "  -q, --quiet            no notes and no progress, only errors\n"                         \
    "  -v, --verbose          what the backend does; twice: all it does\n"                     \
    "  -h, --help             this text\n"                                                     \
    "  -V, --version          print the version\n"                                             \
    "\nSettings also come from S2A_MODEL, S2A_URL and so on, and from\n"                       \
    "$XDG_CONFIG_HOME/s2a/config.json; see s2a(1).\n"                                          \
    "\nexit status: 0 done, 1 failed, 2 usage, 3 no such model or backend, 4 step 1 was not\n" \
    "used (--strict), 130 or 143 ended by a signal\n"

const char help_ask[] =
    "usage: s2a ask [options] [TEXT | -]\n"
    "\n"
    "Rewrites the prompt without what should not count, and answers what is left.\n" HELP_PROMPT
        HELP_STEP1 HELP_MODEL HELP_CACHE HELP_SAMPLING "\noutput:\n"
    "      --explain          show what was removed, and the answer\n"
    "      --compare          answer without step 1 too, side by side\n" HELP_OUTPUT_END
    "\nexamples:\n"
    "  s2a ask \"I think it was Poe, but who wrote Leaves of Grass?\"\n"
    "  s2a ask --explain --compare - < prompt.txt\n"
    "  s2a ask --context notes.txt --context mail.txt --question \"When is the review?\"\n"
    "  s2a ask --preset relevance --temperature 0 --json \"$problem\" | jq .answer\n"
    "  s2a ask --url http://127.0.0.1:8080/v1 --jsonl < requests.jsonl > results.jsonl\n";

const char help_attend[] =
    "usage: s2a attend [options] [TEXT | -]\n"
    "\n"
    "Rewrites the prompt without what should not count, and prints that.\n" HELP_PROMPT HELP_STEP1
        HELP_MODEL HELP_CACHE HELP_SAMPLING "\noutput:\n"
    "      --explain          show what was removed\n" HELP_OUTPUT_END "\nexamples:\n"
    "  s2a attend \"I think it was Poe, but who wrote Leaves of Grass?\"\n"
    "  s2a attend --json - < prompt.txt | jq .removed\n";

const char help_calibrate[] =
    "usage: s2a calibrate [options] [MODEL]\n"
    "\n"
    "Teaches a model to judge sentences for mode select: reads labelled prompts that come with the\n"
    "tool, for six minutes at most, and fits linear maps of its hidden states (a head) to the labels.\n"
    "Says what they reached on kinds of prompts that they were not taught with, and writes nothing\n"
    "where the model cannot tell. ask, attend, serve and eval use the head from then on; it is a file\n"
    "of the model's own in $XDG_DATA_HOME/s2a/calibration, else ~/.local/share/s2a/calibration. MODEL\n"
    "is a name from `s2a models` or a GGUF file.\n"
    "\n"
    "      --show             what was calibrated for the model; nothing is run\n"
    "      --reset            forget what was calibrated for the model\n"
    "      --out FILE         also write the head to FILE\n"
    "      --json             the result as JSON\n"
    "  -m, --model NAME|FILE  the same as MODEL\n"
    "      --threads N        CPU threads (0: measured once)\n"
    "      --ctx N            context, in tokens\n"
    "      --gpu-layers N     layers on the GPU (-1: all that fit)\n"
    "\n"
    "  -q, --quiet            only errors\n"
    "  -v, --verbose          what the backend does\n"
    "  -h, --help             this text\n"
    "\n"
    "exit status: 0 done, 1 failed, or the model cannot tell needed sentences from others, 2 usage,\n"
    "3 no such model\n"
    "\n"
    "examples:\n"
    "  s2a calibrate my-model.gguf\n"
    "  s2a calibrate --show 1.5b\n";

const char help_serve[] =
    "usage: s2a serve [options]\n"
    "\n"
    "An OpenAI-compatible server. A client asks for System 2 Attention by writing s2a- before\n"
    "the model's name. It answers with the embedded model, or stands in front of a server.\n"
    "\n"
    "where:\n"
    "      --upstream URL     the server to stand in front of, such as\n"
    "                         http://127.0.0.1:8000/v1; its key comes from S2A_API_KEY, or else\n"
    "                         from each client\n"
    "      --host ADDRESS     to listen on (127.0.0.1)\n"
    "      --port N           (8080; 0: any, which is printed)\n"
    "\n"
    "System 2 Attention, unless a request says otherwise:\n"
    "      --prefix TEXT      what asks for it before a model's name (s2a-)\n"
    "      --mode NAME        select or rewrite; the default is select where a model judges\n"
    "      --preset NAME      auto, opinion, relevance, single, keep-original, not-instructed,\n"
    "                         untrusted, plain, instructed, instructed-math\n"
    "      --show WHERE       where clients see the rewritten prompt: none, reasoning_content\n"
    "                         (the default), reasoning, both, or think: before the answer\n"
    "      --step1-budget-ms N   after so long the original prompt goes on (0: no limit)\n"
    "      --strict           a step 1 that is not used is an error\n"
    "\n"
    "the embedded model:\n"
    "  -m, --model NAME|FILE  a model of `s2a models`, or a GGUF file\n"
    "      --backend NAME     llama (the default) or script: --model is then a text file that is\n"
    "                         replayed\n"
    "      --threads N        CPU threads (0: as many as measured to be best)\n"
    "      --ctx N            context length in tokens (0: the default)\n"
    "      --gpu-layers N     layers on the GPU (-1: as many as fit)\n"
    "      --select-model NAME|FILE|none\n"
    "                         select: a model on this machine that judges in place of the one\n"
    "                         that answers (before --upstream: 0.5b, if `s2a pull 0.5b` got it)\n"
    "      --kernels on|off   code of our own for quantised weights, where the processor\n"
    "                         has AVX-512 VNNI (default on)\n"
    "      --kv-bits 8|16     of a number in the KV cache (16); 8 takes half the memory\n"
    "      --prompts DIR      files that replace the built-in prompts\n"
    "      --temperature X, --top-p X, --seed N, --max-tokens N\n"
    "                         of step 1, and of answers whose request does not say\n"
    "      --timeout SECONDS  for one generation\n"
    "\n"
    "who may ask, and how much:\n"
    "      --api-keys FILE    lines with the SHA-256 of a key (S2A_SERVE_API_KEYS_FILE)\n"
    "      --forward-authorization   send clients' keys upstream though they are checked here\n"
    "      --allow-host NAME  without keys: answer under this name, too, and no other\n"
    "      --allow-origin ORIGIN   let web pages of http://name:port ask and read the answers\n"
    "      --tls-cert FILE, --tls-key FILE   PEM\n"
    "      --max-body BYTES   of a request (33554432)\n"
    "      --max-connections N   (4096)\n"
    "      --workers N        requests in step 1 at a time (16)\n"
    "      --queue N          requests that wait for a worker (256)\n"
    "      --head-timeout-ms N   until a request's head is there (10000)\n"
    "      --body-timeout-ms N   until its body is there (300000)\n"
    "      --upstream-timeout-ms N   without a byte from upstream (600000)\n"
    "      --drain-ms N       for what runs when SIGTERM comes (30000)\n"
    "\n"
    "what is said:\n"
    "      --access-log FILE  a line of JSON a request; - is standard error (the default), off\n"
    "                         is none\n"
    "      --log-prompts      with the prompts in it\n"
    "  -q, --quiet            only errors\n"
    "  -v, --verbose          what the backend does; twice: all it does\n"
    "  -h, --help             this text\n"
    "  -V, --version          print the version\n"
    "\n"
    "SIGHUP reads the keys again; SIGTERM ends it once all is answered, a second one at once.\n"
    "\n"
    "examples:\n"
    "  s2a serve &\n"
    "  s2a serve --upstream http://127.0.0.1:8000/v1 --port 8081\n"
    "  curl http://127.0.0.1:8080/v1/models\n";
