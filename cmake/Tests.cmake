# One GoogleTest binary per folder of tests/: tests/base/*.cc → test_base, its tests are base.Suite.Name.
# tests/support/ is a small library that all of them link. A folder needs no CMakeLists of its own.
#
# Tests are discovered when ctest starts, not when they are built: a binary that cannot start is a failed
# test, never a failed build. A skipped test prints its reason; scripts/test lists them all at the end.
include(GoogleTest)

# Folders that need the machine to themselves: they change kernel settings, add a swap file, compact all
# memory, measure, or build things.
set(serial_folders behaviour claims cli conform hazards linux litmus packaging torture vm)
# Rooms whose tests link that room and nothing to the right of it: it stands alone.
set(alone_folders base abi kernel mm check)
# Programs that try a kernel out: they need that room, the model and the running kernel.
set(check_folders behaviour claims conform explain explore litmus swarm torture)
# Folders that look at the project from outside (its text, its installed tree, its program).
set(outside_folders house packaging)
set(program_folders cli demo packaging vm)

file(GLOB support CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/tests/support/*.cc)
if(support)
    add_library(verso_test_support STATIC ${support})
    target_link_libraries(verso_test_support
        PUBLIC verso_api GTest::gmock Threads::Threads PRIVATE verso_flags)
    target_include_directories(verso_test_support PUBLIC ${PROJECT_SOURCE_DIR}/tests)
else()
    add_library(verso_test_support INTERFACE)
    target_link_libraries(verso_test_support INTERFACE verso_api GTest::gmock Threads::Threads)
    target_include_directories(verso_test_support INTERFACE ${PROJECT_SOURCE_DIR}/tests)
endif()

# What the tests may know of the build they are part of.
add_library(verso_test_facts INTERFACE)
target_compile_definitions(verso_test_facts INTERFACE
    VERSO_SOURCE_DIR="${PROJECT_SOURCE_DIR}" VERSO_BINARY_DIR="${PROJECT_BINARY_DIR}"
    VERSO_CXX="${CMAKE_CXX_COMPILER}" VERSO_C="${CMAKE_C_COMPILER}" VERSO_CMAKE="${CMAKE_COMMAND}"
    VERSO_SANITIZE="${VERSO_SANITIZE}" VERSO_VERSION="${PROJECT_VERSION}")

# A sanitizer's report must fail the test, and what it instruments is up to ten times slower.
# ThreadSanitizer's own deadlock detector gives up at 64 locks held by one thread, which is what the engine
# holds while it arms (src/engine/stripes.h), so it is off.
set(environment)
set(seconds_max 120)
if(VERSO_SANITIZE)
    set(seconds_max 600)
    # clang's sanitizers look for a symbolizer without Debian's version in its name, and suppressions are
    # matched by name. g++'s sanitizers bring their own.
    find_program(VERSO_SYMBOLIZER NAMES llvm-symbolizer-16 llvm-symbolizer)
    set(symbolizer)
    if(VERSO_SYMBOLIZER AND CMAKE_CXX_COMPILER_ID MATCHES Clang)
        set(symbolizer :external_symbolizer_path=${VERSO_SYMBOLIZER})
    endif()
    if(VERSO_SANITIZE MATCHES address)
        set(environment ENVIRONMENT
            ASAN_OPTIONS=abort_on_error=1:detect_stack_use_after_return=1${symbolizer})
    elseif(VERSO_SANITIZE MATCHES thread)
        set(suppressions ${PROJECT_SOURCE_DIR}/tests/tsan.supp)
        set(environment ENVIRONMENT
            TSAN_OPTIONS=halt_on_error=1:detect_deadlocks=0:suppressions=${suppressions}${symbolizer})
    endif()
endif()

# What nearly every test includes, compiled once: a quarter of the time that building all tests takes. The
# headers of the project are not in it, and each of them still has to include what it needs
# (tests/house/headers_test.cc). A program, never linked, because GCC takes a precompiled header only with the
# very options it was made with, -fPIE among them. ccache wants to be told that macros do not change it.
set(precompiled FALSE)
if(CMAKE_CXX_COMPILER_ID STREQUAL GNU AND NOT VERSO_SANITIZE)
    set(precompiled TRUE)
    set(launcher)
    if(VERSO_CCACHE)
        set(launcher
            ${CMAKE_COMMAND} -E env CCACHE_SLOPPINESS=pch_defines,time_macros ${VERSO_CCACHE})
    endif()
    file(WRITE ${PROJECT_BINARY_DIR}/precompiled.cc "int main() {}\n")
    add_executable(verso_test_precompiled EXCLUDE_FROM_ALL ${PROJECT_BINARY_DIR}/precompiled.cc)
    target_link_libraries(verso_test_precompiled PRIVATE
        verso_test_facts fmt::fmt rapidcheck GTest::gmock GTest::gmock_main verso_flags)
    target_precompile_headers(verso_test_precompiled PRIVATE
        <algorithm> <functional> <map> <memory> <optional> <set> <string> <thread> <vector>
        <fmt/core.h> <gtest/gtest.h>)
    set_target_properties(verso_test_precompiled PROPERTIES CXX_COMPILER_LAUNCHER "${launcher}")
endif()

function(verso_test_folder folder)
    file(GLOB sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/tests/${folder}/*.cc)
    if(NOT sources)
        return()
    endif()
    set(target test_${folder})
    add_executable(${target} ${sources})
    target_link_libraries(${target} PRIVATE
        verso_test_facts fmt::fmt rapidcheck GTest::gmock GTest::gmock_main verso_flags)
    target_include_directories(${target} PRIVATE
        ${PROJECT_SOURCE_DIR}/tests ${PROJECT_SOURCE_DIR}/bench)
    if(precompiled)
        target_precompile_headers(${target} REUSE_FROM verso_test_precompiled)
        set_target_properties(${target} PROPERTIES CXX_COMPILER_LAUNCHER "${launcher}")
    endif()
    if(folder IN_LIST alone_folders)
        target_link_libraries(${target} PRIVATE verso_${folder})
    elseif(folder IN_LIST check_folders)
        target_link_libraries(${target} PRIVATE verso_check)
    elseif(folder STREQUAL sim)  # the engine on the model: no Linux room is linked
        target_link_libraries(${target} PRIVATE verso_mm verso_engine)
    elseif(NOT folder IN_LIST outside_folders)
        target_link_libraries(${target} PRIVATE verso_cli verso_test_support)
    endif()
    if(folder STREQUAL claims)  # one of them is about the engine itself
        target_link_libraries(${target} PRIVATE verso_engine)
    endif()
    if(folder IN_LIST program_folders)
        add_dependencies(${target} verso verso_library)
    endif()
    if(folder STREQUAL explain)  # and the pages that a browser draws
        target_link_libraries(${target} PRIVATE PNG::PNG)
        add_dependencies(${target} verso)
    endif()
    set(serial FALSE)
    if(folder IN_LIST serial_folders)
        set(serial TRUE)
    endif()
    # Tests of such a folder that need only time, and may run beside others.
    if(folder STREQUAL litmus)
        set(beside *IsJudgedByTheModel*)
    elseif(folder STREQUAL vm)  # of a bench it is asked whether there are figures, not which
        set(beside Guests.*:HeldUp.*:KilledVerbs.*:BenchVm.*)
    else()
        set(beside)
    endif()
    set(seconds ${seconds_max})
    if(folder STREQUAL vm)  # each boots a guest, without KVM
        set(seconds 600)
    endif()
    set(how TEST_PREFIX ${folder}. NO_PRETTY_VALUES DISCOVERY_MODE PRE_TEST DISCOVERY_TIMEOUT 120)
    set(properties TIMEOUT ${seconds} LABELS ${folder} ${environment})
    if(beside)
        gtest_discover_tests(${target} ${how} TEST_FILTER ${beside} TEST_LIST ${folder}_beside
            PROPERTIES ${properties} RUN_SERIAL FALSE)
        set(how ${how} TEST_FILTER -${beside})
    endif()
    gtest_discover_tests(${target} ${how} PROPERTIES ${properties} RUN_SERIAL ${serial})
endfunction()

file(GLOB folders CONFIGURE_DEPENDS LIST_DIRECTORIES true
    RELATIVE ${PROJECT_SOURCE_DIR}/tests ${PROJECT_SOURCE_DIR}/tests/*)
list(REMOVE_ITEM folders support)
foreach(folder ${folders})
    if(IS_DIRECTORY ${PROJECT_SOURCE_DIR}/tests/${folder})
        verso_test_folder(${folder})
    endif()
endforeach()
