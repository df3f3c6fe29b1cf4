// The arithmetic of laps, against doing the steps one by one.
#include <algorithm>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "check/torture/course.h"

namespace verso::check::torture {
namespace {

class Courses : public testing::TestWithParam<std::pair<u64, bool>> {
protected:
    Course course{100, GetParam().first, GetParam().second};
};

TEST_P(Courses, LastStepIsWhatCountingStepsSays) {
    std::vector<u64> last(course.pages());
    for (u64 step = 1; step <= 3000; ++step) {
        last[course.page_at(step) - course.first()] = step;
        for (u64 page = 0; page < course.pages() && step % 37 == 0; ++page) {
            ASSERT_EQ(course.last_step(course.first() + page, step), last[page])
                << "page " << page << " after step " << step;
        }
    }
}

TEST_P(Courses, SomePagesAreHotSomeWarmAndSomeNeverWritten) {
    std::vector<u64> visits(course.pages());
    for (u64 step = 1; step <= 8 * (course.pages() / 16 * 2); ++step) {
        ++visits[course.page_at(step) - course.first()];
    }
    EXPECT_EQ(std::count(visits.begin(), visits.end(), 8U), course.pages() / 16);
    EXPECT_EQ(std::count(visits.begin(), visits.end(), 1U), course.pages() / 16 * 8);
    EXPECT_GT(std::count(visits.begin(), visits.end(), 0U), 0);
}

INSTANTIATE_TEST_SUITE_P(Sizes, Courses,
                         testing::Values(std::pair<u64, bool>{32, false},
                                         std::pair<u64, bool>{32, true},
                                         std::pair<u64, bool>{128, true},
                                         std::pair<u64, bool>{500, false},
                                         std::pair<u64, bool>{7919, true}));

TEST(Layout, EveryPageHasOneOwner) {
    const Layout layout(1, 1000);
    EXPECT_EQ(layout.courses[0].pages() + layout.courses[1].pages(), 1000U);
    EXPECT_EQ(layout.owner_of(499), 0U);
    EXPECT_EQ(layout.owner_of(500), 1U);
}

}  // namespace
}  // namespace verso::check::torture
