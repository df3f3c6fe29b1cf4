# How everything of ours is compiled: one INTERFACE target, verso_flags, that every target links.
add_library(verso_flags INTERFACE)

target_compile_options(verso_flags INTERFACE
    -Wall -Wextra -Wconversion -Wshadow -Wparentheses -Wswitch-enum)
if(VERSO_WERROR)
    target_compile_options(verso_flags INTERFACE -Werror)
endif()

if(VERSO_SANITIZE)
    # A report must fail the test that provoked it: no recovery.
    target_compile_options(verso_flags INTERFACE
        -fsanitize=${VERSO_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer)
    target_link_options(verso_flags INTERFACE -fsanitize=${VERSO_SANITIZE})
    # What a sanitizer adds to the code makes g++ believe that the standard library reads what it never set.
    if(CMAKE_CXX_COMPILER_ID STREQUAL GNU)
        target_compile_options(verso_flags INTERFACE -Wno-maybe-uninitialized)
    endif()
endif()
