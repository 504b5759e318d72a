#include "cli/option_dump.h"

#include "cli/commands.h"
#include "cli/help.h"
#include "cli/term.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

static const char *const kind_names[] = {
    [OPTION_FLAG] = "flag",       [OPTION_LEVEL] = "flag",  [OPTION_TEXT] = "text",
    [OPTION_NAME] = "text",       [OPTION_ONCE] = "text",   [OPTION_CHOICE] = "text",
    [OPTION_SWITCH] = "text",     [OPTION_OWN] = "text",    [OPTION_LIST] = "text",
    [OPTION_INTEGER] = "integer", [OPTION_REAL] = "number",
};

static json_t *row_json(const option_row *row)
{
    char variable[64], letter[2] = { row->letter, '\0' };
    option_variable(row, variable);
    return json_pack("{s:s,s:s,s:s,s:s,s:s?,s:f,s:f,s:b,s:b,s:s?,s:s?,s:s?,s:s,s:s,s:s?}", "name",
                     row->name, "letter", letter, "section", row->section, "kind",
                     kind_names[row->kind], "hint", row->hint ? row->hint : row->choices, "low",
                     row->low, "high", row->high, "above", row->above, "many", row->many, "choices",
                     row->choices, "default", row->fallback, "key", row->key, "variable", variable,
                     "help", row->help, "more", row->more);
}

static json_t *command_json(const option_command *command)
{
    const option_row *rows[OPTION_ROWS_MAX];
    size_t count = option_list(command, rows);
    json_t *options = json_array();
    for (size_t i = 0; i < count; i++)
        if (rows[i]->help)
            json_array_append_new(options, row_json(rows[i]));
    return json_pack("{s:s,s:s,s:s?,s:o}", "name", command->name, "summary", command->summary,
                     "argument", command->argument, "options", options);
}

int option_dump(const option_command *const *commands, size_t count)
{
    json_t *list = json_array(), *settings = json_array();
    for (size_t i = 0; i < count; i++)
        json_array_append_new(list, command_json(commands[i]));
    for (size_t i = 0; i < option_row_count; i++)
        if (option_rows[i].key && &option_rows[i] == option_of_key(option_rows[i].key))
            json_array_append_new(settings, row_json(&option_rows[i]));
    json_t *root = json_pack("{s:o,s:o}", "commands", list, "settings", settings);
    char *text = root ? json_dumps(root, JSON_INDENT(1) | JSON_REAL_PRECISION(12)) : NULL;
    json_decref(root);
    if (!text) {
        term_say("out of memory");
        return EXIT_FAILED;
    }
    puts(text);
    free(text);
    return EXIT_DONE;
}

int cmd_options(int argc, char **argv)
{
    static const option_command *const commands[] = {
        &command_ask,    &command_attend,    &command_chat,  &command_serve, &command_pull,
        &command_models, &command_calibrate, &command_prune, &command_mcp,
    };
    (void)argc, (void)argv;
    return option_dump(commands, sizeof commands / sizeof commands[0]);
}
