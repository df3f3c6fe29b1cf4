// The guarantee at the top of verso.hpp, held against writers whose stores are causally ordered.
#include <gtest/gtest.h>

#include "support/backends.h"
#include "support/causal_writers.h"

namespace verso::test {
namespace {

class Cut : public OnEachBackend {
protected:
    /// Takes `snapshots` while `threads` write, `alive` of them at a time, and judges every one.
    void storm(u64 pages, unsigned threads, unsigned snapshots, std::size_t alive) {
        Result<Region> region = make(pages);
        VERSO_ASSERT_OK(region);
        CausalWriters writers(region->bytes(), threads);
        std::vector<Snapshot> held;
        for (unsigned i = 0; i < snapshots; ++i) {
            writers.let_run(1 + mix(i) % (2 * pages));
            Result<Snapshot> taken = region->snapshot();
            VERSO_ASSERT_OK(taken);
            held.push_back(std::move(*taken));
            if (held.size() > alive) {  // judged while later ones are alive and writers go on
                expect_a_moment(held.front(), i);
                held.erase(held.begin());
            }
        }
        writers.stop();
        for (const Snapshot& snapshot : held) {
            expect_a_moment(snapshot, snapshots);
        }
        EXPECT_EQ(CausalWriters::judge(region->bytes()), "");
        EXPECT_EQ(region->damage(), "");
    }
    static void expect_a_moment(const Snapshot& snapshot, unsigned number) {
        const auto bytes = snapshot.bytes();
        VERSO_ASSERT_OK(bytes);
        const std::string verdict = CausalWriters::judge(*bytes);
        ASSERT_EQ(verdict, "") << "in a snapshot judged at turn " << number;
    }
};

TEST_P(Cut, HoldsNoWriteWithoutThoseBeforeItWhenOneThreadWrites) { storm(256, 1, 200, 3); }
TEST_P(Cut, HoldsNoWriteWithoutThoseBeforeItWhenFourThreadsHandATokenOn) { storm(256, 4, 200, 3); }
TEST_P(Cut, HoldsWhenMoreIsOpenThanOneCutProtects) { storm(6'000, 3, 30, 2); }
TEST_P(Cut, HoldsWhenEverySnapshotStaysAlive) { storm(64, 2, 200, 200); }

INSTANTIATE_TEST_SUITE_P(Engine, Cut, each_backend, backend_name);

TEST(CutOracle, RejectsACopyThatWasTakenWhileTheWritersRan) {
    std::vector<std::byte> memory(to_bytes(64));
    std::vector<std::byte> torn(memory.size());
    CausalWriters writers(memory, 2);
    writers.let_run(2'000);
    const std::size_t half = memory.size() / 2;
    std::memcpy(torn.data(), memory.data(), half);
    writers.let_run(2'000);  // the unlucky order: what comes now is only in the second half
    std::memcpy(torn.data() + half, memory.data() + half, half);
    EXPECT_NE(CausalWriters::judge(torn), "");
}

TEST(CutOracle, AcceptsACopyThatWasTakenWhileTheyRested) {
    std::vector<std::byte> memory(to_bytes(64));
    CausalWriters writers(memory, 2);
    writers.let_run(3'000);
    writers.stop();
    EXPECT_EQ(CausalWriters::judge(memory), "");
}

}  // namespace
}  // namespace verso::test
