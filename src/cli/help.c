#include "cli/help.h"

#include <stdio.h>
#include <string.h>

#define COLUMNS 96
#define HELP_COLUMN 25 /* where the help of an option begins */

void help_version(void)
{
    printf("s2a %s\n", s2a_version());
}

/* ---- options ---------------------------------------------------------------------------- */

/* Prints words and breaks lines; *column is where the next one goes. */
static void print_words(const char *text, size_t *column)
{
    for (text += strspn(text, " "); *text; text += strspn(text, " ")) {
        size_t n = strcspn(text, " ");
        bool first = *column == HELP_COLUMN;
        if (!first && *column + 1 + n > COLUMNS) {
            printf("\n%*s", HELP_COLUMN, "");
            *column = HELP_COLUMN;
            first = true;
        }
        printf("%s%.*s", first ? "" : " ", (int)n, text);
        *column += n + !first;
        text += n;
    }
}

/* Prints the brackets after the help: the choices that the hint does not name, and the default
 * unless the help has it. */
static void print_brackets(const option_row *row, size_t *column)
{
    char list[320] = "(";
    size_t n = 1;
    const char *choices = row->hint && row->choices ? row->choices : "";
    for (const char *p = choices; *p && n + 3 < sizeof list; p++)
        n += (size_t)sprintf(list + n, *p == '|' ? ", " : "%c", *p);
    if (row->fallback && !strstr(row->help, "default"))
        n += (size_t)snprintf(list + n, sizeof list - n, "%sdefault %s", n > 1 ? "; " : "",
                              row->fallback);
    if (row->many)
        n += (size_t)snprintf(list + n, sizeof list - n, "%smay be repeated", n > 1 ? "; " : "");
    if (n > 1 && n + 1 < sizeof list) {
        memcpy(list + n, ")", 2);
        print_words(list, column);
    }
}

static void print_row(const option_row *row)
{
    const char *hint = row->hint ? row->hint : row->choices ? row->choices : "";
    int n = row->letter ? printf("  -%c, --%s", row->letter, row->name)
                        : printf("      --%s", row->name);
    n += printf("%s%s", *hint ? " " : "", hint);
    if (n + 1 > HELP_COLUMN)
        printf("\n%*s", HELP_COLUMN, "");
    else
        printf("%*s", HELP_COLUMN - n, "");
    size_t column = HELP_COLUMN;
    print_words(row->help, &column);
    print_brackets(row, &column);
    putchar('\n');
}

void help_print(const option_command *command)
{
    const option_row *rows[OPTION_ROWS_MAX];
    size_t count = option_list(command, rows);
    printf("usage: %s\n\n%s\n", command->usage, command->about);
    for (size_t i = 0; i < count; i++) {
        size_t before = 0;
        while (before < i && strcmp(rows[before]->section, rows[i]->section) != 0)
            before++;
        if (before < i) /* its section is printed */
            continue;
        printf("\n%s:\n", rows[i]->section);
        for (size_t k = i; k < count; k++)
            if (rows[k]->help && !strcmp(rows[k]->section, rows[i]->section))
                print_row(rows[k]);
    }
    printf("%s%s", *command->end ? "\n" : "", command->end);
}

/* ---- commands --------------------------------------------------------------------------- */

const char help_main[] =
    "usage: s2a COMMAND [options]\n"
    "\n"
    "System 2 Attention: removes what should not count from a prompt before answering it.\n"
    "\n"
    "  ask [TEXT]     answer a prompt in two steps: rewrite it, then answer what is left\n"
    "  attend [TEXT]  only rewrite it\n"
    "  chat           a conversation in the terminal, each message in two steps\n"
    "  prune FILE...  prune documents to the sentences that a question needs, and score them\n"
    "  serve          an OpenAI-compatible server: s2a- before a model's name asks for S2A\n"
    "  mcp            an MCP server on standard input and output: prune and attend as tools\n"
    "  pull [MODEL]   download a model\n"
    "  models         list the models that can be downloaded, and which are here\n"
    "  calibrate [MODEL]\n"
    "                 teach a model to judge sentences, in ten minutes or so\n"
    "  eval TASK      the paper's experiments; s2a eval report makes a page of them\n"
    "  bench          how fast it is on this machine, and what it costs without S2A\n"
    "\n"
    "  --help         this text; s2a COMMAND --help says more\n"
    "  --version      print the version\n"
    "\n"
    "first steps:\n"
    "  s2a pull\n"
    "  s2a ask \"I think it was Poe, but who wrote Leaves of Grass?\"\n";

