# The content of a wheel (pyproject.toml), instead of S2aInstall.cmake: the shared library, the tool, libllama and the
# kernels in one directory of the Python package, where each finds the others by $ORIGIN. A wheel has no
# symbolic links, so the library has no version in its name.
set_property(TARGET s2a-shared PROPERTY VERSION)
set_property(TARGET s2a-shared PROPERTY SOVERSION)
if(S2A_LLAMA_PRIVATE_FILES)
    set_target_properties(s2a-shared s2a-tool-installed PROPERTIES INSTALL_RPATH "$ORIGIN")
endif()
install(TARGETS s2a-shared s2a-tool-installed ${S2A_KERNEL_TARGETS}
    LIBRARY DESTINATION native RUNTIME DESTINATION native)
install(PROGRAMS ${S2A_LLAMA_PRIVATE_FILES} DESTINATION native)
if(S2A_LLAMA_LICENSE)
    install(FILES ${S2A_LLAMA_LICENSE} DESTINATION native RENAME LICENSE.llama.cpp)
endif()
