# Finds libllama and defines the target s2a::llama, or no target with S2A_LLAMA=OFF. It tries in this
# order: S2A_LLAMA_DIR (a directory with lib/ and include/), a system libllama by pkg-config, one by
# CMake, and the one that scripts/bootstrap.sh put into the cache. The first and the last are private:
# their libraries are installed into lib/s2a. The backend looks for ggml's CPU and GPU libraries beside
# them (by dladdr), so that an installed tree can be moved.
include(CheckLanguage)
set(S2A_LLAMA_VERSION 0.5.0) # oldest system libllama whose API we use; scripts/llama.lock pins ours
set(S2A_LLAMA_DIR "" CACHE PATH "A libllama to use instead of what is found: DIR/lib, DIR/include")

set(S2A_LLAMA_PRIVATE_FILES "") # to install into lib/s2a
set(S2A_LLAMA_PINNED OFF) # it is the version of scripts/llama.lock
set(S2A_LLAMA_LIBRARY_RPATH "")
set(S2A_LLAMA_TOOL_RPATH "")
set(S2A_LLAMA_KEEP_RPATH ON)
set(S2A_LLAMA_PC "") # what s2a.pc requires for static linking
set(S2A_LLAMA_PC_LIBS "")
set(S2A_LLAMA_CONFIG_LIBS "") # the same for s2aConfig.cmake: files of lib/s2a, or a target ...
set(S2A_LLAMA_CONFIG_FIND "") # ... and what finds it
set(S2A_COMMON OFF) # llama.cpp's library "common" was found: tools, JSON schemas

if(DEFINED ENV{S2A_CACHE})
    set(s2a_cache "$ENV{S2A_CACHE}")
elseif(DEFINED ENV{XDG_CACHE_HOME})
    set(s2a_cache "$ENV{XDG_CACHE_HOME}/s2a")
else()
    set(s2a_cache "$ENV{HOME}/.cache/s2a")
endif()

# Sets result to the one library of that name in dir, or to "".
function(s2a_llama_library dir name result)
    file(GLOB found "${dir}/lib${name}.so" "${dir}/lib${name}.v*.so" "${dir}/lib${name}.dylib"
        "${dir}/lib${name}.v*.dylib")
    list(LENGTH found count)
    if(count GREATER 0)
        list(GET found 0 found)
    endif()
    set(${result} "${found}" PARENT_SCOPE)
endfunction()

# Defines s2a::llama from a directory with lib/ and include/, if it is complete.
macro(s2a_llama_from_directory dir)
    foreach(name llama ggml ggml-base)
        s2a_llama_library("${dir}/lib" ${name} lib_${name})
    endforeach()
    if(lib_llama AND lib_ggml AND lib_ggml-base AND EXISTS "${dir}/include/llama.h")
        foreach(name llama ggml ggml-base)
            add_library(s2a::private-${name} SHARED IMPORTED)
            set_target_properties(s2a::private-${name} PROPERTIES
                IMPORTED_LOCATION "${lib_${name}}")
        endforeach()
        add_library(s2a::llama INTERFACE IMPORTED)
        target_include_directories(s2a::llama SYSTEM INTERFACE "${dir}/include")
        target_link_libraries(s2a::llama INTERFACE
            s2a::private-llama s2a::private-ggml s2a::private-ggml-base)
        # Chat templates in Jinja, tool calls and grammars are in llama.cpp's library "common". Its C++
        # interface is not stable: only the library of such a directory is used.
        s2a_llama_library("${dir}/lib" llama-common lib_common)
        check_language(CXX)
        if(lib_common AND EXISTS "${dir}/include/common/chat.h" AND CMAKE_CXX_COMPILER)
            set(S2A_COMMON ON)
            add_library(s2a::private-llama-common SHARED IMPORTED)
            set_target_properties(s2a::private-llama-common PROPERTIES
                IMPORTED_LOCATION "${lib_common}")
            target_link_libraries(s2a::llama INTERFACE s2a::private-llama-common stdc++)
        endif()
        # With the symbolic links of versioned libraries.
        file(GLOB S2A_LLAMA_PRIVATE_FILES "${dir}/lib/libllama.*" "${dir}/lib/libllama-common.*"
            "${dir}/lib/libggml*")
        file(GLOB S2A_LLAMA_LICENSE "${dir}/LICENSE")
        file(RELATIVE_PATH bin_to_lib "${CMAKE_INSTALL_FULL_BINDIR}" "${CMAKE_INSTALL_FULL_LIBDIR}")
        set(S2A_LLAMA_LIBRARY_RPATH "$ORIGIN/s2a")
        set(S2A_LLAMA_TOOL_RPATH "$ORIGIN/${bin_to_lib}/s2a")
        set(S2A_LLAMA_KEEP_RPATH OFF)
        set(S2A_LLAMA_PC_LIBS "-L\${libdir}/s2a -Wl,-rpath,\${libdir}/s2a")
        set(names llama ggml ggml-base)
        if(S2A_COMMON)
            set(lib_llama-common "${lib_common}")
            list(PREPEND names llama-common)
        endif()
        foreach(name IN LISTS names)
            get_filename_component(file "${lib_${name}}" NAME)
            string(APPEND S2A_LLAMA_PC_LIBS " -l:${file}")
            list(APPEND S2A_LLAMA_CONFIG_LIBS ${file})
        endforeach()
        if(S2A_COMMON)
            string(APPEND S2A_LLAMA_PC_LIBS " -lstdc++")
        else()
            message(STATUS "libllama: no llama-common with headers, or no C++ compiler: the embedded "
                "engine has no tools and no JSON schemas (scripts/bootstrap.sh)")
        endif()
        message(STATUS "libllama: ${lib_llama}")
    endif()
