#include "lab.h"

const char help_lab[] =
    "usage: s2a-lab COMMAND [options]\n"
    "\n"
    "The laboratory of s2a: what its two steps do, how well and how fast. `s2a eval` and `s2a "
    "bench`\n"
    "start it.\n"
    "\n"
    "  eval TASK      the paper's experiments; s2a eval report makes a page of them\n"
    "  bench          how fast it is on this machine, beside what it would cost without\n"
    "  probe          what the judge sees, raw, as JSON lines (scripts/judge)\n"
    "\n"
    "  --help         this text; s2a-lab COMMAND --help says more\n"
    "  --version      print the version\n";
