# Every dependency of the project, here and nowhere else. All come from Debian 12; a missing one stops
# the configuration and names its package (scripts/install-packages installs them all).
#
#   verso_need(<cmake package> <Debian package> <target it must give>)

function(verso_need package debian target)
    find_package(${package} QUIET)
    if(NOT TARGET ${target})
        message(FATAL_ERROR
            "${package} was not found. On Debian:  apt-get install ${debian}\n"
            "or let scripts/install-packages install everything that Verso needs.")
    endif()
endfunction()

set(THREADS_PREFER_PTHREAD_FLAG ON)
find_package(Threads REQUIRED)

# the library
verso_need(fmt            libfmt-dev           fmt::fmt)
verso_need(tl-expected    libexpected-dev      tl::expected)
# the program
verso_need(CLI11          libcli11-dev         CLI11::CLI11)
verso_need(nlohmann_json  nlohmann-json3-dev   nlohmann_json::nlohmann_json)
verso_need(SQLite3        libsqlite3-dev       SQLite::SQLite3)
find_path(VERSO_XXHASH_HEADERS xxhash.h)  # used inlined: a header without a CMake package
if(NOT VERSO_XXHASH_HEADERS)
    message(FATAL_ERROR "xxhash.h was not found. On Debian:  apt-get install libxxhash-dev")
endif()
# the tests and the benchmarks
if(BUILD_TESTING)
    verso_need(GTest      "libgtest-dev libgmock-dev"  GTest::gmock)
    verso_need(rapidcheck librapidcheck-dev            rapidcheck)
    verso_need(PNG        libpng-dev                   PNG::PNG)  # screenshots are looked at
endif()
if(VERSO_BENCH)
    verso_need(benchmark  libbenchmark-dev     benchmark::benchmark)
endif()

# Optional: only makes rebuilding faster.
find_program(VERSO_CCACHE ccache)
if(VERSO_CCACHE AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
    set(CMAKE_CXX_COMPILER_LAUNCHER ${VERSO_CCACHE})
    set(CMAKE_C_COMPILER_LAUNCHER ${VERSO_CCACHE})
endif()
