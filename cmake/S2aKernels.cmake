# libs2a-kernels-*.so: ggml's backend for x86 processors with AVX-512 VNNI, with products of quantised
# weights by src/kernels/. Each module needs one of the prebuilt libggml-cpu-*.so. The loader searches a
# module before the libraries that it needs, so it takes our functions instead of that library's. The
# modules work only with the version that scripts/llama.lock pins. Without them the engine uses ggml's.
set(S2A_KERNEL_TARGETS "")

# In the order in which the engine (src/backend/llama/library.c) tries them.
set(s2a_kernel_variants zen4 cooperlake icelake cascadelake)

# Compiled once; each module takes the objects.
function(s2a_compile_kernels)
    file(GLOB sources CONFIGURE_DEPENDS src/kernels/*.c)
    add_library(s2a-kernels OBJECT ${sources})
    set_target_properties(s2a-kernels PROPERTIES C_VISIBILITY_PRESET default)
    target_include_directories(s2a-kernels PRIVATE src)
    target_include_directories(s2a-kernels SYSTEM PRIVATE ${s2a_cache}/llama/include)
    # Skylake-X's AVX-512, half floats, and VNNI.
    target_compile_options(s2a-kernels PRIVATE -O3 -march=skylake-avx512 -mavx512vnni
        -mprefer-vector-width=512)
    target_link_libraries(s2a-kernels PRIVATE s2a-compiler)
endfunction()

function(s2a_add_kernels variant)
    set(target s2a-kernels-${variant})
    add_library(${target} MODULE $<TARGET_OBJECTS:s2a-kernels>)
    set_target_properties(${target} PROPERTIES
        LINKER_LANGUAGE C LIBRARY_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/kernels
        BUILD_RPATH ${s2a_cache}/llama/lib INSTALL_RPATH "$ORIGIN" INSTALL_RPATH_USE_LINK_PATH OFF)
    # By name only: the library has no SONAME, so a path would be stored and searched as it was at build time.
    target_link_libraries(${target} PRIVATE Threads::Threads ${CMAKE_DL_LIBS}
        -L${s2a_cache}/llama/lib -Wl,--no-as-needed -l:libggml-cpu-${variant}.so)
    set(S2A_KERNEL_TARGETS ${S2A_KERNEL_TARGETS} ${target} PARENT_SCOPE)
endfunction()

if(S2A_LLAMA_PINNED AND NOT S2A_FUZZ AND CMAKE_SYSTEM_NAME STREQUAL "Linux"
   AND CMAKE_SYSTEM_PROCESSOR MATCHES "^(x86_64|AMD64)$")
    s2a_compile_kernels()
    foreach(variant IN LISTS s2a_kernel_variants)
        if(EXISTS "${s2a_cache}/llama/lib/libggml-cpu-${variant}.so")
            s2a_add_kernels(${variant})
        endif()
    endforeach()
endif()
if(S2A_KERNEL_TARGETS)
    # The engine finds them by this run path before the installation, and by that of lib/s2a after it.
    list(APPEND CMAKE_BUILD_RPATH ${CMAKE_BINARY_DIR}/kernels)
endif()
