// That broken states are called broken, and by their number.
#include "mm/world.h"

namespace verso::mm {
namespace {

World armed(MemoryKind kind) {
    World world;
    world.map(kind, 2);
    world.store(0, 5);
    world.open(Feature::wp_unpopulated | Feature::wp_hugetlbfs_shmem);
    world.register_(0, 2, Mode::wp);
    world.protect(0, 2);
    EXPECT_EQ(world.broken(), "");
    return world;
}
Entry& entry(World& world, Vpn at = 0) { return world.state().spaces[0].entries[at]; }
std::string number(const World& world) { return world.broken().substr(0, 2); }

TEST(Invariants, EachOneIsNamedWhenItBreaks) {
    World world = armed(MemoryKind::A);
    entry(world).write = true;
    EXPECT_EQ(number(world), "I1");

    world = armed(MemoryKind::A);
    world.kernel(Op::migrate_begin, 0);
    entry(world).migration = MigrationKind::write;
    EXPECT_EQ(number(world), "I2");

    world = World();
    world.map(MemoryKind::A, 2);
    world.store(0, 5);
    world.state().pages[entry(world).target].anon_exclusive = false;
    EXPECT_EQ(number(world), "I3");

    world = armed(MemoryKind::A);
    world.state().spaces[0].vmas[0].flags &= ~VmFlag::uffd;
    EXPECT_EQ(number(world), "I4");

    world = armed(MemoryKind::A);
    world.state().spaces[0].vmas[0].context = nobody;
    entry(world, 1) = Entry{};
    EXPECT_EQ(number(world), "I5");

    world = armed(MemoryKind::SS);
    world.state().spaces[0].vmas[0].prot_write = true;
    EXPECT_EQ(number(world), "I6");

    world = armed(MemoryKind::A);
    world.state().contexts[world.fd].features = 0;
    EXPECT_EQ(number(world), "I8");
}

TEST(Invariants, AMappingCountThatIsWrongIsFound) {
    World world = armed(MemoryKind::A);
    ++world.state().pages[entry(world).target].maps;
    EXPECT_EQ(world.broken().substr(0, 6), "pages:");
}

TEST(Invariants, ALeakedPageIsFound) {
    World world = armed(MemoryKind::A);
    world.state().pages[11].use = PageUse::anonymous;
    EXPECT_EQ(world.broken().substr(0, 6), "pages:");
}

TEST(Invariants, AFreedPageThatIsMappedIsFound) {
    World world = armed(MemoryKind::A);
    world.state().pages[entry(world).target] = Page{};
    EXPECT_EQ(world.broken().substr(0, 6), "pages:");
}

TEST(Invariants, ASlotThatNobodyCountsIsFound) {
    World world = armed(MemoryKind::A);
    world.kernel(Op::reclaim, 0);
    EXPECT_EQ(world.broken(), "");
    world.state().slots[entry(world).target].count = 0;
    EXPECT_EQ(world.broken().substr(0, 6), "slots:");
}

TEST(Invariants, AThreadWhoseMessageIsLostIsFound) {
    World world = armed(MemoryKind::A);
    EXPECT_EQ(world.store(0, 6).verdict, Verdict::blocked);
    EXPECT_EQ(world.broken(), "");
    world.state().contexts[world.fd].faults.clear();
    EXPECT_EQ(world.broken().substr(0, 8), "threads:");
}

}  // namespace
}  // namespace verso::mm
