// Children that were forked before their source rewrote everything share the layer's pages.
#include <fstream>
#include <optional>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "support/contents.h"
#include "support/needs.h"
#include "support/peer.h"

namespace verso::test {
namespace {

constexpr u64 seed = 31;
constexpr u64 pages = 1'300;  // two chunks of 512 and a short one
constexpr u64 few_bytes = to_bytes(pages) / 8;

/// A region at version 0, its snapshot and two forks of that; then the source is at version 1.
class Move : public testing::Test {
protected:
    void SetUp() override {
        VERSO_NEEDS_LIVE_CHILDREN();
        Result<Region> source =
            Region::create({.size = to_bytes(pages), .backend = Backend::userfaultfd});
        ASSERT_TRUE(source.has_value()) << source.error().message;
        source_ = std::move(*source);
        write_all(source_->bytes(), seed, 0);
        Result<Snapshot> moment = source_->snapshot();
        ASSERT_TRUE(moment.has_value()) << moment.error().message;
        moment_ = std::move(*moment);
        for (std::optional<Region>* each : {&child_, &sibling_}) {
            Result<Region> forked = moment_->fork();
            ASSERT_TRUE(forked.has_value()) << forked.error().message;
            *each = std::move(*forked);
        }
    }
    void rewrite() { write_all(source_->bytes(), seed, 1); }
    static void expect_version(std::span<const std::byte> bytes, u64 version) {
        const Tally seen = tally(bytes, seed, version);
        EXPECT_EQ(seen.right, to_pages(bytes.size()))
            << seen.wrong << " wrong, " << seen.lost << " lost, first wrong " << seen.first_wrong;
    }
    static u64 private_bytes(const Region& region) {
        const Result<MemoryReport> report = region.memory();
        EXPECT_TRUE(report.has_value()) << report.error().message;
        return report ? report->private_bytes : 0;
    }

