/* A build without libedit: lines are read as the terminal gives them. */
#include "cli/editor.h"

editor *editor_open(const term *t, const char *history)
{
    (void)t, (void)history;
    return NULL;
}

void editor_close(editor *e)
{
    (void)e;
}

editor_line editor_next(editor *e, const char *prompt, buf *line)
{
    (void)e, (void)prompt, (void)line;
    return EDITOR_END;
}

void editor_remember(editor *e, const char *entry)
{
    (void)e, (void)entry;
}
