# Run by the commands of S2aEmbed.cmake: cmake -DKIND= -DOUTPUT= -DFILES= [-DSYMBOL=] [-DROOT=] -P this.
cmake_minimum_required(VERSION 3.22)

# The bytes of file as the body of a char array, with a NUL after them.
function(array_body file result)
    set(hex "")
    if(file)
        file(READ "${file}" hex HEX)
    endif()
    string(REGEX REPLACE "(................................)" "\\1\n" hex "${hex}")
    string(REGEX REPLACE "([0-9a-f][0-9a-f])" "'\\\\x\\1'," body "${hex}")
    set(${result} "{\n${body}\n0}" PARENT_SCOPE)
endfunction()

if(KIND STREQUAL "prompts")
    set(text "#include \"core/prompt.h\"\n\n")
    set(rows "")
    set(count 0)
    foreach(file IN LISTS FILES)
        file(RELATIVE_PATH name "${ROOT}" "${file}")
        string(REGEX REPLACE "\\.txt$" "" name "${name}")
        array_body("${file}" body)
        string(APPEND text "static const char prompt_${count}[] = ${body};\n\n")
        string(APPEND rows
            "    { \"${name}\", prompt_${count}, sizeof prompt_${count} - 1 },\n")
        math(EXPR count "${count} + 1")
    endforeach()
    string(APPEND text "const struct prompt_builtin prompts_builtin[] = {\n${rows}"
        "    { NULL, NULL, 0 },\n};\nconst size_t prompts_builtin_count = ${count};\n")
else()
    array_body("${FILES}" body)
    string(CONCAT text "#include <stddef.h>\n\nextern const char ${SYMBOL}[];\n"
        "extern const size_t ${SYMBOL}_len;\n\nconst char ${SYMBOL}[] = ${body};\n"
        "const size_t ${SYMBOL}_len = sizeof ${SYMBOL} - 1;\n")
endif()
file(WRITE "${OUTPUT}" "${text}")
