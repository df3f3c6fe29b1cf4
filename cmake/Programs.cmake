# What is neither product nor test: bench/*.cc → verso_micro, bench/against → verso_against,
# bench/mutants → verso_mutants,
# examples/*.{cc,c} → example_<name>,
# fuzz/*.cc → fuzz_<name> (libFuzzer; only in the fuzz preset; together: target `fuzzers`).
if(VERSO_BENCH)
    file(GLOB sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/bench/*.cc)
    if(sources)
        # bench/guest_store.cc times the guests that tests/vm holds to their promises.
        add_executable(verso_micro ${sources} ${PROJECT_SOURCE_DIR}/tests/vm/kvm_guest.cc)
        target_include_directories(verso_micro PRIVATE ${PROJECT_SOURCE_DIR}/tests)
        target_link_libraries(verso_micro PRIVATE
            verso_cli verso_mm benchmark::benchmark benchmark::benchmark_main verso_flags)
    endif()
    # What other checkers are compared with (bench/against/spin runs both).
    add_executable(verso_against ${PROJECT_SOURCE_DIR}/bench/against/explore_toy.cc)
    target_link_libraries(verso_against PRIVATE verso_check verso_flags)
    target_include_directories(verso_against PRIVATE ${PROJECT_SOURCE_DIR}/bench)
    # Mutants of the model (scripts/mutate builds it over a copy of src/mm that has them).
    file(GLOB sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/bench/mutants/*.cc)
    add_executable(verso_mutants ${sources})
    target_link_libraries(verso_mutants PRIVATE verso_check verso_flags)
    target_include_directories(verso_mutants PRIVATE ${PROJECT_SOURCE_DIR}/bench)
endif()

# Examples see what an application sees: the merged library and include/verso, nothing of src/.
file(GLOB sources CONFIGURE_DEPENDS
    ${PROJECT_SOURCE_DIR}/examples/*.cc ${PROJECT_SOURCE_DIR}/examples/*.c)
foreach(source ${sources})
    get_filename_component(name ${source} NAME_WE)
    add_executable(example_${name} ${source})
    target_link_libraries(example_${name} PRIVATE verso_library verso_flags)
    set_target_properties(example_${name} PROPERTIES LINKER_LANGUAGE CXX)
    if(BUILD_TESTING)
        add_test(NAME examples.${name} COMMAND example_${name})
        set_tests_properties(examples.${name} PROPERTIES
            TIMEOUT ${seconds_max} LABELS examples ${environment})
    endif()
endforeach()

if(VERSO_FUZZ)
    file(GLOB sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/fuzz/*.cc)
    add_custom_target(fuzzers)  # all of them, and nothing else
    foreach(source ${sources})
        get_filename_component(name ${source} NAME_WE)
        add_executable(fuzz_${name} ${source})
        add_dependencies(fuzzers fuzz_${name})
        target_link_libraries(fuzz_${name} PRIVATE verso_api verso_mm verso_flags)
        target_link_options(fuzz_${name} PRIVATE -fsanitize=fuzzer)
    endforeach()
endif()