#define PROMPT_END                                                                             \
    "Settings also come from S2A_MODEL, S2A_URL and so on, and from\n"                         \
    "$XDG_CONFIG_HOME/s2a/config.json; see s2a(1).\n"                                          \
    "\nexit status: 0 done, 1 failed, 2 usage, 3 no such model or backend, 4 step 1 was not\n" \
    "used (--strict), 130 or 143 ended by a signal\n"

const option_command command_ask = {
    .name = "ask",
    .bit = IN_ASK,
    .argument = "TEXT",
    .summary = "answer a prompt in two steps",
    .usage = "s2a ask [options] [TEXT | -]",
    .about =
        "Rewrites the prompt without what should not count, and answers what is left. TEXT is the\n"
        "prompt, one argument; - or no TEXT: standard input.",
    .end = PROMPT_END
    "\nexamples:\n"
    "  s2a ask \"I think it was Poe, but who wrote Leaves of Grass?\"\n"
    "  s2a ask --explain --compare - < prompt.txt\n"
    "  s2a ask --context notes.txt --context mail.txt --question \"When is the review?\"\n"
    "  s2a ask --preset relevance --temperature 0 --json \"$problem\" | jq .answer\n"
    "  s2a ask --url http://127.0.0.1:8080/v1 --jsonl < requests.jsonl > results.jsonl\n",
};

const option_command command_attend = {
    .name = "attend",
    .bit = IN_ATTEND,
    .argument = "TEXT",
    .summary = "only rewrite it",
    .usage = "s2a attend [options] [TEXT | -]",
    .about = "Rewrites the prompt without what should not count, and prints that. TEXT is the "
             "prompt, one\n"
             "argument; - or no TEXT: standard input.",
    .end = PROMPT_END "\nexamples:\n"
                      "  s2a attend \"I think it was Poe, but who wrote Leaves of Grass?\"\n"
                      "  s2a attend --json - < prompt.txt | jq .removed\n",
};

const option_command command_chat = {
    .name = "chat",
    .bit = IN_CHAT,
    .summary = "a conversation in the terminal",
    .usage = "s2a chat [options]",
    .about = "Answers each line in two steps, and shows what step 1 removed from it. Lines come "
             "from the\n"
             "terminal or from standard input. A line that ends in a backslash continues. /help "
             "lists the\n"
             "commands; Ctrl-C cancels an answer, Ctrl-D ends.",
    .end = "exit status: 0 done, 1 failed, 2 usage, 3 no such model or backend, 130 or 143 ended "
           "by a signal\n"
           "\nexamples:\n"
           "  s2a chat\n"
           "  s2a chat --model 0.5b --system \"Answer in one sentence.\"\n"
           "  s2a chat --url http://127.0.0.1:8080/v1\n",
};

const option_command command_prune = {
    .name = "prune",
    .bit = IN_PRUNE,
    .argument = "FILE",
    .summary = "prune documents to what a question needs",
    .usage = "s2a prune [options] --question TEXT [FILE | -]...",
    .about =
        "Prints the sentences of each document that the question needs, in the document's own\n"
        "words. Each FILE is a document; - or no FILE: standard input. The documents are judged\n"
        "together, and a document may become empty.",
    .end = "exit status: 0 done, 1 failed, 2 usage, 3 no such model, or one that cannot judge,\n"
           "130 or 143 ended by a signal\n"
           "\nexamples:\n"
           "  s2a prune --question \"When is the review?\" notes.txt mail.txt\n"
           "  s2a prune --question \"$q\" --top 3 --json hits/*.txt | jq .documents\n"
           "  s2a prune --jsonl < requests.jsonl > pruned.jsonl\n",
};

