# Planted bugs: for each tests/swarm/planted/NAME.patch a program planted_NAME, linked with an engine of
# which the patched file is a mutant. A file that is given to the linker is found before its like in
# the library, so only that one is compiled again. Target `planted` makes all of them, and nothing else
# does.
find_program(VERSO_PATCH patch)
file(GLOB patches CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/tests/swarm/planted/*.patch)
add_library(verso_hunt OBJECT EXCLUDE_FROM_ALL ${PROJECT_SOURCE_DIR}/tests/swarm/planted/hunt.cc)
target_link_libraries(verso_hunt PRIVATE verso_check verso_flags)
if(NOT VERSO_PATCH)
    add_custom_target(planted COMMAND ${CMAKE_COMMAND} -E echo "patch is missing: apt-get install patch"
        COMMAND ${CMAKE_COMMAND} -E false VERBATIM)
    return()
endif()
add_custom_target(planted)
foreach(patch ${patches})
    get_filename_component(name ${patch} NAME_WE)
    file(STRINGS ${patch} old REGEX "^--- a/")
    string(REPLACE "--- a/" "" source "${old}")
    get_filename_component(folder ${source} DIRECTORY)
    set(mutant ${PROJECT_BINARY_DIR}/planted/${name}.cc)
    add_custom_command(OUTPUT ${mutant}
        COMMAND ${VERSO_PATCH} --silent --output=${mutant} ${PROJECT_SOURCE_DIR}/${source} ${patch}
        DEPENDS ${patch} ${PROJECT_SOURCE_DIR}/${source} VERBATIM)
    set_source_files_properties(${mutant} PROPERTIES COMPILE_OPTIONS -Wno-error)  # unused now, and so on
    add_executable(planted_${name} EXCLUDE_FROM_ALL ${mutant} $<TARGET_OBJECTS:verso_hunt>)
    target_link_libraries(planted_${name} PRIVATE verso_check verso_flags)
    target_include_directories(planted_${name} PRIVATE ${PROJECT_SOURCE_DIR}/${folder})
    add_dependencies(planted planted_${name})
endforeach()
