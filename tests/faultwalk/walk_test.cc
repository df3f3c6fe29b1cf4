// One test per scene. A failing point prints how to replay exactly it:
//     VERSO_FAULTWALK=fork:uffd_register:1:3 test_faultwalk
#include <algorithm>
#include <bitset>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <regex>

#include <gtest/gtest.h>

#include "faultwalk/walk.h"

namespace verso::faultwalk {
namespace {

using namespace std::string_literals;

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

/// Which scenes walk a verb of the public interface: those of that name, and of it with an ending.
constexpr struct {
    const char* verb;
    const char* scene;
} walked_by[] = {
    {"bytes", "bytes"},       {"fork", "fork"},         {"export_fork", "exchange"},
    {"detach", "detach"},     {"create", "create"},     {"adopt", "adopt"},
    {"import", "exchange"},   {"attach", "attach"},     {"written", "written"},
    {"snapshot", "snapshot"}, {"rewind", "rewind"},     {"discard", "discard"},
    {"memory", "memory"},     {"lend", "attach"},       {"~Snapshot", "release"},
    {"~Region", "release"},   {"~Loan", "end_of_loan"},
};

TEST(FaultWalkIsWhole, EveryVerbOfThePublicInterfaceHasAScene) {
    std::ifstream header(VERSO_SOURCE_DIR "/include/verso/verso.hpp");
    const std::regex declared(R"(^ *(?:static )?Result<.*> ([a-z_]+)\(|^ *(~[A-Z][a-z]+)\(\))");
    std::set<std::string> verbs;
    for (std::string line; std::getline(header, line);) {
        std::smatch found;
        if (std::regex_search(line, found, declared)) {
            verbs.insert(found[1].matched ? found[1] : found[2]);
        }
    }
    EXPECT_EQ(verbs.size(), std::size(walked_by));
    const std::vector<Scene> all = scenes();
    for (const std::string& verb : verbs) {
        const auto* const walked = std::ranges::find_if(
            walked_by, [&](const auto& candidate) { return candidate.verb == verb; });
        ASSERT_NE(walked, std::end(walked_by)) << verb << " has no scene";
        EXPECT_TRUE(std::ranges::any_of(all,
                                        [&](const Scene& scene) {
                                            return scene.name == walked->scene ||
                                                   scene.name.starts_with(walked->scene + "_"s);
                                        }))
            << "no scene of " << verb;
    }
}

/// A call that can be refused and that no scene makes would be a failure that nobody has tried.
TEST(FaultWalkIsWhole, EveryCallOfTheEngineThatCanBeRefusedIsMadeBySomeScene) {
    const kernel::Abilities& can = host::linux_kernel().abilities();
    if (!can.userfaultfd || !can.write_protect_shmem || !can.minor_shmem) {
        GTEST_SKIP() << "the walk needs userfaultfd on shared memory: " << can.why_no_userfaultfd;
    }
    std::bitset<kernel::op_count> made;
    for (const Scene& scene : scenes()) {
        for (const auto& [op, count] : count_calls(scene).calls) {
            made.set(static_cast<std::size_t>(op));
        }
    }
    for (std::size_t op = 0; op < kernel::op_count; ++op) {
        if (!kernel::documented_failures(static_cast<kernel::Op>(op)).empty()) {
            EXPECT_TRUE(made.test(op)) << name_of(static_cast<kernel::Op>(op));
        }
    }
}

}  // namespace

void PrintTo(const Scene& scene, std::ostream* out);
void PrintTo(const Scene& scene, std::ostream* out) { *out << scene.name; }

}  // namespace verso::faultwalk