    std::optional<Region> source_;
    std::optional<Snapshot> moment_;
    std::optional<Region> child_;
    std::optional<Region> sibling_;
};

TEST_F(Move, ForksAndAViewThatReadAfterTheRewritingHaveNoPagesOfTheirOwn) {
    const auto view = moment_->bytes();  // made before the rewriting, as the forks were
    ASSERT_TRUE(view.has_value()) << view.error().message;
    rewrite();
    expect_version(*view, 0);
    for (const std::optional<Region>* each : {&child_, &sibling_}) {
        expect_version((*each)->bytes(), 0);
        EXPECT_LE(private_bytes(**each), few_bytes);
    }
    const Result<MemoryReport> report = source_->memory();
    ASSERT_TRUE(report.has_value());
    EXPECT_LE(report->frozen_bytes, to_bytes(pages) + few_bytes);
    EXPECT_EQ(child_->damage(), "");
    expect_version(source_->bytes(), 1);
}

TEST_F(Move, PagesThatWereReadBeforeAreSharedAsWell) {
    expect_version(child_->bytes(), 0);
    rewrite();
    expect_version(child_->bytes(), 0);
    EXPECT_LE(private_bytes(*child_), few_bytes);
}

TEST_F(Move, AChunkInWhichTheChildWroteKeepsItsWrites) {
    constexpr u64 written = 3;
    write_page(child_->bytes(), seed, written, 7);
    rewrite();
    Page seen;
    ASSERT_TRUE(load_page(child_->bytes().data() + to_bytes(written), seen));
    EXPECT_EQ(seen, page_of(seed, written, 7));
    EXPECT_EQ(tally(child_->bytes(), seed, 0).right, pages - 1);
    EXPECT_LE(private_bytes(*child_), to_bytes(512)) << "the other chunks have moved";
    expect_version(sibling_->bytes(), 0);
}

TEST_F(Move, WhatIsWrittenAfterwardsIsTheWritersAlone) {
    rewrite();
    expect_version(child_->bytes(), 0);
    write_all(child_->bytes(), seed, 5);
    expect_version(child_->bytes(), 5);
    expect_version(sibling_->bytes(), 0);
    const auto view = moment_->bytes();
    ASSERT_TRUE(view.has_value());
    expect_version(*view, 0);
}

TEST_F(Move, NoStoreIsLostThatMeetsAMove) {
    constexpr unsigned writers = 4;
    constexpr unsigned rounds = 30;
    for (unsigned round = 0; round < rounds && !HasFailure(); ++round) {
        SCOPED_TRACE("round " + std::to_string(round));
        Result<Region> source =
            Region::create({.size = to_bytes(pages), .backend = Backend::userfaultfd});
        ASSERT_TRUE(source.has_value()) << source.error().message;
        write_all(source->bytes(), seed, 0);
        const Result<Snapshot> moment = source->snapshot();
        ASSERT_TRUE(moment.has_value()) << moment.error().message;
        const Result<Region> child = moment->fork();
        ASSERT_TRUE(child.has_value()) << child.error().message;
        if (round % 2 == 0) {
            (void)tally(child->bytes(), seed, 0);  // its pages are there, and taken back
        }
        write_all(source->bytes(), seed, 1);
        std::vector<std::thread> threads;
        for (unsigned writer = 0; writer < writers; ++writer) {  // each its own pages, once
            threads.emplace_back([&, writer] {
                for (u64 i = 0; i < pages; ++i) {
                    const u64 page = (i * 389 + writer * 97) % pages;
                    if (page % (2 * writers) == writer) {
                        write_page(child->bytes(), seed, page, 9);
                    }
                }
            });
        }
        for (std::thread& thread : threads) {
            thread.join();
        }
        for (u64 page = 0; page < pages; ++page) {
            const u64 version = page % (2 * writers) < writers ? 9 : 0;
            Page seen;
            ASSERT_TRUE(load_page(child->bytes().data() + to_bytes(page), seen));
            ASSERT_EQ(seen, page_of(seed, page, version)) << "page " << page;
        }
        EXPECT_EQ(child->damage(), "");
    }
}

TEST_F(Move, AChildWhoseChunksHaveMovedIsASourceLikeAnyOther) {
    rewrite();
    expect_version(child_->bytes(), 0);
    const Result<Snapshot> later = child_->snapshot();
    ASSERT_TRUE(later.has_value()) << later.error().message;
    const Result<Region> grandchild = later->fork();
    ASSERT_TRUE(grandchild.has_value()) << grandchild.error().message;
    write_page(child_->bytes(), seed, 700, 2);
    write_all(source_->bytes(), seed, 3);
    expect_version(grandchild->bytes(), 0);
    const auto view = later->bytes();
    ASSERT_TRUE(view.has_value());
    expect_version(*view, 0);
    const auto rewound = child_->rewind(*later);
    ASSERT_TRUE(rewound.has_value()) << rewound.error().message;
    expect_version(child_->bytes(), 0);
}

TEST_F(Move, AChildThatIsASourceStaysAsItIsAndReadsTheSame) {
    const Result<Snapshot> later = child_->snapshot();
    ASSERT_TRUE(later.has_value()) << later.error().message;
    const Result<Region> grandchild = later->fork();
    ASSERT_TRUE(grandchild.has_value()) << grandchild.error().message;
    rewrite();
    write_page(child_->bytes(), seed, 1, 2);
    expect_version(grandchild->bytes(), 0);
    EXPECT_EQ(tally(child_->bytes(), seed, 0).right, pages - 1);
}

TEST_F(Move, WhatAChildDiscardsIsZeroWhereverItIs) {
    rewrite();
    const auto first = child_->discard({10, 20});
    ASSERT_TRUE(first.has_value()) << first.error().message;
    EXPECT_EQ(tally(child_->bytes(), seed, 0).right, pages - 20);
    expect_version(sibling_->bytes(), 0);
    const auto second = sibling_->discard({600, 5});
    ASSERT_TRUE(second.has_value()) << second.error().message;
    EXPECT_EQ(tally(sibling_->bytes(), seed, 0).right, pages - 5);
}

/// Copies of a file's pages that the process has of its own. (Its heap, or what a sanitizer keeps
/// beside it, is not asked.)
u64 anonymous_bytes(pid_t pid) {
    std::ifstream smaps("/proc/" + std::to_string(pid) + "/smaps");
    u64 bytes = 0;
    bool of_a_memfd = false;
    for (std::string line; std::getline(smaps, line);) {
        if (line.starts_with("Anonymous:") && of_a_memfd) {
            bytes += std::stoull(line.substr(line.find_first_of("0123456789"))) << 10;
        } else if (line.find('-') < line.find(' ')) {  // a mapping's first line: its range
            of_a_memfd = line.find("/memfd:") != std::string::npos;
        }
    }
    return bytes;
}

/// A source that can be killed at its engine's n-th call, and a child of its snapshot elsewhere;
/// the source has been rewritten since.
struct Pair {
    static constexpr u64 never = u64{1} << 60;
    Peer source;
    Peer child;
    u64 child_bytes = 0;  // before it read anything

