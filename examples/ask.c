/* The smallest useful program: asks one question with System 2 Attention and says what was removed.
 *
 *     cc ask.c $(pkg-config --cflags --libs s2a) -o ask
 *     ./ask llama model.gguf "I think it was Poe, but who wrote Leaves
 * of Grass?" */
#include <s2a.h>
#include <stdio.h>
#include <string.h>

int main(int argc, char **argv)
{
    if (argc != 4) {
        fprintf(stderr, "usage: %s llama|http|script MODEL-OR-URL TEXT\n", argv[0]);
        return 2;
    }
    s2a_engine_options options;
    s2a_engine_options_init(&options);
    options.backend = argv[1];
    if (strcmp(argv[1], "http") == 0)
        options.url = argv[2];
    else
        options.model = argv[2];

    s2a_engine *engine = NULL;
    s2a_result *result = NULL;
    s2a_error err;
    s2a_request *request = s2a_request_new();
    int status = 1;
    if (!request || s2a_engine_open(&options, &engine, &err) != S2A_OK ||
        s2a_request_set_text(request, argv[3], strlen(argv[3]), &err) != S2A_OK ||
        s2a_answer(engine, request, &result, &err) != S2A_OK) {
        fprintf(stderr, "ask: %s\n", request ? err.message : "out of memory");
        goto out;
    }
    const char *input = s2a_result_input(result, NULL);
    for (size_t i = 0; i < s2a_result_removed_count(result); i++) {
        s2a_span span = s2a_result_removed(result, i);
        printf("removed: %.*s\n", (int)(span.end - span.start), input + span.start);
    }
    if (s2a_result_fallback(result) != S2A_FALLBACK_NONE)
        printf("step 1 was not used: %s\n", s2a_result_fallback_detail(result));
    printf("%s\n", s2a_result_answer(result, NULL));
    status = 0;
out:
    s2a_result_free(result);
    s2a_request_free(request);
    s2a_engine_close(engine);
    return status;
}
