// Words of pagemap: section 10.
#include "mm/world.h"

namespace verso::mm {
namespace {

using Bit = abi::PagemapBit;
constexpr u64 form = Bit::present | Bit::swapped | Bit::uffd_wp;
constexpr u32 sync = Feature::pagefault_flag_wp | Feature::wp_unpopulated;

u64 word(World& world, Vpn at) {
    EXPECT_EQ(world.range(Op::pagemap, at, 1, 0).value, 1);
    return world.pagemap.at(0);
}
u64 swap_form(World& world, Vpn at) { return word(world, at) & ((u64{1} << 55) - 1); }

TEST(Pagemap, EveryFormOfAnEntryHasItsBits) {
    World world;
    world.map(MemoryKind::A, 4);
    world.store(0, 5);
    world.load(1);
    world.open(sync);
    world.register_(0, 4, Mode::wp);
    EXPECT_EQ(word(world, 0) & form, Bit::present);
    EXPECT_EQ(word(world, 2) & form, 0U);
    world.protect(0, 3);
    EXPECT_EQ(word(world, 0) & form, Bit::present | Bit::uffd_wp);
    EXPECT_EQ(word(world, 1) & form, Bit::present | Bit::uffd_wp);
    EXPECT_EQ(word(world, 2) & form, Bit::swapped | Bit::uffd_wp);
    EXPECT_EQ(swap_form(world, 2), 0x3fU);
    world.kernel(Op::reclaim, 0);
    EXPECT_EQ(word(world, 0) & form, Bit::swapped | Bit::uffd_wp);
}

TEST(Pagemap, GuardsHaveABitOfTheirOwn) {
    World world;
    world.map(MemoryKind::A, 2);
    world.madvise(0, 1, Advice::guard_install);
    EXPECT_EQ(swap_form(world, 0), 0x9fU);
    EXPECT_NE(word(world, 0) & u64{1} << 58, 0U);
}

TEST(Pagemap, AMigratingPageIsInSwapForm) {
    World world;
    world.map(MemoryKind::A, 2);
    world.store(0, 5);
    world.kernel(Op::migrate_begin, 0);
    EXPECT_EQ(word(world, 0) & form, Bit::swapped);
}

TEST(Pagemap, PagesOfFilesAndPagesMappedOnceAreMarked) {
    World world;
    world.map(MemoryKind::SS, 2);
    world.store(0, 5);
    EXPECT_NE(word(world, 0) & Bit::file, 0U);
    EXPECT_NE(word(world, 0) & Bit::exclusive, 0U);
    World anonymous;
    anonymous.map(MemoryKind::A, 2);
    anonymous.store(0, 5);
    anonymous.step({.op = Op::fork});
    EXPECT_EQ(word(anonymous, 0) & (Bit::file | Bit::exclusive), 0U);
}

TEST(Pagemap, SoftDirtyIsTheEntrysOrTheMappings) {  // E-SD6
    World world;
    world.map(MemoryKind::A, 2);
    EXPECT_NE(word(world, 0) & Bit::soft_dirty, 0U);
    world.step({.op = Op::clear_refs});
    EXPECT_EQ(word(world, 0) & Bit::soft_dirty, 0U);
    world.store(0, 5);
    EXPECT_NE(word(world, 0) & Bit::soft_dirty, 0U);
}

}  // namespace
}  // namespace verso::mm
