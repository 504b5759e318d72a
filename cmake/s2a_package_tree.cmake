# Run by cpack when the files of a package are installed and not packed yet: in CPACK_TEMPORARY_DIRECTORY,
# each component in a separate directory for DEB, all in one for TGZ.
set(s2a_tree ${CPACK_TEMPORARY_INSTALL_DIRECTORY})
if(CPACK_GENERATOR STREQUAL "DEB")
    set(s2a_tree ${CPACK_TEMPORARY_DIRECTORY})
endif()
execute_process(COMMAND bash ${CMAKE_CURRENT_LIST_DIR}/../scripts/package-tree.sh ${CPACK_GENERATOR} ${s2a_tree}
    COMMAND_ERROR_IS_FATAL ANY)
