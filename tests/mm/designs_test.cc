// The two protection designs (section 14.1 of the specification): who may still have write
// permission in vm_page_prot, and who must take it away. Programs on a page that was stored to and
// protected:
//
//                                         neither   only (1)   only (2)   both
//   migrate; store                        silent    told       told       told
//   NUMA hint; load; store                silent    told       silent     told
//   mprotect READ, READ|WRITE; store      silent    told       silent     told
//   reclaim; load; store                  silent    told       told       told
//
// on shared memory; on private memory always told, because its default never has W (S0-03).
#include <functional>

#include "mm/world.h"

namespace verso::mm {
namespace {

struct Design {
    const char* name;
    bool writenotify;  // (1)
    bool clears_w;     // (2)
};
constexpr Design designs[] = {{"neither", false, false},
                              {"only_1", true, false},
                              {"only_2", false, true},
                              {"both", true, true}};

/// What happens to the protected page before the store; false: it cannot happen to this kind.
using Program = std::function<bool(World&)>;

bool migrate(World& world) { return world.migrate(0).verdict == Verdict::done; }
bool hint(World& world) {
    const bool hinted = world.kernel(Op::numa_scan, 0).verdict == Verdict::done;
    return hinted && world.load(0).verdict == Verdict::done;
}
bool read_only_and_back(World& world) {
    return world.mprotect(0, 1, MapFlags::read).verdict == Verdict::done &&
           world.mprotect(0, 1, MapFlags::read | MapFlags::write).verdict == Verdict::done;
}
bool reclaim_and_load(World& world) {
    return world.kernel(Op::reclaim, 0).verdict == Verdict::done &&
           world.load(0).verdict == Verdict::done;
}

struct Row {
    const char* name;
    Program program;
    bool told[4];  // in the order of `designs`, on shared memory
};
const Row rows[] = {
    {"migrate", migrate, {false, true, true, true}},
    {"numa_hint", hint, {false, true, false, true}},
    {"mprotect", read_only_and_back, {false, true, false, true}},
    {"reclaim", reclaim_and_load, {false, true, true, true}},
};

/// Whether the store after the program is told of; nothing if the program does not apply.
std::optional<bool> told(MemoryKind kind, const Design& design, const Program& program) {
    Rules rules = with_designs(mainline(), design.writenotify, design.clears_w);
    World world(rules);
    world.map(kind, 2);
    world.open(Feature::sigbus | Feature::pagefault_flag_wp | Feature::wp_hugetlbfs_shmem);
    EXPECT_EQ(world.store(0, 1).verdict, Verdict::done);
    EXPECT_EQ(world.register_(0, 2, Mode::wp).verdict, Verdict::done);
    EXPECT_EQ(world.protect(0, 1).verdict, Verdict::done);
    if (!program(world)) {
        return std::nullopt;
    }
    return world.store(0, 2).verdict == Verdict::sigbus;
}

TEST(Designs, SharedMemoryIsSafeExactlyWhereTheTableSays) {
    for (const Row& row : rows) {
        for (std::size_t i = 0; i < std::size(designs); ++i) {
            const std::optional<bool> seen = told(MemoryKind::SS, designs[i], row.program);
            ASSERT_TRUE(seen.has_value()) << row.name;
            EXPECT_EQ(*seen, row.told[i]) << row.name << " with " << designs[i].name;
        }
    }
}

TEST(Designs, PrivateMemoryIsSafeUnderEveryDesign) {  // S0-03, S2-08
    for (const MemoryKind kind : {MemoryKind::A, MemoryKind::SP}) {
        for (const Row& row : rows) {
            for (const Design& design : designs) {
                const std::optional<bool> seen = told(kind, design, row.program);
                EXPECT_TRUE(seen.value_or(true))
                    << row.name << " with " << design.name << ", kind " << static_cast<int>(kind);
            }
        }
    }
}

/// The seeds' data loss: a snapshot's reader sees what was stored after it (S2-04, FX-1).
TEST(DataLoss, AMigratedReadOnlyShmemPageIsWrittenUnseenIn519AndNotIn62) {
    for (const auto& [name, lost] : {std::pair{"5.19", true},
                                     {"6.1", true},
                                     {"6.1.8", false},
                                     {"6.2", false},
                                     {"6.3", false},
                                     {"6.18", false}}) {
        World world(*preset(name));
        world.map(MemoryKind::SS, 2);
        world.open(Feature::sigbus | Feature::pagefault_flag_wp | Feature::wp_hugetlbfs_shmem);
        world.store(0, 1);
        ASSERT_EQ(world.register_(0, 2, Mode::wp).verdict, Verdict::done) << name;
        ASSERT_EQ(world.protect(0, 1).verdict, Verdict::done) << name;
        ASSERT_EQ(world.migrate(0).verdict, Verdict::done) << name;
        EXPECT_EQ(world.store(0, 2).verdict, lost ? Verdict::done : Verdict::sigbus) << name;
    }
}

TEST(DataLoss, MemoryThatCannotBeProtectedYetIsRefused) {  // S2-09
    World world(*preset("5.7"));
    world.map(MemoryKind::SS, 2);
    world.open(Feature::pagefault_flag_wp);
    EXPECT_EQ(world.register_(0, 2, Mode::wp).verdict, Verdict::failed);
}

}  // namespace
}  // namespace verso::mm