endmacro()

if(NOT S2A_LLAMA STREQUAL "OFF")
    if(S2A_LLAMA_DIR)
        s2a_llama_from_directory("${S2A_LLAMA_DIR}")
        if(NOT TARGET s2a::llama)
            message(FATAL_ERROR "S2A_LLAMA_DIR: ${S2A_LLAMA_DIR} has no lib/libllama, lib/libggml, "
                "lib/libggml-base and include/llama.h")
        endif()
    endif()
    if(NOT TARGET s2a::llama)
        find_package(PkgConfig QUIET)
        if(PKG_CONFIG_FOUND)
            pkg_check_modules(LLAMA QUIET IMPORTED_TARGET "llama>=${S2A_LLAMA_VERSION}")
        endif()
        if(TARGET PkgConfig::LLAMA)
            add_library(s2a::llama ALIAS PkgConfig::LLAMA)
            set(S2A_LLAMA_PC "llama >= ${S2A_LLAMA_VERSION}")
            message(STATUS "libllama: ${LLAMA_VERSION} by pkg-config")
        endif()
    endif()
    if(NOT TARGET s2a::llama)
        find_package(llama ${S2A_LLAMA_VERSION} CONFIG QUIET)
        if(TARGET llama)
            add_library(s2a::llama ALIAS llama)
            set(S2A_LLAMA_PC_LIBS "-lllama -lggml -lggml-base")
            set(S2A_LLAMA_CONFIG_LIBS llama)
            set(S2A_LLAMA_CONFIG_FIND "find_dependency(llama ${S2A_LLAMA_VERSION})")
            message(STATUS "libllama: ${llama_VERSION} by CMake")
        endif()
    endif()
    if(NOT TARGET s2a::llama)
        if(SKBUILD) # `pip install` runs no other script before
            execute_process(COMMAND bash ${CMAKE_CURRENT_SOURCE_DIR}/scripts/bootstrap.sh --llama-only)
        endif()
        s2a_llama_from_directory("${s2a_cache}/llama")
        if(TARGET s2a::llama)
            set(S2A_LLAMA_PINNED ON)
        endif()
    endif()
    if(NOT TARGET s2a::llama)
        message(FATAL_ERROR "libllama >= ${S2A_LLAMA_VERSION} was not found: run "
            "scripts/bootstrap.sh, or configure with -DS2A_LLAMA=OFF for the http backend alone")
    endif()
endif()
