# The packages that `cpack` makes: s2a_*.deb (tool, library, service), libs2a-dev_*.deb (to compile against
# the library), and a tarball that runs anywhere. scripts/package-tree.sh turns the installed files into
# the content of each. `make dist` runs all this with the preset `package`.
set(CPACK_GENERATOR DEB TGZ)
set(CPACK_PACKAGE_NAME s2a)
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "System 2 Attention for any language model")
set(CPACK_PACKAGE_VENDOR "the s2a authors")
set(CPACK_PACKAGE_CONTACT "The s2a authors <s2a@s2a.invalid>")
set(CPACK_PACKAGE_FILE_NAME s2a-${PROJECT_VERSION}-linux-${CMAKE_SYSTEM_PROCESSOR})
set(CPACK_STRIP_FILES ON)
set(CPACK_COMPONENTS_ALL runtime dev)
set(CPACK_PRE_BUILD_SCRIPTS ${CMAKE_CURRENT_LIST_DIR}/s2a_package_tree.cmake)

set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_RELEASE 1)
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
set(CPACK_DEBIAN_COMPRESSION_TYPE xz)

set(CPACK_DEBIAN_RUNTIME_PACKAGE_NAME s2a)
set(CPACK_DEBIAN_RUNTIME_PACKAGE_SECTION utils)
set(CPACK_DEBIAN_RUNTIME_DESCRIPTION "System 2 Attention takes two steps. First a language model regenerates the
prompt without opinions and irrelevant sentences; then it answers from the new
prompt alone.
.
This package has the tool s2a, the shared library libs2a, a systemd service
(not enabled), and private copies of libllama and ggml, which run GGUF models
on the CPU. It has no model: s2a pull fetches one.")
set(CPACK_DEBIAN_RUNTIME_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_RUNTIME_PACKAGE_RECOMMENDS ca-certificates)
set(CPACK_DEBIAN_RUNTIME_PACKAGE_SUGGESTS python3-pip)
set(CPACK_DEBIAN_RUNTIME_PACKAGE_CONTROL_EXTRA postinst prerm postrm shlibs triggers)
list(TRANSFORM CPACK_DEBIAN_RUNTIME_PACKAGE_CONTROL_EXTRA PREPEND ${CMAKE_CURRENT_SOURCE_DIR}/packaging/debian/)

set(CPACK_DEBIAN_DEV_PACKAGE_NAME libs2a-dev)
set(CPACK_DEBIAN_DEV_PACKAGE_SECTION libdevel)
set(CPACK_DEBIAN_DEV_DESCRIPTION "The header, the static library, and what pkg-config and CMake need to compile a
program against libs2a, the library of System 2 Attention.")
set(CPACK_DEBIAN_DEV_PACKAGE_DEPENDS "s2a (= ${PROJECT_VERSION}-${CPACK_DEBIAN_PACKAGE_RELEASE})")
set(CPACK_DEBIAN_DEV_PACKAGE_SUGGESTS
    "libcurl4-openssl-dev, libjansson-dev, libicu-dev, libssl-dev, liblinear-dev")

include(CPack)
