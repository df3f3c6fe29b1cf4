// A fork of a fork: what the child only inherited is passed on from the root, as the root's own
// page; what the child owns or has overwritten is the child's.
#include <gtest/gtest.h>

#include "support/backends.h"

namespace verso::test {
namespace {

constexpr u64 seed = 23;
constexpr u64 pages = 1'300;  // chunks of 512, the last one short

class PassingOn : public testing::Test {
protected:
    void SetUp() override {
        if (!process_runtime().kernel().abilities().minor_shmem) {
            GTEST_SKIP() << "no userfaultfd for shared memory here; mprotect children copy";
        }
        root_ = std::make_unique<Region>(*Region::create({.size = to_bytes(pages)}));
        write_all(root_->bytes(), seed, 0);
        roots_moment_ = std::make_unique<Snapshot>(*root_->snapshot());
        child_ = std::make_unique<Region>(*roots_moment_->fork("child"));
    }
    /// Forks the child as it is now.
    Region grandchild() {
        childs_moment_ = std::make_unique<Snapshot>(*child_->snapshot());
        return *childs_moment_->fork("grandchild");
    }
    static u64 wrong(const Region& region, u64 version) {
        return pages - tally(region.bytes(), seed, version).right;
    }

    std::unique_ptr<Region> root_;
    std::unique_ptr<Snapshot> roots_moment_;
    std::unique_ptr<Region> child_;
    std::unique_ptr<Snapshot> childs_moment_;
};

TEST_F(PassingOn, AGrandchildThatReadsEverythingTakesNoMemoryFromAnybody) {
    const u64 live_before = root_->memory()->live_bytes;
    const Region grandchild = PassingOn::grandchild();
    EXPECT_EQ(wrong(grandchild, 0), 0U);
    EXPECT_EQ(root_->memory()->live_bytes, live_before);
    EXPECT_EQ(root_->memory()->frozen_bytes, 0U);
    EXPECT_EQ(child_->memory()->frozen_bytes, 0U);
    EXPECT_EQ(grandchild.memory()->private_bytes, 0U);
}

TEST_F(PassingOn, ThePagesTheChildOwnsAreItsOwnVersionAndTheirNeighboursTheRoots) {
    for (u64 page = 3; page < 100; page += 7) {
        write_page(child_->bytes(), seed, page, 1);
    }
    const Region grandchild = PassingOn::grandchild();
    for (u64 page = 0; page < pages; ++page) {
        const bool own = page >= 3 && page < 100 && (page - 3) % 7 == 0;
        Page seen;
        ASSERT_TRUE(load_page(grandchild.bytes().data() + to_bytes(page), seen));
        EXPECT_EQ(seen, page_of(seed, page, own ? 1 : 0)) << "page " << page;
    }
}

TEST_F(PassingOn, WhatTheChildWritesAfterwardsStaysWithTheChild) {
    const Region grandchild = PassingOn::grandchild();
    for (u64 page = 0; page < pages; page += 5) {
        write_page(child_->bytes(), seed, page, 2);
    }
    EXPECT_EQ(wrong(grandchild, 0), 0U);
}

TEST_F(PassingOn, TheRootTakesItsPagesBackFromTheGrandchildToo) {
    const Region grandchild = PassingOn::grandchild();
    EXPECT_EQ(wrong(grandchild, 0), 0U);  // every page of the root is mapped there now
    write_all(root_->bytes(), seed, 3);
    EXPECT_EQ(wrong(grandchild, 0), 0U);
    EXPECT_EQ(wrong(*child_, 0), 0U);
    EXPECT_EQ(wrong(*root_, 3), 0U);
}

TEST_F(PassingOn, AGrandchildsWritesAreSeenByNobodyElse) {
    const Region grandchild = PassingOn::grandchild();
    write_all(grandchild.bytes(), seed, 4);
    EXPECT_EQ(wrong(*child_, 0), 0U);
    EXPECT_EQ(wrong(*root_, 0), 0U);
    EXPECT_EQ(wrong(grandchild, 4), 0U);
}

TEST_F(PassingOn, TheGrandchildKeepsAllWhenEveryAncestorsHandleIsGone) {
    const Region grandchild = PassingOn::grandchild();
    child_.reset();
    childs_moment_.reset();
    roots_moment_.reset();
    write_all(root_->bytes(), seed, 5);
    root_.reset();
    EXPECT_EQ(wrong(grandchild, 0), 0U);
}

TEST_F(PassingOn, ZeroesTheChildWroteAreZeroesAndNotTheRootsPage) {
    const Page zeroes{};
    std::memcpy(child_->bytes().data() + to_bytes(9), zeroes.data(), page_size);
    const Region grandchild = PassingOn::grandchild();
    Page seen;
    ASSERT_TRUE(load_page(grandchild.bytes().data() + to_bytes(9), seen));
    EXPECT_EQ(seen, zeroes);
}

}  // namespace
}  // namespace verso::test
