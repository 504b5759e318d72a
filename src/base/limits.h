/* Every limit in one place, except the server's (serve/serve_limits.h). Each has a test at it and
 * one past it; tests/unit/test_limits.c says where. */
#ifndef S2A_BASE_LIMITS_H
#define S2A_BASE_LIMITS_H

#include <stddef.h>
#include <stdint.h>

/* For a buffer whose contents already have a limit. */
#define LIMIT_NONE (SIZE_MAX / 2)

#define LIMIT_INPUT_BYTES ((size_t)16 << 20)   /* a prompt, or one message */
#define LIMIT_MESSAGES ((size_t)4096)          /* messages of one request */
#define LIMIT_DOCUMENTS ((size_t)1024)         /* documents of one request */
#define LIMIT_STOPS 16                         /* stop texts of a request */
#define LIMIT_STOP_BYTES 1024                  /* bytes of one stop text */
#define LIMIT_BIASES 1024                      /* tokens of a request whose logits are changed */
#define LIMIT_TOP_LOGPROBS 20                  /* likeliest tokens reported for each token */
#define LIMIT_SCHEMA_VALUES 1024               /* JSON values of a schema, nested ones included */
#define LIMIT_SCHEMA_BYTES ((size_t)256 << 10) /* bytes of a schema's texts and names */
#define LIMIT_TOOLS_VALUES 8192                /* JSON values of all tools */
#define LIMIT_PATTERN_COST 4096                /* cost of a schema's pattern: pattern_cost.h */
#define LIMIT_TOOL_NAME_BYTES 64               /* name of a tool that the answer may call */
#define LIMIT_PROTECTED 1024                   /* texts and lines that a request protects */
#define LIMIT_REQUEST_ID_BYTES 128             /* bytes of X-Request-Id */
#define LIMIT_OUTPUT_BYTES ((size_t)64 << 20)  /* output of one generation */
#define LIMIT_PROMPT_FILE_BYTES ((size_t)64 << 10)
#define LIMIT_SCRIPT_FILE_BYTES ((size_t)16 << 20)
#define LIMIT_HTTP_BODY_BYTES ((size_t)64 << 20)            /* a whole response, or error body */
#define LIMIT_SSE_LINE_BYTES ((size_t)8 << 20)              /* one line of an event stream */
#define LIMIT_JSON_LINE_BYTES ((size_t)32 << 20)            /* one line of --jsonl */
#define LIMIT_KEPT_KEY_BYTES ((size_t)1 << 20)              /* key of a cached result */
#define LIMIT_RESULT_LINE_BYTES (8 * LIMIT_JSON_LINE_BYTES) /* one line read by --resume */
#define LIMIT_JSON_DEPTH 256
#define LIMIT_CHAT_HISTORY 1000              /* earlier lines of `s2a chat` that are remembered */
#define LIMIT_MCP_CALLS ((size_t)256)        /* messages that wait for the model in s2a mcp */
#define LIMIT_CONFIG_BYTES ((size_t)1 << 20) /* the configuration file */
#define LIMIT_MANIFEST_BYTES ((size_t)1 << 20)
#define LIMIT_MANIFEST_ITEMS ((size_t)256) /* models; aliases, sources, parts of one */
#define LIMIT_HEAD_FILE_BYTES ((size_t)16 << 20)
#define LIMIT_TEACHING_PROMPTS ((size_t)16384)  /* labelled prompts for teaching a head */
#define LIMIT_TEACHING_PIECES ((size_t)512)     /* pieces of a labelled prompt */
#define LIMIT_ALIGN_STEPS ((uint64_t)200000000) /* steps of one alignment */
#define LIMIT_ALIGN_WORD_STEPS ((uint64_t)250)  /* steps for each word of both texts */
#define LIMIT_GUARD_BYTES ((uint64_t)2 << 30)   /* bytes searched for quotes and code */
#define LIMIT_STEP1_GUESSED_TOKENS 4096u        /* context size if a server reports none */
#define LIMIT_STEP1_OVERHEAD_TOKENS 256u        /* labels and comments beside the copy */

#endif
