// The page locks: which pages share one, and that all of them is all of them.
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "engine/stripes.h"
#include "linux/linux_kernel.h"

namespace verso::engine {
namespace {

/// Takes the stripe of `page` on another thread. Only for free stripes: else it never returns.
bool can_take(Stripes& stripes, u64 page) {
    bool taken = false;
    std::thread other([&] {
        const Stripes::One held(stripes, page);
        taken = true;
    });
    other.join();
    return taken;
}

TEST(Stripes, PagesOfOneChunkShareALock) {
    EXPECT_EQ(Stripes::chunk_of(0), Stripes::chunk_of(Stripes::chunk_pages - 1));
    EXPECT_NE(Stripes::chunk_of(0), Stripes::chunk_of(Stripes::chunk_pages));
}

TEST(Stripes, NeighbouringChunksDoNotWaitForEachOther) {
    Stripes stripes(host::linux_kernel());
    const Stripes::One held(stripes, 0);
    EXPECT_TRUE(can_take(stripes, Stripes::chunk_pages));
}

TEST(Stripes, ACountIsExactUnderOneLock) {
    Stripes stripes(host::linux_kernel());
    int sum = 0;
    std::vector<std::thread> threads;
    for (int t = 0; t < 4; ++t) {
        threads.emplace_back([&] {
            for (int i = 0; i < 1000; ++i) {
                const Stripes::One held(stripes, 7);
                ++sum;
            }
        });
    }
    for (int i = 0; i < 100; ++i) {
        const Stripes::All held(stripes);
        ++sum;
    }
    for (std::thread& each : threads) {
        each.join();
    }
    EXPECT_EQ(sum, 4100);
}

}  // namespace
}  // namespace verso::engine
