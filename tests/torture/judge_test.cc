// What a judge calls a moment, and what not: memories that were written step by step, and spoilt.
#include <cstring>
#include <vector>

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include "check/torture/judge.h"

namespace verso::check::torture {
namespace {
constexpr u64 pages = 256;

class JudgeTest : public testing::Test {
protected:
    JudgeTest() : words(pages * words_per_page) {
        for (u64 page = 0; page < pages; ++page) {
            put(page, words_of(layout.seed, page, 0, 0), words_per_page);
        }
    }
    void put(u64 page, const Words& from, u64 count) {
        std::memcpy(&words[page * words_per_page], from.data(), count * sizeof(u64));
    }
    /// So many words of the writer's next step.
    void step(unsigned writer, u64 count = words_per_page) {
        const u64 number = done[writer] + 1;
        const u64 page = layout.courses[writer].page_at(number);
        put(page, words_of(layout.seed, page, number, done[1 - writer]), count);
        done[writer] += count == words_per_page ? 1 : 0;
    }
    void run(u64 steps) {
        for (u64 i = 0; i < steps; ++i) {
            step(i % 3 == 0 ? 1 : 0);
        }
    }
    u64& word(u64 page, u64 at) { return words[page * words_per_page + at]; }
    std::span<std::byte> memory() { return std::as_writable_bytes(std::span(words)); }
    Verdict find() { return judge.find(memory(), {done, done}); }

    Layout layout{7, pages};
    std::vector<u64> words;
    Progress done{};
    Judge judge{layout};
};

TEST_F(JudgeTest, EveryMomentBetweenTwoStepsIsRight) {
    for (int moment = 0; moment < 300; ++moment) {
        const Verdict verdict = find();
        ASSERT_TRUE(verdict.holds()) << verdict.first;
        ASSERT_EQ(verdict.right, pages);
        ASSERT_EQ(judge.moment(), done);
        step(static_cast<unsigned>(moment) % 2);
    }
}

TEST_F(JudgeTest, EveryMomentWithinAStepIsRight) {
    run(100);
    const std::vector<u64> before = words;
    for (const u64 count : {1UL, 2UL, 300UL, 509UL, 510UL, 511UL}) {
        words = before;
        step(0, count);
        const Verdict verdict = find();
        EXPECT_TRUE(verdict.holds()) << count << " words: " << verdict.first;
        EXPECT_EQ(judge.moment(), done);
    }
}

TEST_F(JudgeTest, AnyOneBitIsFound) {
    run(500);
    for (const u64 at : {0UL, 1UL, 255UL, 509UL, 510UL, 511UL}) {
        for (const u64 page : {0UL, 3UL, 130UL, 255UL}) {
            word(page, at) ^= u64{1} << (at % 64);
            EXPECT_EQ(find().wrong, 1U) << "word " << at << " of page " << page;
            word(page, at) ^= u64{1} << (at % 64);
        }
    }
    EXPECT_TRUE(find().holds());
}

TEST_F(JudgeTest, AnOlderPageIsFound) {
    run(100);
    const u64 page = layout.courses[0].page_at(1);
    const Words old = words_of(layout.seed, page, 1, 0);
    run(400);
    ASSERT_GT(word(page, 0), 1U);
    put(page, old, words_per_page);
    EXPECT_EQ(find().wrong, 1U);
}

TEST_F(JudgeTest, APageOfZeroesIsFound) {
    run(100);
    put(9, Words{}, words_per_page);
    EXPECT_EQ(find().wrong, 1U);
}

TEST_F(JudgeTest, AnotherPagesContentIsFound) {
    run(100);
    std::memcpy(&word(9, 0), &word(10, 0), page_size);
    EXPECT_EQ(find().wrong, 1U);
}

TEST_F(JudgeTest, AStepThatWasLostIsFound) {
    run(300);
    const u64 page = layout.courses[1].page_at(done[1] + 1);
    std::vector<u64> before(&word(page, 0), &word(page, 0) + words_per_page);
    step(1);
    step(1);
    std::memcpy(&word(page, 0), before.data(), page_size);
    EXPECT_EQ(find().wrong, 1U);
}

TEST_F(JudgeTest, TwoPagesHalfWayOfOneWriterAreFound) {
    run(100);
    step(0, 100);
    ++done[0];
    step(0, 100);
    EXPECT_FALSE(find().holds());
}

TEST_F(JudgeTest, APageHalfWayBehindALaterStepIsFound) {
    run(100);
    step(0, 100);
    ++done[0];
    step(0);
    EXPECT_FALSE(find().holds());
}

TEST_F(JudgeTest, ALaterStepWithoutTheEarlierOfTheOtherWriterIsFound) {
    run(100);
    const std::vector<u64> before = words;
    const Progress then = done;
    step(0);
    step(1);  // has seen the step of the other
    std::memcpy(words.data(), before.data(), layout.courses[0].pages() * page_size);
    EXPECT_EQ(judge.find(memory(), {then, done}).wrong, 1U);
}

TEST_F(JudgeTest, AMomentBeforeTheSnapshotWasAskedForIsFound) {
    run(100);
    EXPECT_FALSE(judge.find(memory(), {{done[0] + 1, done[1]}, {done[0] + 5, done[1]}}).holds());
}

TEST_F(JudgeTest, AMomentAfterTheSnapshotWasTakenIsFound) {
    run(100);
    EXPECT_TRUE(judge.find(memory(), {{}, {done[0] - 1, done[1]}}).holds()) << "noted a bit late";
    EXPECT_FALSE(judge.find(memory(), {{}, {done[0] - 2, done[1]}}).holds());
}

TEST_F(JudgeTest, WhatWasFoundIsMatchedAndWhatWasOverwrittenIsItsOwners) {
    run(100);
    step(1, 77);
    ASSERT_TRUE(find().holds());
    judge.overwrite(memory(), 5, 12345);
    EXPECT_TRUE(judge.match(memory()).holds());
    word(5, 100) += 1;
    EXPECT_EQ(judge.match(memory()).wrong, 1U);
    word(5, 100) -= 1;
    step(0);
    EXPECT_EQ(judge.match(memory()).wrong, 1U) << "right at some moment, but not the same";
}

TEST_F(JudgeTest, APageThatCannotBeReadIsLostAndTheOthersAreJudged) {
    const int file = ::memfd_create("judge", MFD_CLOEXEC);
    ASSERT_GE(file, 0);
    void* const at = ::mmap(nullptr, words.size() * 8, PROT_READ, MAP_SHARED, file, 0);
    ASSERT_NE(at, MAP_FAILED);
    ASSERT_EQ(::write(file, words.data(), words.size() * 8 - page_size),
              static_cast<ssize_t>(words.size() * 8 - page_size));
    const Verdict verdict = judge.find({static_cast<std::byte*>(at), words.size() * 8}, {});
    EXPECT_EQ(verdict.lost, 1U);
    EXPECT_EQ(verdict.right, pages - 1);
    ::munmap(at, words.size() * 8);
    ::close(file);
}

}  // namespace
}  // namespace verso::check::torture
