// A scan that fails may have armed pages all the same, and name them to nobody: PAGEMAP_SCAN of
// 6.18 does so where it comes to a mapping that is not tracked (docs/findings.md). Found by random
// programs, not in a rival.
#include "hazards/hooked.h"

namespace verso::test {
namespace {

using kernel::Call;
using kernel::Op;
using kernel::ScanFlag;

TEST(FailedScanArms, WhatAFailedScanArmedAndDidNotNameCountsAsWritten) {
    VERSO_NEEDS_USERFAULTFD();
    Hooked hooked;
    if (!hooked.kernel.abilities().wp_async || !hooked.kernel.abilities().pagemap_scan) {
        GTEST_SKIP() << "no asynchronous tracking here: it came with Linux 6.7";
    }
    Result<Region> region = hooked.create(8, Tracking::pages);
    VERSO_ASSERT_OK(region);
    const Result<Written> all = region->written(Mark{});
    VERSO_ASSERT_OK(all);
    region->bytes()[to_bytes(3)] = std::byte{7};
    hooked.kernel.set_hook([&](const Call& call) {
        if (call.op == Op::pagemap_scan) {  // it arms, and what it found is thrown away
            std::array<kernel::Run, 8> runs;
            ASSERT_EQ(hooked.host.perform(call, {.runs = runs}).value, 1);
        }
    });
    hooked.kernel.fail(
        {.outcome = {kernel::Verdict::denied, EPERM, 0, 0}, .only = Op::pagemap_scan});
    EXPECT_FALSE(region->written(all->mark).has_value());
    ASSERT_EQ(hooked.kernel.delivered(), 1U);
    hooked.kernel.set_hook({});
    const Result<Written> next = region->written(all->mark);
    VERSO_ASSERT_OK(next);
    const bool named = std::ranges::any_of(next->ranges, [](const auto& range) {
        return range.first <= 3 && 3 < range.first + range.count;
    });
    EXPECT_TRUE(named) << "page 3 was written, and nobody will ever hear of it";
}

}  // namespace
}  // namespace verso::test
