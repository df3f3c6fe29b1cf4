// Marks against a model that remembers every note: an answer may never miss a page.
#include <set>
#include <tuple>
#include <vector>

#include <gtest/gtest.h>
#include <rapidcheck.h>

#include "engine/marks.h"

namespace verso::engine {
namespace {

TEST(Marks, TheBeginningMeansEverything) {
    Marks marks(10);
    marks.keep();
    const Written written = marks.since(Mark{}, marks.advance());
    EXPECT_EQ(written.ranges, (std::vector<PageRange>{{0, 10}}));
    EXPECT_EQ(written.pages, 10U);
}

TEST(Marks, ANoteIsInTheAnswerAfterItAndNotInTheNext) {
    Marks marks(10);
    marks.keep();
    const Mark begin = marks.advance();
    marks.note(3, 2);
    marks.note(5, 1);
    marks.note(9, 1);
    const Mark middle = marks.advance();
    EXPECT_EQ(marks.since(begin, middle).ranges, (std::vector<PageRange>{{3, 3}, {9, 1}}));
    EXPECT_TRUE(marks.since(middle, marks.advance()).ranges.empty());
}

TEST(Marks, WithoutAskersNothingIsKept) {
    Marks marks(10);
    marks.note(3, 1);
    EXPECT_EQ(marks.bytes(), 0U);
}

TEST(Marks, WhatIsNotedLaterIsThereOnceItIsFolded) {
    Marks marks(64);
    marks.keep();
    const Mark begin = marks.advance();
    marks.note_later(3, 2);
    const Mark middle = marks.advance();
    marks.note(4, 1);
    marks.fold();
    EXPECT_EQ(marks.since(begin, middle).ranges, (std::vector<PageRange>{{3, 2}}));
    EXPECT_EQ(marks.since(middle, marks.advance()).ranges, (std::vector<PageRange>{{4, 1}}));
}

TEST(Marks, AListThatIsFullLosesNothing) {
    Marks marks(64);
    marks.keep();
    const Mark begin = marks.advance();
    for (u64 page = 0; page < 64; page += 2) {
        marks.note_later(page, 1);
    }
    EXPECT_TRUE(marks.should_fold());
    marks.fold();
    EXPECT_FALSE(marks.should_fold());
    EXPECT_EQ(marks.since(begin, marks.advance()).pages, 32U);
}

TEST(Marks, AnyMarkEverGivenNamesExactlyWhatWasNotedSince) {
    const bool held = rc::check([](const std::vector<std::tuple<u8, bool, bool>>& steps) {
        constexpr u64 pages = 16;
        Marks marks(pages);
        marks.keep();
        std::vector<std::pair<Mark, std::set<u64>>> askers{{marks.advance(), {}}};
        for (const auto& [number, ask, later] : steps) {
            const u64 page = number % pages;
            if (ask) {
                askers.push_back({marks.advance(), {}});
                continue;
            }
            if (later) {
                marks.note_later(page, 1);
            } else {
                marks.note(page, 1);
            }
            for (auto& [mark, noted] : askers) {
                noted.insert(page);
            }
        }
        const Mark now = marks.advance();
        marks.fold();
        for (const auto& [mark, noted] : askers) {
            std::set<u64> named;
            for (const PageRange& range : marks.since(mark, now).ranges) {
                for (u64 page = range.first; page < range.first + range.count; ++page) {
                    named.insert(page);
                }
            }
            RC_ASSERT(named == noted);
        }
    });
    EXPECT_TRUE(held);
}

}  // namespace
}  // namespace verso::engine