const option_command command_mcp = {
    .name = "mcp",
    .bit = IN_MCP,
    .summary = "an MCP server on standard input and output",
    .usage = "s2a mcp [options]",
    .about =
        "A server of the Model Context Protocol for one client, which starts it: JSON-RPC\n"
        "messages, one a line, on standard input and output. Its tools are filter_context,\n"
        "which prunes documents to a question, and filter_prompt, which does what attend does.",
    .end = "It ends with its standard input. exit status: 0 done, 1 failed, 2 usage, 3 no such\n"
           "model, or one that cannot judge, 130 or 143 ended by a signal\n",
};

const option_command command_serve = {
    .name = "serve",
    .bit = IN_SERVE,
    .summary = "an OpenAI-compatible server",
    .usage = "s2a serve [options]",
    .about =
        "An OpenAI-compatible server. A client asks for System 2 Attention by writing s2a- before\n"
        "the model's name. It answers with the embedded model, or with an upstream server. A\n"
        "request can override the settings of step 1 and of sampling.",
    .end =
        "SIGHUP reads the keys again. SIGTERM ends it after all requests are answered; a second\n"
        "one ends it at once.\n"
        "\nexamples:\n"
        "  s2a serve &\n"
        "  s2a serve --upstream http://127.0.0.1:8000/v1 --port 8081\n"
        "  curl http://127.0.0.1:8080/v1/models\n",
};

const option_command command_pull = {
    .name = "pull",
    .bit = IN_PULL,
    .argument = "MODEL",
    .summary = "download a model",
    .usage = "s2a pull [options] [MODEL]",
    .about =
        "Downloads a model and checks its size and sha256; without MODEL, the default one. Prints "
        "the\n"
        "path of the file. An interrupted download continues where it stopped. `s2a models` lists\n"
        "the models. They are stored in $S2A_MODELS, else $XDG_DATA_HOME/s2a/models, else\n"
        "~/.local/share/s2a/models.",
    .end = "exit status: 0 done, 1 failed or interrupted, 2 usage, 3 no such model\n",
};

const option_command command_models = {
    .name = "models",
    .bit = IN_MODELS,
    .summary = "list the models",
    .usage = "s2a models [--json]",
    .about = "Lists the models that `s2a pull` knows, and which of them are here. The short name "
             "in brackets\n"
             "can be used wherever a model is named. FROM is the source of the file that is here. "
             "SHA256 says\n"
             "whose sha256 the file has: the publisher's, or, if a model comes only from "
             "strangers' packages,\n"
             "theirs. JSON has all short names and the sha256.",
    .end = "",
};

const option_command command_calibrate = {
    .name = "calibrate",
    .bit = IN_CALIBRATE,
    .argument = "MODEL|FILE",
    .summary = "teach a model to judge sentences",
    .usage = "s2a calibrate [options] [MODEL]",
    .about = "Teaches a model to judge sentences for mode select: reads labelled prompts that come "
             "with the\n"
             "tool, for six minutes at most, and fits linear maps of its hidden states (a head) to "
             "the labels.\n"
             "Prints how well the head does on held-out kinds of prompts, and writes nothing if "
             "the model\n"
             "cannot tell needed sentences from others. ask, attend, serve and eval use the head "
             "from then on.\n"
             "Each model has its own file, in $XDG_DATA_HOME/s2a/calibration, else in\n"
             "~/.local/share/s2a/calibration. MODEL is a name from `s2a models` or a GGUF file, as "
             "for --model.",
    .end = "exit status: 0 done, 1 failed, or the model cannot tell needed sentences from others, "
           "2 usage,\n"
           "3 no such model\n"
           "\nexamples:\n"
           "  s2a calibrate my-model.gguf\n"
           "  s2a calibrate --show 1.5b\n",
};
