// One test per scene. A failing point prints how to replay exactly it:
//     VERSO_FAULTWALK=fork:uffd_register:1:3 test_faultwalk
#include <cstdlib>
#include <iostream>

#include <gtest/gtest.h>

#include "faultwalk/walk.h"

namespace verso::faultwalk {
namespace {

class FaultWalk : public testing::TestWithParam<Scene> {};

TEST_P(FaultWalk, LosesNothingWhateverFails) {
    const kernel::Abilities& can = host::linux_kernel().abilities();  // probed before any fork
    if (!can.userfaultfd || !can.write_protect_shmem || !can.minor_shmem) {
        GTEST_SKIP() << "the walk needs userfaultfd on shared memory: " << can.why_no_userfaultfd;
    }
    const Scene& scene = GetParam();
    const char* const only = std::getenv("VERSO_FAULTWALK");
    if (only != nullptr && !std::string_view(only).starts_with(scene.name + ":")) {
        GTEST_SKIP() << "VERSO_FAULTWALK asks for another scene";
    }
    const Count count = count_calls(scene);
    ASSERT_EQ(count.wrong, "") << "undisturbed";
    unsigned cases = 0;
    unsigned reached = 0;
    unsigned failed = 0;
    for (const Point& point : points_of(scene, count)) {
        const std::string name = to_string(scene, point);
        if (only != nullptr && name != only) {
            continue;
        }
        const Verdict verdict = run_case(scene, point);
        ++cases;
        reached += verdict.reached ? 1 : 0;
        failed += verdict.failed ? 1 : 0;
        EXPECT_EQ(verdict.wrong, "")
            << "when "
            << (point.spawn ? std::string("a thread cannot be had")
                            : std::string(name_of(point.op)) + " answers " +
                                  to_string(kernel::documented_failures(point.op)[point.answer]))
            << "; replay: VERSO_FAULTWALK=" << name << " test_faultwalk";
    }
    EXPECT_TRUE(reached > 0 || only != nullptr) << "no point of this verb was reached";
    std::cout << scene.name << ": " << cases << " cases, " << reached << " reached, " << failed
              << " refused\n";
}

INSTANTIATE_TEST_SUITE_P(Verbs, FaultWalk, testing::ValuesIn(scenes()),
                         [](const auto& each) { return each.param.name; });

}  // namespace

void PrintTo(const Scene& scene, std::ostream* out);
void PrintTo(const Scene& scene, std::ostream* out) { *out << scene.name; }

}  // namespace verso::faultwalk
