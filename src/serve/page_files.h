/* The files of web/, embedded by the build. */
#ifndef S2A_SERVE_PAGE_FILES_H
#define S2A_SERVE_PAGE_FILES_H

#include <stddef.h>

typedef struct page_file {
    const char *name; /* "index.html" */
    const char *data;
    const size_t *len;
} page_file;

extern const page_file page_files[]; /* ends with an entry whose name is NULL */

#endif
