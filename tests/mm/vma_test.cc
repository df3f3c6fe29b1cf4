// VMAs: section 2 (vm_page_prot), 8.1 (split and merge), and what mmap and munmap do.
#include <cerrno>

#include "mm/world.h"

namespace verso::mm {
namespace {

constexpr u32 rw = MapFlags::read | MapFlags::write;

std::size_t vma_count(World& world) { return world.state().spaces[0].vmas.size(); }

Outcome map_file(World& world, u8 file, u32 flags, Vpn at, u32 pages, u32 offset = 0) {
    Call call{.op = Op::mmap, .fd = file, .flags = flags | MapFlags::fixed};
    call.address = to_bytes(at);
    call.length = to_bytes(pages);
    call.extra = to_bytes(offset);
    return world.step(call);
}

u8 make_file(World& world, u32 flags, u32 pages) {
    Call call{.op = Op::file_create, .flags = flags};
    call.length = to_bytes(pages);
    return static_cast<u8>(world.step(call).value);
}

Outcome unmap(World& world, Vpn at, u32 pages) {
    Call call{.op = Op::munmap};
    call.address = to_bytes(at);
    call.length = to_bytes(pages);
    return world.step(call);
}

Rules without_soft_dirty() {
    Rules rules;
    rules.softdirty_configured = false;
    return rules;
}

TEST(VmPageProt, PrivateMemoryNeverHasWriteInIt) {  // VP1
    for (const MemoryKind kind : {MemoryKind::A, MemoryKind::SP, MemoryKind::HP, MemoryKind::FP}) {
        World world(without_soft_dirty());
        world.map(kind, 2);
        EXPECT_FALSE(world.vma(0).prot_write) << static_cast<int>(kind);
        EXPECT_TRUE(world.vma(0).prot_access);
    }
}

TEST(VmPageProt, SharedMemoryHasWriteUnlessSomebodyListens) {  // VP8
    for (const MemoryKind kind : {MemoryKind::SS, MemoryKind::HS}) {
        World world(without_soft_dirty());
        world.map(kind, 2);
        EXPECT_TRUE(world.vma(0).prot_write) << static_cast<int>(kind);
    }
}

TEST(VmPageProt, AReadOnlyMappingHasNoWrite) {  // VP2
    World world(without_soft_dirty());
    world.map(MemoryKind::SS, 2);
    EXPECT_EQ(world.mprotect(0, 2, MapFlags::read).verdict, Verdict::done);
    EXPECT_FALSE(world.vma(0).prot_write);
    EXPECT_EQ(world.mprotect(0, 2, 0).verdict, Verdict::done);
    EXPECT_FALSE(world.vma(0).prot_access);
    EXPECT_EQ(world.mprotect(0, 2, rw).verdict, Verdict::done);
    EXPECT_TRUE(world.vma(0).prot_write) << "VP9";
}

TEST(VmPageProt, AFileThatWantsToHearOfFirstWritesTakesWriteAway) {  // VP3
    World world(without_soft_dirty());
    const u8 file = make_file(world, static_cast<u32>(FileKind::shmem) | 4, 2);
    map_file(world, file, rw | MapFlags::shared, 0, 2);
    EXPECT_FALSE(world.vma(0).prot_write);
}

TEST(VmPageProt, SoftDirtyTrackingTakesWriteAwayExceptForHugetlb) {  // VP5, FX-12
    for (const bool fixed : {true, false}) {
        Rules rules;
        rules.softdirty_writenotify = fixed;
        World world(rules, Shape{.space_pages = 8});
        world.map(MemoryKind::SS, 2);
        EXPECT_TRUE(world.vma(0).prot_write) << "a new mapping is all soft-dirty: E-SD1";
        Vma vma = world.vma(0);
        vma.flags &= ~VmFlag::soft_dirty;
        vma_set_page_prot(world.machine(), vma);
        EXPECT_EQ(vma.prot_write, !fixed);
        world.map(MemoryKind::HS, 2, 2);
        vma = world.vma(2);
        vma.flags &= ~VmFlag::soft_dirty;
        vma_set_page_prot(world.machine(), vma);
        EXPECT_TRUE(vma.prot_write);
    }
}

TEST(VmPageProt, WriteProtectModeTakesWriteAwaySinceDesignOne) {  // VP6, RG-15, I6
    for (const bool design_one : {true, false}) {
        World world(with_designs(without_soft_dirty(), design_one, true));
        world.map(MemoryKind::SS, 2);
        world.open(0);
        world.register_(0, 2, Mode::wp);
        EXPECT_EQ(world.vma(0).prot_write, !design_one);
        world.unregister(0, 2);
        EXPECT_TRUE(world.vma(0).prot_write) << "VP9";
    }
}

TEST(VmPageProt, AFileSystemThatCountsDirtyPagesTakesWriteAway) {  // VP7
    World world(without_soft_dirty());
    world.map(MemoryKind::FS, 2);
    EXPECT_FALSE(world.vma(0).prot_write);
}

TEST(Mmap, TakesTheLowestHoleThatIsLongEnough) {
    World world;
    world.map(MemoryKind::A, 1, 1);
    Call call{.op = Op::mmap, .flags = MapFlags::read};
    call.length = to_bytes(2);
    EXPECT_EQ(world.step(call), Outcome::ok(static_cast<i64>(to_bytes(2))));
}

TEST(Mmap, FixedReplacesWhatWasThere) {
    World world;
    world.map(MemoryKind::A, 2);
    world.store(0, 7);
    world.map(MemoryKind::A, 2);
    EXPECT_EQ(world.load(0).value, 0);
}

TEST(Mmap, ErrorsComeInOrderAndChangeNothing) {
    World world;
    const u8 read_only = make_file(world, static_cast<u32>(FileKind::shmem) | 8, 2);
    const u8 huge = make_file(world, static_cast<u32>(FileKind::hugetlb), 2);
    const State before = world.state();
    EXPECT_EQ(map_file(world, nobody, rw, 0, 0).error, EINVAL);
    EXPECT_EQ(map_file(world, 9, rw, 0, 1).error, EBADF);
    EXPECT_EQ(map_file(world, nobody, rw, 3, 2).error, ENOMEM);
    EXPECT_EQ(map_file(world, huge, rw, 1, 2).error, EINVAL);
    EXPECT_EQ(map_file(world, read_only, rw | MapFlags::shared, 0, 1).error, EACCES);
    EXPECT_TRUE(world.state() == before);
}

TEST(Mmap, AReadOnlyFileGivesASharedMappingThatCanNeverBeWritten) {
    World world;
    const u8 file = make_file(world, static_cast<u32>(FileKind::shmem) | 8, 2);
    map_file(world, file, MapFlags::read | MapFlags::shared, 0, 2);
    EXPECT_EQ(world.mprotect(0, 2, rw).error, EACCES);
    map_file(world, file, rw, 0, 2);
    EXPECT_EQ(world.store(0, 1).verdict, Verdict::done) << "a private one can";
}

TEST(Mmap, SharedAnonymousMemoryIsShmem) {
    World world;
    EXPECT_EQ(map_file(world, nobody, rw | MapFlags::shared, 0, 2).verdict, Verdict::done);
    EXPECT_EQ(kind_of(world.state(), world.vma(0)), MemoryKind::SS);
}

TEST(SplitAndMerge, EntriesStayWhereTheyAre) {  // E-MP8
    World world;
    world.map(MemoryKind::A, 4);
    for (Vpn at = 0; at < 4; ++at) {
        world.store(at, at + 1);
    }
    const State before = world.state();
    split_vma(world.state(), 0, 1);
    EXPECT_EQ(vma_count(world), 2U);
    EXPECT_EQ(world.state().spaces[0].entries, before.spaces[0].entries);
    Machine machine = world.machine();
    merge_vmas(machine, 0);
    EXPECT_TRUE(world.state() == before);
}

TEST(SplitAndMerge, PartsOfAFileMergeOnlyWhereTheirOffsetsMeet) {  // E-MP8
    World world;
    const u8 file = make_file(world, static_cast<u32>(FileKind::shmem), 4);
    map_file(world, file, rw | MapFlags::shared, 0, 1, 0);
    map_file(world, file, rw | MapFlags::shared, 1, 1, 1);
    EXPECT_EQ(vma_count(world), 1U);
    map_file(world, file, rw | MapFlags::shared, 2, 1, 3);
    EXPECT_EQ(vma_count(world), 2U);
}

TEST(SplitAndMerge, NeighboursOfTwoContextsStayApart) {  // E-MP8, RG-12
    World world;
    world.map(MemoryKind::A, 4);
    world.open(0);
    world.register_(0, 2, Mode::wp);
    world.open(0);
    world.register_(2, 2, Mode::wp);
    EXPECT_EQ(vma_count(world), 2U);
    world.unregister(2, 2);
    world.fd = 0;
    world.register_(2, 2, Mode::wp);
    EXPECT_EQ(vma_count(world), 1U);
}

TEST(SplitAndMerge, AHugePageCannotLieInTwoVmas) {  // E-TH9
    World world;
    world.state().thp_enabled = true;
    world.map(MemoryKind::A, 2);
    world.store(0, 7);
    world.open(0);
    world.register_(1, 1, Mode::wp);
    EXPECT_EQ(pmd_of(world.state(), 0, 0).kind, PmdKind::table);
    EXPECT_EQ(world.load(0).value, 7);
}

TEST(SplitAndMerge, OneSoftDirtyPartMakesTheWholeSoftDirty) {  // E-MP9, S2-18
    World world;
    world.map(MemoryKind::SS, 2);
    Vma& vma = *world.state().find_vma(0, 0);
    vma.flags &= ~VmFlag::soft_dirty;
    vma_set_page_prot(world.machine(), vma);
    split_vma(world.state(), 0, 1);
    world.state().find_vma(0, 1)->flags |= VmFlag::soft_dirty;
    Machine machine = world.machine();
    merge_vmas(machine, 0);
    EXPECT_EQ(vma_count(world), 1U);
    EXPECT_TRUE(world.vma(0).has(VmFlag::soft_dirty));
    EXPECT_TRUE(world.vma(0).prot_write) << "VP9";
}

TEST(Munmap, LeavesNothingBehindNotEvenMarkersAndPageTables) {  // E-ZP13
    World world;
    const State before = world.state();
    world.map(MemoryKind::A, 4);
    world.open(Feature::wp_unpopulated);
    world.register_(0, 4, Mode::wp);
    world.store(0, 1);
    world.protect(0, 4);
    EXPECT_EQ(unmap(world, 0, 4).verdict, Verdict::done);
    EXPECT_TRUE(world.state().spaces == before.spaces);
    EXPECT_TRUE(world.state().pages == before.pages);
}

TEST(Munmap, CutsWhatLiesAcrossItsEnds) {
    World world;
    world.map(MemoryKind::A, 4);
    world.store(3, 9);
    EXPECT_EQ(unmap(world, 1, 2).verdict, Verdict::done);
    EXPECT_EQ(vma_count(world), 2U);
    EXPECT_EQ(world.load(3).value, 9);
    EXPECT_EQ(world.load(1).verdict, Verdict::sigsegv);
}

TEST(Munmap, RefusesToCutAHugetlbPage) {
    World world;
    world.map(MemoryKind::HS, 4);
    EXPECT_EQ(unmap(world, 0, 1).error, EINVAL);
    EXPECT_EQ(unmap(world, 0, 0).error, EINVAL);
    EXPECT_EQ(unmap(world, 0, 2).verdict, Verdict::done);
}

TEST(Munmap, TellsEachContextOnceAndWaitsUntilItWasRead) {  // E-ZP15
    World world;
    world.state().threads.push_back(world.state().threads[0]);
    world.map(MemoryKind::A, 4);
    world.open(Feature::event_unmap);
    world.register_(0, 1, Mode::missing);
    world.register_(2, 1, Mode::missing);
    EXPECT_EQ(unmap(world, 0, 3).verdict, Verdict::done);
    EXPECT_EQ(world.state().threads[0].waiting, Waiting::event);
    Call read{.op = Op::uffd_read, .thread = 1, .fd = world.fd};
    read.length = 320;
    EXPECT_EQ(world.step(read).value, 32);
    ASSERT_EQ(world.delivered.size(), 1U);
    EXPECT_EQ(world.delivered[0].kind, MessageKind::unmap);
    EXPECT_EQ(world.delivered[0].address, 0U);
    EXPECT_EQ(world.delivered[0].end, to_bytes(3));
    EXPECT_EQ(world.state().threads[0].waiting, Waiting::no);
}

TEST(Munmap, SendsNothingToAContextThatDidNotAsk) {  // E-ZP15
    World world;
    world.map(MemoryKind::A, 2);
    world.open(0);
    world.register_(0, 2, Mode::missing);
    unmap(world, 0, 2);
    EXPECT_EQ(world.state().threads[0].waiting, Waiting::no);
    EXPECT_EQ(world.state().contexts[0].mmap_changing, 0);
}

}  // namespace
}  // namespace verso::mm
