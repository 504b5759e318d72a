# Where `cmake --install` puts which files. The package files are relocatable. Component dev has what compiling
# against the library needs; component runtime has all else. S2aPackage.cmake makes packages of them.
include(CMakePackageConfigHelpers)
set(CMAKE_INSTALL_DEFAULT_COMPONENT_NAME runtime)

install(FILES include/s2a.h DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} COMPONENT dev)
install(TARGETS s2a-shared LIBRARY NAMELINK_COMPONENT dev)
install(TARGETS s2a-static ARCHIVE COMPONENT dev)
install(TARGETS s2a-tool-installed)
if(S2A_LAB)
    install(TARGETS s2a-lab-installed)
endif()
install(PROGRAMS ${S2A_LLAMA_PRIVATE_FILES} DESTINATION ${CMAKE_INSTALL_LIBDIR}/s2a)
install(TARGETS ${S2A_KERNEL_TARGETS} LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR}/s2a)
install(FILES LICENSE DESTINATION ${CMAKE_INSTALL_DOCDIR})
if(S2A_LLAMA_LICENSE)
    install(FILES ${S2A_LLAMA_LICENSE} DESTINATION ${CMAKE_INSTALL_DOCDIR} RENAME LICENSE.llama.cpp)
endif()

# Optional parts: installed if they exist.
install(FILES docs/s2a.1 DESTINATION ${CMAKE_INSTALL_MANDIR}/man1 OPTIONAL)
install(FILES completions/s2a.bash RENAME s2a OPTIONAL
    DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions)
install(FILES completions/_s2a OPTIONAL
    DESTINATION ${CMAKE_INSTALL_DATADIR}/zsh/site-functions)
install(FILES completions/s2a.fish OPTIONAL
    DESTINATION ${CMAKE_INSTALL_DATADIR}/fish/vendor_completions.d)
install(DIRECTORY prompts DESTINATION ${CMAKE_INSTALL_DATADIR}/s2a FILES_MATCHING PATTERN "*.txt")
configure_file(packaging/s2a.service.in ${CMAKE_CURRENT_BINARY_DIR}/generated/s2a.service @ONLY)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/generated/s2a.service
    DESTINATION ${CMAKE_INSTALL_DATADIR}/s2a)
install(FILES models/manifest.json DESTINATION ${CMAKE_INSTALL_DATADIR}/s2a OPTIONAL)

set(S2A_PC_REQUIRES_PRIVATE "libcurl jansson icu-uc libcrypto")
if(S2A_LLAMA_PC)
    string(APPEND S2A_PC_REQUIRES_PRIVATE " ${S2A_LLAMA_PC}")
endif()
set(S2A_PC_LIBS_PRIVATE "${S2A_LLAMA_PC_LIBS} -llinear -lpthread -lm")
set(S2A_CONFIG_CXX "") # what common.cpp needs
if(S2A_COMMON)
    string(APPEND S2A_PC_LIBS_PRIVATE " -lstdc++")
    set(S2A_CONFIG_CXX stdc++)
endif()
foreach(name IN LISTS CMAKE_DL_LIBS)
    string(APPEND S2A_PC_LIBS_PRIVATE " -l${name}")
endforeach()
# The prefix is relative to the .pc file, so the tree can be moved.
file(RELATIVE_PATH S2A_PC_TO_PREFIX "${CMAKE_INSTALL_FULL_LIBDIR}/pkgconfig" "${CMAKE_INSTALL_PREFIX}")
string(REGEX REPLACE "/$" "" S2A_PC_TO_PREFIX "${S2A_PC_TO_PREFIX}")
configure_file(cmake/s2a.pc.in ${CMAKE_CURRENT_BINARY_DIR}/generated/s2a.pc @ONLY)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/generated/s2a.pc
    DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig COMPONENT dev)

string(REPLACE " >= " ">=" S2A_CONFIG_MODULES "${S2A_PC_REQUIRES_PRIVATE}")
configure_package_config_file(cmake/s2aConfig.cmake.in
    ${CMAKE_CURRENT_BINARY_DIR}/generated/s2aConfig.cmake
    INSTALL_DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/s2a
    PATH_VARS CMAKE_INSTALL_INCLUDEDIR CMAKE_INSTALL_LIBDIR)
write_basic_package_version_file(${CMAKE_CURRENT_BINARY_DIR}/generated/s2aConfigVersion.cmake
    COMPATIBILITY SameMinorVersion)
install(FILES
    ${CMAKE_CURRENT_BINARY_DIR}/generated/s2aConfig.cmake
    ${CMAKE_CURRENT_BINARY_DIR}/generated/s2aConfigVersion.cmake
    DESTINATION ${CMAKE_INSTALL_LIBDIR}/cmake/s2a COMPONENT dev)
