# libs2a-kernels-*.so: ggml's backend for x86 processors with AVX-512 VNNI, with products of quantised
# weights by src/kernels/. Each is one of the prebuilt libggml-cpu-*.so with ours before it:
# what the loader looks up for ggml's library, it finds in ours first, because the module that is
# loaded comes before the libraries that it needs. They are made for the version that
# scripts/llama.lock pins and for no other, and without them the engine takes ggml's own.
set(S2A_KERNEL_TARGETS "")

# In the order in which the engine tries them (src/backend/llama/library.c).
set(s2a_kernel_variants zen4 cooperlake icelake cascadelake)

# Compiled once; each module takes the objects.
function(s2a_compile_kernels)
    file(GLOB sources CONFIGURE_DEPENDS src/kernels/*.c)
    add_library(s2a-kernels OBJECT ${sources})
    set_target_properties(s2a-kernels PROPERTIES C_VISIBILITY_PRESET default)
    target_include_directories(s2a-kernels PRIVATE src)
    target_include_directories(s2a-kernels SYSTEM PRIVATE ${s2a_cache}/llama/include)
    # AVX-512 as Skylake-X has it, half floats, and VNNI.
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
    # By its name alone: the library has no SONAME, and a path would be looked for where it was.
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
    # By where the engine finds them before they are installed, as lib/s2a is after.
    list(APPEND CMAKE_BUILD_RPATH ${CMAKE_BINARY_DIR}/kernels)
endif()
