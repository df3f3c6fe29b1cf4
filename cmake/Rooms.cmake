# verso_room(<name> USES <targets…>): the room src/<name>/ as the target verso_<name>.
#
# A room is a static library of its own, so that a target which links a room gets that room and those to
# the left of it, and nothing else. The installed library is made of the same objects (Install.cmake).
# A room that has only headers so far is an INTERFACE target; it turns into a library by itself when its
# first .cc appears. src/cli/main.cc belongs to the executable, not to the room, so that tests can link it.
add_library(verso_headers INTERFACE)
target_include_directories(verso_headers INTERFACE
    ${PROJECT_SOURCE_DIR}/src ${PROJECT_SOURCE_DIR}/include)

function(verso_room name)
    cmake_parse_arguments(PARSE_ARGV 1 room "" "" "USES")
    file(GLOB_RECURSE sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/src/${name}/*.cc)
    list(REMOVE_ITEM sources ${PROJECT_SOURCE_DIR}/src/cli/main.cc)
    list(FILTER sources EXCLUDE REGEX /src/vm/agent/)  # goes into QEMU, never into a program of ours
    set(target verso_${name})
    if(sources)
        add_library(${target} STATIC ${sources})
        target_link_libraries(${target} PUBLIC ${room_USES} PRIVATE verso_flags)
    else()
        add_library(${target} INTERFACE)
        target_link_libraries(${target} INTERFACE ${room_USES})
    endif()
endfunction()
