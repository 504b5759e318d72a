# The interface target s2a-compiler: warnings, sanitizers and coverage for our own C files.
# Sanitizers and coverage are also link options of all targets, because one flag does both.
add_library(s2a-compiler INTERFACE)
target_compile_definitions(s2a-compiler INTERFACE $<$<COMPILE_LANGUAGE:C>:_GNU_SOURCE=>)
target_compile_options(s2a-compiler INTERFACE
    -Wall -Wextra -Wshadow -Wconversion
    $<$<COMPILE_LANGUAGE:C>:-Wmissing-prototypes$<SEMICOLON>-Wstrict-prototypes>
    $<$<BOOL:${S2A_WERROR}>:-Werror>)

set(CMAKE_C_FLAGS_RELWITHDEBINFO "-O2 -g -DNDEBUG")
set(CMAKE_CXX_FLAGS_RELWITHDEBINFO "-O2 -g -DNDEBUG")

if(S2A_SANITIZE)
    set(sanitize_flags -fsanitize=${S2A_SANITIZE} -fno-sanitize-recover=all
        -fno-omit-frame-pointer)
    add_compile_options(${sanitize_flags})
    add_link_options(${sanitize_flags})
endif()
if(S2A_FUZZ)
    # Coverage counters in all code; only the targets of fuzz/ get libFuzzer's main.
    add_compile_options(-fsanitize=fuzzer-no-link)
endif()
if(S2A_COVERAGE)
    add_link_options(--coverage) # CMakeLists.txt compiles src/core with counters
endif()
