// Moving a chunk where the kernel says no for good: the child reads and writes the same.
#include <gtest/gtest.h>

#include "engine/region.h"
#include "kernel/failing_kernel.h"
#include "linux/linux_kernel.h"
#include "support/contents.h"

namespace verso::engine {
namespace {

constexpr u64 pages = 600;
constexpr u64 seed = 5;

bool shows(std::span<const std::byte> bytes, u64 version) {
    return test::tally(bytes, seed, version).right == pages;
}

/// A child that is refused one kind of call as long as it reads; afterwards it becomes a source.
void read_although(kernel::Op op, const kernel::Outcome& outcome) {
    kernel::FailingKernel kernel{host::linux_kernel()};
    Runtime runtime(kernel);
    RegionOptions options;
    options.size = to_bytes(pages);
    const auto source = Region::create(runtime, options).value();
    test::write_all(source->bytes(), seed, 0);
    const auto moment = source->snapshot().value();
    const auto child = moment->fork("child").value();
    test::write_all(source->bytes(), seed, 1);
    kernel.fail({.nth = 1, .outcome = outcome, .only = op, .times = 1'000'000});
    EXPECT_TRUE(shows(child->bytes(), 0));
    EXPECT_GT(kernel.delivered(), 0U) << "nothing moved";
    kernel.stop_failing();
    test::write_page(child->bytes(), seed, 7, 3);
    const auto later = child->snapshot();
    ASSERT_TRUE(later.has_value()) << later.error().message;
    test::write_page(child->bytes(), seed, 7, 0);
    test::write_page(child->bytes(), seed, 8, 4);
    const std::span<const std::byte> view = (*later)->bytes().value();
    test::Page seen;
    ASSERT_TRUE(test::load_page(view.data() + to_bytes(7), seen));
    EXPECT_EQ(seen, test::page_of(seed, 7, 3));
    EXPECT_EQ(test::tally(view, seed, 0).right, pages - 1) << "one that was written before";
    EXPECT_EQ(child->damage(), "");
}

class Move : public testing::Test {
protected:
    void SetUp() override {
        const kernel::Abilities& can = host::linux_kernel().abilities();
        if (!can.write_protect_shmem || !can.minor_shmem || can.user_mode_only) {
            GTEST_SKIP() << "no live children here. " << can.why_no_userfaultfd;
        }
    }
};

TEST_F(Move, AChunkThatCannotBeMappedIsCopied) {
    read_although(kernel::Op::map, {kernel::Verdict::no_memory, ENOMEM, 0, 0});
}

TEST_F(Move, AChunkThatCannotBeRegisteredIsRegisteredWhenItsChildBecomesASource) {
    read_although(kernel::Op::uffd_register, {kernel::Verdict::no_memory, ENOMEM, 0, 0});
}

TEST_F(Move, AChunkThatCannotBeProtectedIsCopied) {
    read_although(kernel::Op::uffd_write_protect, {kernel::Verdict::no_memory, ENOMEM, 0, 0});
}

TEST_F(Move, AChunkWhosePageMapCannotBeReadIsCopied) {
    read_although(kernel::Op::pagemap_read, {kernel::Verdict::denied, EPERM, 0, 0});
}

}  // namespace
}  // namespace verso::engine
