// Random histories against plain copies. VERSO_TEST_SEED=n replays one; a failure prints it.
#include "engine/full_copy.h"

#include <cstdlib>
#include <random>

namespace verso::test {
namespace {

class FullCopyOracle : public OnEachBackend {};

TEST_P(FullCopyOracle, AgreesWithEveryRegionAndSnapshotOfARandomHistory) {
    const char* const asked = std::getenv("VERSO_TEST_SEED");
    const unsigned histories = asked != nullptr ? 1 : 50;
    std::random_device device;
    for (unsigned i = 0; i < histories && !HasFailure(); ++i) {
        const u64 seed = asked != nullptr ? std::strtoull(asked, nullptr, 10) : device();
        SCOPED_TRACE("replay: VERSO_TEST_SEED=" + std::to_string(seed) +
                     " test_engine --gtest_filter=*FullCopyOracle*" + name_of(GetParam()));
        FullCopy(GetParam(), seed).play(120);
    }
}

INSTANTIATE_TEST_SUITE_P(Engine, FullCopyOracle, each_backend, backend_name);

}  // namespace
}  // namespace verso::test
