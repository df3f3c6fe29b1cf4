# libverso-agent.so: what `verso vm` preloads into QEMU (src/vm/agent). It lies beside the program in a build
# tree, and in the library folder once installed; the program looks in both places.
add_library(verso_agent SHARED ${PROJECT_SOURCE_DIR}/src/vm/agent/agent.cc)
set(exports ${PROJECT_SOURCE_DIR}/src/vm/agent/exports.map)
set_target_properties(verso_agent PROPERTIES
    OUTPUT_NAME verso-agent LIBRARY_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR} LINK_DEPENDS ${exports})
target_link_libraries(verso_agent PRIVATE verso_vm verso_flags)
# Its own symbols stay its own: QEMU sees the calls that it stands in front of, and nothing else.
target_link_options(verso_agent PRIVATE -Wl,--version-script=${exports})
add_dependencies(verso verso_agent)
file(RELATIVE_PATH bin_to_lib /${CMAKE_INSTALL_BINDIR} /${CMAKE_INSTALL_LIBDIR})
set_source_files_properties(${PROJECT_SOURCE_DIR}/src/vm/machine.cc PROPERTIES
    COMPILE_DEFINITIONS VERSO_BIN_TO_LIB="${bin_to_lib}")
install(TARGETS verso_agent LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
