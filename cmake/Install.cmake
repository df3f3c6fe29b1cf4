# The installed tree: libverso.a (the rooms base … api, merged), include/verso, the binary, a CMake
# package and a pkg-config file. tests/packaging builds consumers against it.
#
#   lib/libverso.a   lib/libverso-agent.so   include/verso/{verso.hpp,verso.h}   bin/verso
#   lib/cmake/Verso/VersoConfig.cmake   lib/pkgconfig/verso.pc
include(CMakePackageConfigHelpers)

set(objects)
foreach(room base abi kernel linux engine api)
    get_target_property(type verso_${room} TYPE)
    if(type STREQUAL "STATIC_LIBRARY")
        list(APPEND objects $<TARGET_OBJECTS:verso_${room}>)
    endif()
endforeach()

add_library(verso_library STATIC ${objects})
set_target_properties(verso_library PROPERTIES
    OUTPUT_NAME verso EXPORT_NAME verso LINKER_LANGUAGE CXX)
target_compile_features(verso_library INTERFACE cxx_std_20)
target_include_directories(verso_library INTERFACE
    $<BUILD_INTERFACE:${PROJECT_SOURCE_DIR}/include> $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)
target_link_libraries(verso_library PUBLIC fmt::fmt tl::expected Threads::Threads)
if(VERSO_SANITIZE)
    target_link_options(verso_library INTERFACE -fsanitize=${VERSO_SANITIZE})
endif()

install(TARGETS verso_library EXPORT VersoTargets ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR})
install(TARGETS verso RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
install(DIRECTORY include/verso DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})

# What is installed, without tests and benchmarks: a third of the whole build.
add_custom_target(product DEPENDS verso verso_agent verso_library)

set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/Verso)
install(EXPORT VersoTargets NAMESPACE Verso:: DESTINATION ${package_dir})
configure_package_config_file(cmake/VersoConfig.cmake.in VersoConfig.cmake
    INSTALL_DESTINATION ${package_dir})
write_basic_package_version_file(VersoConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/VersoConfig.cmake
    ${PROJECT_BINARY_DIR}/VersoConfigVersion.cmake DESTINATION ${package_dir})

# The .pc file finds its prefix from where it lies, so the tree may be moved.
file(RELATIVE_PATH pkgconfig_to_prefix /${CMAKE_INSTALL_LIBDIR}/pkgconfig /)
configure_file(cmake/verso.pc.in verso.pc @ONLY)
install(FILES ${PROJECT_BINARY_DIR}/verso.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
