# Files compiled into the binaries as byte arrays: exact for any bytes and any length, whereas string
# literals have at most 4095 characters and need escapes. s2a_embed_write.cmake writes them at build
# time, again whenever a file changes.
set(S2A_EMBED_SCRIPT ${CMAKE_CURRENT_LIST_DIR}/s2a_embed_write.cmake)

# s2a_embed_prompts(OUTPUT FILE...): the table that src/core/prompt.h declares; files are below prompts/.
function(s2a_embed_prompts output)
    list(SORT ARGN)
    add_custom_command(OUTPUT ${output}
        COMMAND ${CMAKE_COMMAND} -DKIND=prompts -DOUTPUT=${output} "-DFILES=${ARGN}"
                -DROOT=${CMAKE_CURRENT_SOURCE_DIR}/prompts -P ${S2A_EMBED_SCRIPT}
        DEPENDS ${ARGN} ${S2A_EMBED_SCRIPT}
        COMMENT "Embedding prompts" VERBATIM)
endfunction()

# s2a_embed_file(OUTPUT SYMBOL FILE): `const char SYMBOL[]` with a NUL after the last byte and
# `const size_t SYMBOL_len`. FILE "" gives an empty one.
function(s2a_embed_file output symbol file)
    add_custom_command(OUTPUT ${output}
        COMMAND ${CMAKE_COMMAND} -DKIND=file -DOUTPUT=${output} -DSYMBOL=${symbol}
                "-DFILES=${file}" -P ${S2A_EMBED_SCRIPT}
        DEPENDS ${file} ${S2A_EMBED_SCRIPT}
        COMMENT "Embedding ${symbol}" VERBATIM)
endfunction()

# s2a_embed_joined(OUTPUT SYMBOL FILE...): as s2a_embed_file, the files one after the other.
function(s2a_embed_joined output symbol)
    list(SORT ARGN)
    add_custom_command(OUTPUT ${output}
        COMMAND ${CMAKE_COMMAND} -E cat ${ARGN} > ${output}.joined
        COMMAND ${CMAKE_COMMAND} -DKIND=file -DOUTPUT=${output} -DSYMBOL=${symbol}
                -DFILES=${output}.joined -P ${S2A_EMBED_SCRIPT}
        DEPENDS ${ARGN} ${S2A_EMBED_SCRIPT}
        COMMENT "Embedding ${symbol}" VERBATIM)
endfunction()

# s2a_embed_table(DIRECTORY PREFIX OUTPUT BEFORE AFTER FILE...): each file, and OUTPUT, a C file with a row for each,
# between the two texts. Compile the files of S2A_TABLE_SOURCES.
function(s2a_embed_table directory prefix output before after)
    set(sources ${directory}/${output})
    set(declarations "")
    set(rows "")
    foreach(file IN LISTS ARGN)
        get_filename_component(name ${file} NAME)
        string(MAKE_C_IDENTIFIER ${prefix}_${name} symbol)
        s2a_embed_file(${directory}/${symbol}.c ${symbol} ${file})
        list(APPEND sources ${directory}/${symbol}.c)
        string(APPEND declarations
            "extern const char ${symbol}[];\nextern const size_t ${symbol}_len;\n")
        string(APPEND rows "    { \"${name}\", ${symbol}, &${symbol}_len },\n")
    endforeach()
    string(CONCAT text "${before}" "\n${declarations}\n" "${after}")
    string(REPLACE "@ROWS@" "${rows}    { NULL, NULL, NULL },\n" text "${text}")
    file(CONFIGURE OUTPUT ${directory}/${output} CONTENT "${text}" @ONLY)
    set(S2A_TABLE_SOURCES ${sources} PARENT_SCOPE)
endfunction()

# s2a_embed_heads(DIRECTORY FILE...): the table that src/core/head.h declares. Compile the files of
# S2A_HEAD_SOURCES.
function(s2a_embed_heads directory)
    list(LENGTH ARGN count)
    s2a_embed_table(${directory} head heads_builtin.c "#include \"core/head.h\"\n"
        "const struct head_builtin heads_builtin[] = {\n@ROWS@};\nconst size_t heads_builtin_count = ${count};\n" ${ARGN})
    set(S2A_HEAD_SOURCES ${S2A_TABLE_SOURCES} PARENT_SCOPE)
endfunction()

# s2a_embed_page(DIRECTORY FILE...): each file of the page, and the table that
# src/serve/page_files.h declares. Compile the files of S2A_PAGE_SOURCES.
function(s2a_embed_page directory)
    s2a_embed_table(${directory} page page_files.c "#include \"serve/page_files.h\"\n"
        "const page_file page_files[] = {\n@ROWS@};\n" ${ARGN})
    set(S2A_PAGE_SOURCES ${S2A_TABLE_SOURCES} PARENT_SCOPE)
endfunction()