    void make() {
        ASSERT_TRUE(source.ask({.verb = Verb::die_at, .version = never}).ok);
        ASSERT_TRUE(source.ask({.verb = Verb::create, .pages = pages, .seed = seed}).ok);
        ASSERT_TRUE(source.ask({.verb = Verb::snapshot}).ok);
        const Answer imported = hand_over(source, 0, child, seed);
        ASSERT_TRUE(imported.ok) << imported.error();
        ASSERT_TRUE(source.ask({.verb = Verb::write, .version = 1}).ok);
        child_bytes = anonymous_bytes(child.pid());
    }
};

class MoveElsewhere : public Move {};

TEST_F(MoveElsewhere, AChildInAnotherProcessSharesToo) {
    Pair pair;
    pair.make();
    const Answer seen = pair.child.ask({.verb = Verb::check});
    EXPECT_EQ(seen.right, pages) << seen.wrong << " wrong, " << seen.lost << " lost";
    EXPECT_LE(anonymous_bytes(pair.child.pid()), pair.child_bytes + to_bytes(pages) / 2);
    pair.source.kill();
    // It may not have ended yet when its connection is gone: that is no reason to refuse.
    const Answer armed = pair.child.ask({.verb = Verb::snapshot});
    ASSERT_TRUE(armed.ok) << armed.error();
    ASSERT_TRUE(pair.child.ask({.verb = Verb::write, .version = 4}).ok);
    EXPECT_EQ(pair.child.ask({.verb = Verb::check_snapshot, .seed = seed}).right, pages);
    EXPECT_EQ(pair.child.ask({.verb = Verb::check, .version = 4}).right, pages);
}

TEST_F(MoveElsewhere, TheSourceMayBeKilledAtEveryStepOfIt) {
    for (u64 step = 1;; step += 1 + step / 8) {
        SCOPED_TRACE("killed at call " + std::to_string(step));
        Pair pair;
        pair.make();
        (void)pair.source.ask({.verb = Verb::die_at, .version = step});
        const Answer seen = pair.child.ask({.verb = Verb::check});
        ASSERT_EQ(seen.right, pages)
            << seen.wrong << " wrong, " << seen.lost << " lost, first wrong " << seen.value;
        ASSERT_TRUE(pair.child.ask({.verb = Verb::write, .version = 3}).ok);
        ASSERT_EQ(pair.child.ask({.verb = Verb::check, .version = 3}).right, pages);
        if (pair.source.ask({.verb = Verb::rest}).ok) {  // it outlived all its steps
            break;
        }
    }
}

TEST_F(MoveElsewhere, AChildMayBeKilledInTheMiddle) {
    Random random(8);
    for (unsigned round = 0; round < 10; ++round) {
        Pair pair;
        pair.make();
        Peer other;
        ASSERT_TRUE(hand_over(pair.source, 0, other, seed).ok);
        pair.child.tell({.verb = Verb::check});
        std::this_thread::sleep_for(std::chrono::microseconds(random.below(5'000)));
        pair.child.kill();
        EXPECT_EQ(other.ask({.verb = Verb::check}).right, pages);
        EXPECT_EQ(pair.source.ask({.verb = Verb::check_snapshot, .seed = seed}).right, pages);
    }
}

TEST_F(MoveElsewhere, AGrandchildReadsItsMomentWhoeverHasMoved) {
    Pair pair;
    pair.make();
    Peer grandchild;
    ASSERT_EQ(pair.child.ask({.verb = Verb::check}).right, pages);
    ASSERT_TRUE(pair.child.ask({.verb = Verb::snapshot}).ok);
    const Answer imported = hand_over(pair.child, 0, grandchild, seed);
    ASSERT_TRUE(imported.ok) << imported.error();
    ASSERT_TRUE(pair.child.ask({.verb = Verb::write, .version = 6}).ok);
    ASSERT_TRUE(pair.source.ask({.verb = Verb::write, .version = 2}).ok);
    const Answer seen = grandchild.ask({.verb = Verb::check});
    EXPECT_EQ(seen.right, pages) << seen.wrong << " wrong, " << seen.lost << " lost";
    pair.child.kill();
    EXPECT_EQ(grandchild.ask({.verb = Verb::check}).right, pages);
}

}  // namespace
}  // namespace verso::test
