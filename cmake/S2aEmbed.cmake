# Files compiled into the binaries as byte arrays: exact for any bytes and any length, where string
# literals stop at 4095 characters and need escapes. The work is done at build time by
# s2a_embed_write.cmake, again whenever a file changes.
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

# s2a_embed_heads(DIRECTORY FILE...): the table that src/core/head.h declares. S2A_HEAD_SOURCES is what is to
# be compiled.
function(s2a_embed_heads directory)
    set(sources ${directory}/heads_builtin.c)
    set(declarations "")
    set(rows "")
    foreach(file IN LISTS ARGN)
        get_filename_component(name ${file} NAME)
        string(MAKE_C_IDENTIFIER head_${name} symbol)
        s2a_embed_file(${directory}/${symbol}.c ${symbol} ${file})
        list(APPEND sources ${directory}/${symbol}.c)
        string(APPEND declarations
            "extern const char ${symbol}[];\nextern const size_t ${symbol}_len;\n")
        string(APPEND rows "    { \"${name}\", ${symbol}, &${symbol}_len },\n")
    endforeach()
    list(LENGTH ARGN count)
    file(CONFIGURE OUTPUT ${directory}/heads_builtin.c CONTENT
        "#include \"core/head.h\"\n\n${declarations}\nconst struct head_builtin heads_builtin[] = {\n${rows}    { NULL, NULL, NULL },\n};\nconst size_t heads_builtin_count = ${count};\n")
    set(S2A_HEAD_SOURCES ${sources} PARENT_SCOPE)
endfunction()

# s2a_embed_page(DIRECTORY FILE...): each file of the page, and the table that
# src/serve/page_files.h declares. S2A_PAGE_SOURCES is what is to be compiled.
function(s2a_embed_page directory)
    set(sources ${directory}/page_files.c)
    set(declarations "")
    set(rows "")
    foreach(file IN LISTS ARGN)
        get_filename_component(name ${file} NAME)
        string(MAKE_C_IDENTIFIER page_${name} symbol)
        s2a_embed_file(${directory}/${symbol}.c ${symbol} ${file})
        list(APPEND sources ${directory}/${symbol}.c)
        string(APPEND declarations
            "extern const char ${symbol}[];\nextern const size_t ${symbol}_len;\n")
        string(APPEND rows "    { \"${name}\", ${symbol}, &${symbol}_len },\n")
    endforeach()
    file(CONFIGURE OUTPUT ${directory}/page_files.c CONTENT
        "#include \"serve/page_files.h\"\n\n${declarations}\nconst page_file page_files[] = {\n${rows}    { NULL, NULL, NULL },\n};\n")
    set(S2A_PAGE_SOURCES ${sources} PARENT_SCOPE)
endfunction()
