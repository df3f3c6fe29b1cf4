// The bench starts this very program again as the other process of some rows, so these tests bring
// their own main: it hands the hidden verb over before GoogleTest sees the arguments.
#include <cstring>

#include <gmock/gmock.h>

#include "cli/bench/bench_engine.h"

int main(int argc, char** argv) {
    if (argc > 1 && std::strcmp(argv[1], "bench-child") == 0) {
        return verso::cli::bench_child(argc, argv);
    }
    testing::InitGoogleMock(&argc, argv);
    return RUN_ALL_TESTS();
}
