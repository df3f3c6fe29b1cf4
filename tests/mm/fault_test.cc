// Faults, section 6: what an access finds, and what it leaves.
#include "mm/armed.h"

namespace verso::mm {
namespace {

using K = MemoryKind;

const Message& last_message(World& world) { return world.state().contexts[world.fd].faults.back(); }
World answered(MemoryKind kind, u32 mode, u32 features = 0) {
    return registered(kind, mainline(), features, mode);
}
Outcome access(World& world, Op op, Vpn at, Contents value = zeroes, u32 flags = 0) {
    Call call{.op = op, .flags = flags, .value = value};
    call.address = to_bytes(at);
    return world.step(call);
}

// ── 6.1 ────────────────────────────────────────────────────────────────────────────────────────

// FO-1, E-MP7
TEST(Fault, AStoreToAReadOnlyMappingIsASegmentationFaultBeforeAnyMessage) {
    World world = armed(K::A);
    world.mprotect(0, 2, MapFlags::read);
    EXPECT_EQ(world.store(0, 1).verdict, Verdict::sigsegv);
}

TEST(Fault, AnAccessOutsideEveryMappingIsASegmentationFault) {
    World world;
    EXPECT_EQ(world.load(1).verdict, Verdict::sigsegv);
    EXPECT_EQ(world.load(1000).verdict, Verdict::sigsegv);
}

// FO-6, O7
TEST(Fault, AStoreThroughAWritableEntryMakesItDirtyAndYoung) {
    World world;
    world.map(K::A, 1);
    world.store(0, 5);
    EXPECT_TRUE(world.entry(0).dirty && world.entry(0).young);
    EXPECT_EQ(world.load(0).value, 5);
}

// ── 6.2 ────────────────────────────────────────────────────────────────────────────────────────

// FA-1
TEST(Fault, AMissingPageIsAMessageThatSaysWhetherItWasAStore) {
    World loading = answered(K::A, Mode::missing);
    EXPECT_EQ(loading.load(0).verdict, Verdict::blocked);
    EXPECT_EQ(last_message(loading).flags, 0);
    World storing = answered(K::A, Mode::missing);
    EXPECT_EQ(storing.store(1, 3).verdict, Verdict::blocked);
    EXPECT_EQ(last_message(storing).flags, FaultFlag::write);
    EXPECT_EQ(last_message(storing).address, to_bytes(1));
}

// FA-2, FA-14
TEST(Fault, AnEmptyAddressReadsTheZeroPageAndIsItsOwnOnceStoredTo) {
    World world;
    world.map(K::A, 1);
    EXPECT_EQ(world.load(0).value, 0);
    EXPECT_TRUE(world.entry(0).zero);
    world.store(0, 4);
    EXPECT_TRUE(world.entry(0).maps_page() && world.entry(0).write);
    EXPECT_TRUE(world.state().pages[world.entry(0).target].anon_exclusive);
    EXPECT_EQ(world.broken(), "");
}

// FA-4, S4-11
TEST(Fault, AMissingMessageComesFirstOnAMarker) {
    World world = answered(K::A, Mode::missing | Mode::wp, Feature::wp_unpopulated);
    world.protect(0, 2);
    EXPECT_TRUE(world.entry(0).is_marker(Marker::uffd_wp));
    world.store(0, 3);
    EXPECT_EQ(last_message(world).flags, FaultFlag::write);
}

// FA-5
TEST(Fault, LoadingAMarkerGivesAProtectedZeroPage) {
    World world = registered(K::A, mainline(), unpopulated);
    world.protect(0, 2);
    EXPECT_EQ(world.load(0).value, 0);
    EXPECT_TRUE(world.entry(0).zero && world.entry(0).uffd_wp);
}

// FA-5, FA-10
TEST(Fault, StoringToAMarkerPopulatesItProtectedAndTells) {
    World world = registered(K::A, mainline(), unpopulated);
    world.protect(0, 2);
    EXPECT_TRUE(told(world.store(0, 3)));
    const Entry entry = world.entry(0);
    EXPECT_TRUE(entry.maps_page() && entry.uffd_wp && entry.dirty && !entry.write);
    EXPECT_EQ(world.load(0).value, 0);
}

// FA-6, FC-15
TEST(Fault, AMarkerLeftInAVmaWithoutProtectionIsDropped) {
    for (const MemoryKind kind : {K::A, K::SS, K::SP}) {
        World world;
        world.map(kind, 2);
        Machine machine = world.machine();
        set_pte(machine, 0, 0, make_marker(Marker::uffd_wp));
        EXPECT_TRUE(silent(world.store(0, 3)));
        EXPECT_FALSE(world.entry(0).uffd_wp);
        EXPECT_TRUE(world.entry(0).write);
    }
}

// As seen on 6.18: hugetlb_no_page() asks nobody whose marker it is, and hugetlb_wp() leaves a page
// with the bit to a userfaultfd that is not there any more.
TEST(Fault, AMarkerLeftInHugetlbProtectsItsPageAndAStoreToThatNeverEnds) {
    for (const MemoryKind kind : {K::HS, K::HP}) {
        World world;
        world.map(kind, 2);
        Machine machine = world.machine();
        set_leaf(machine, 0, 0, make_marker(Marker::uffd_wp));
        EXPECT_TRUE(silent(world.load(0)));
        EXPECT_TRUE(world.entry(0).uffd_wp);
        EXPECT_EQ(world.store(0, 3).verdict, Verdict::hangs);
    }
}

// FA-7, FA-8, E-GR5
TEST(Fault, APoisonedAddressIsABusErrorAndAGuardASegmentationFault) {
    World world;
    world.map(K::A, 2);
    Machine machine = world.machine();
    set_pte(machine, 0, 0, make_marker(Marker::poisoned));
    set_pte(machine, 0, 1, make_marker(Marker::guard));
    EXPECT_EQ(world.load(0).verdict, Verdict::sigbus);
    EXPECT_EQ(world.load(1).verdict, Verdict::sigsegv);
}

// FA-10, FC-10, FH-7, FG-5
TEST(Fault, AProtectedPageCanBeReadAndTellsOfAStore) {
    for (const MemoryKind kind : sync_kinds) {
        SCOPED_TRACE(testing::PrintToString(kind));
        World world = armed(kind);
        EXPECT_EQ(world.load(0).value, 7);
        EXPECT_EQ(access(world, Op::gup_read, 0).value, 7);
        EXPECT_TRUE(told(world.store(0, 8)));
        EXPECT_EQ(world.load(0).value, 7);
        EXPECT_EQ(world.broken(), "");
    }
}

// FA-10: both flags
TEST(Fault, TheMessageOfAProtectedPageSaysProtectedAndWrite) {
    World world = armed(K::SS, mainline(), 0);
    EXPECT_EQ(world.store(0, 8).verdict, Verdict::blocked);
    EXPECT_EQ(last_message(world).flags, FaultFlag::wp | FaultFlag::write);
}

// FA-11, FC-11, FH-8, AS-1, SR-12
TEST(Fault, UnderAsynchronousProtectionAStoreLiftsItAndGoesOn) {
    for (const MemoryKind kind : every_kind) {
        SCOPED_TRACE(testing::PrintToString(kind));
        World world = armed(kind, mainline(), async);
        EXPECT_TRUE(world.entry(0).uffd_wp);
        EXPECT_TRUE(silent(world.store(0, 8)));
        EXPECT_FALSE(world.entry(0).uffd_wp);
        EXPECT_EQ(world.load(0).value, 8);
        EXPECT_EQ(world.broken(), "");
    }
}

// FA-12
TEST(Fault, AnExclusivePageIsReusedNotCopied) {
    World world = armed(K::A);
    const u16 page = world.entry(0).target;
    world.clear(0, 2);
    world.store(0, 9);
    EXPECT_EQ(world.entry(0).target, page);
}

// FA-15, E-MG2
TEST(Fault, AnAccessToAMigratingPageWaitsAndIsMadeAgain) {
    World world;
    world.map(K::SS, 2);
    world.store(0, 7);
    world.kernel(Op::migrate_begin, 0);
    EXPECT_EQ(world.store(0, 8).verdict, Verdict::blocked);
    EXPECT_EQ(world.retry().verdict, Verdict::disabled);
    world.kernel(Op::migrate_end, 0);
    EXPECT_EQ(world.retry().verdict, Verdict::done);
    EXPECT_EQ(world.load(0).value, 8);
}

// FA-18
TEST(Fault, UnSharingCopiesThePageAndKeepsItsBitsAndTellsNobody) {
    World world = armed(K::SP);
    world.load(1);  // the file's own page, protected
    world.protect(0, 2);
    const Entry before = world.entry(1);
    EXPECT_TRUE(before.uffd_wp);
    EXPECT_TRUE(silent(access(world, Op::gup_unshare, 1)));
    const Entry after = world.entry(1);
    EXPECT_NE(after.target, before.target);
    EXPECT_TRUE(after.uffd_wp && !after.write);
    EXPECT_EQ(after.soft_dirty, before.soft_dirty);
    EXPECT_EQ(world.state().pages[after.target].pins, 1);
}

// ── 6.3 ────────────────────────────────────────────────────────────────────────────────────────

// FC-1
TEST(Fault, BeyondTheEndOfTheFileIsABusError) {
    World world;
    world.map(K::SS, 2);
    Call shorter{.op = Op::ftruncate, .fd = world.file};
    shorter.length = page_size;
    world.step(shorter);
    EXPECT_TRUE(silent(world.store(0, 1)));
    EXPECT_EQ(world.load(1).verdict, Verdict::sigbus);
}

// FC-2, FC-3
TEST(Fault, AHoleIsMissingAndACachedPageIsMinor) {
    World hole = answered(K::SS, Mode::missing | Mode::minor);
    hole.load(0);
    EXPECT_EQ(last_message(hole).flags, 0);
    World cached = answered(K::SS, Mode::minor);
    cached.state().files[cached.file].size = 2;
    Machine machine = cached.machine();
    cache_page(machine, cached.file, 0, true);
    cached.store(0, 2);
    EXPECT_EQ(last_message(cached).flags, FaultFlag::minor | FaultFlag::write);
}

// FC-4, VP8, VP6
TEST(Fault, ALoadOfSharedMemoryMapsItWritableUnlessSomebodyWantsToKnow) {
    World plain;
    plain.map(K::SS, 2);
    plain.load(0);
    EXPECT_TRUE(plain.entry(0).write);
    World watched = registered(K::SS);
    watched.load(0);
    EXPECT_FALSE(watched.entry(0).write);
    EXPECT_TRUE(silent(watched.store(0, 1)));
}

// FC-5, FC-13
TEST(Fault, APrivateMappingCopiesThePageItStoresTo) {
    World world;
    world.map(K::SP, 2);
    world.load(0);
    EXPECT_FALSE(world.entry(0).write);
    for (const Vpn at : {0U, 1U}) {
        world.store(at, 6);
        EXPECT_EQ(world.state().pages[world.entry(at).target].use, PageUse::anonymous);
        EXPECT_EQ(world.state().pages[world.state().files[world.file].cache[at].page].contents, 0U);
    }
    EXPECT_EQ(world.broken(), "");
}

// FC-6
TEST(Fault, ASharedPageComesBackFromSwapSilently) {
    World world;
    world.map(K::SS, 2);
    world.store(0, 7);
    EXPECT_EQ(world.kernel(Op::reclaim, 0).verdict, Verdict::done);
    EXPECT_EQ(world.load(0).value, 7);
}

// FC-7, FC-8, FC-9
TEST(Fault, APageThatComesBackUnderAMarkerIsProtected) {
    for (const MemoryKind kind : {K::SS, K::SP}) {
        World world = registered(kind);
        world.protect(0, 2);
        EXPECT_TRUE(world.entry(0).is_marker(Marker::uffd_wp));
        world.load(0);
        EXPECT_TRUE(world.entry(0).uffd_wp && !world.entry(0).write);
        EXPECT_TRUE(told(world.store(1, 3)));
        EXPECT_TRUE(world.entry(1).uffd_wp && !world.entry(1).write);
        EXPECT_EQ(world.broken(), "");
    }
}

// FC-12, VP3
TEST(Fault, AFileThatAsksHearsOfTheFirstStore) {
    World world;
    world.map(K::FS, 2);
    world.load(0);
    EXPECT_FALSE(world.entry(0).write);
    EXPECT_FALSE(world.state().pages[world.entry(0).target].dirty);
    world.store(0, 1);
    EXPECT_TRUE(world.state().pages[world.entry(0).target].dirty);
}

}  // namespace
}  // namespace verso::mm
