// Marks against a model that remembers every note: an answer may never miss a page.
#include <set>
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

TEST(Marks, AnyMarkEverGivenNamesExactlyWhatWasNotedSince) {
    const bool held = rc::check([](const std::vector<std::pair<u8, bool>>& steps) {
        constexpr u64 pages = 16;
        Marks marks(pages);
        marks.keep();
        std::vector<std::pair<Mark, std::set<u64>>> askers{{marks.advance(), {}}};
        for (const auto& [number, ask] : steps) {
            const u64 page = number % pages;
            if (ask) {
                askers.push_back({marks.advance(), {}});
                continue;
            }
            marks.note(page, 1);
            for (auto& [mark, noted] : askers) {
                noted.insert(page);
            }
        }
        const Mark now = marks.advance();
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
