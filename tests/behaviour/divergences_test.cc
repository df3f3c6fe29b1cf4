// The list of known divergences is one that a reader can use.
#include "behaviour/divergences.h"
#include "behaviour/behaviour.h"

namespace verso::behaviour {
namespace {

TEST(KnownDivergences, AreProgramsWithReasons) {
    std::printf("known divergences: %zu\n", divergences().size());
    for (const Divergence& one : divergences()) {
        EXPECT_TRUE(check::parse(one.program).has_value()) << one.program;
        EXPECT_FALSE(one.reason.empty()) << one.program;
    }
}

}  // namespace
}  // namespace verso::behaviour
