// COPY, ZEROPAGE, CONTINUE, POISON: section 5.4.
#include <cerrno>

#include "mm/world.h"

namespace verso::mm {
namespace {

constexpr u32 dont_wake = 1;
constexpr u32 mode_wp = 2;
constexpr u8 handler = 1;

World registered(MemoryKind kind, u32 mode = Mode::missing | Mode::wp, Rules rules = {}) {
    World world(rules);
    world.state().threads.push_back(world.state().threads[0]);
    world.map(kind, 4);
    world.open(rules.has_wp_unpopulated ? Feature::wp_unpopulated : 0);
    EXPECT_EQ(world.register_(0, 4, mode).verdict, Verdict::done);
    return world;
}

void put(World& world, Vpn at, const Entry& entry) {
    Machine machine = world.machine();
    set_pte(machine, 0, at, entry);
}

/// A page in the cache of the mapped file, mapped nowhere.
PageId fill_cache(World& world, u32 index, Contents contents) {
    Machine machine = world.machine();
    const PageId page = cache_page(machine, world.file, index, true);
    world.state().pages[page].contents = contents;
    return page;
}

Outcome fill(World& world, Op op, Vpn first, u32 count, u32 mode = 0) {
    return world.range(op, first, count, mode);
}

const Op all_fills[] = {Op::uffd_copy, Op::uffd_zeropage, Op::uffd_continue, Op::uffd_poison};

TEST(Fill, KnowsItsModes) {  // FL-4
    World world = registered(MemoryKind::SS);
    for (const Op op : all_fills) {
        EXPECT_EQ(fill(world, op, 0, 1, 4).error, EINVAL) << to_string(op);
    }
    EXPECT_EQ(fill(world, Op::uffd_zeropage, 0, 1, mode_wp).error, EINVAL);
    EXPECT_EQ(fill(world, Op::uffd_poison, 0, 1, mode_wp).error, EINVAL);
    EXPECT_EQ(fill(world, Op::uffd_continue, 0, 1, mode_wp).error, EFAULT) << "known, no page";
    World old = registered(MemoryKind::SS, Mode::wp, preset("6.3").value());
    EXPECT_EQ(fill(old, Op::uffd_continue, 0, 1, mode_wp).error, EINVAL) << "before 6.4";
}

TEST(Fill, ChecksSourceAndDestination) {  // FL-3
    World world = registered(MemoryKind::A);
    Call call{.op = Op::uffd_copy, .fd = world.fd, .length = page_size};
    call.source = ~u64{0} - 10;
    EXPECT_EQ(world.step(call).error, EINVAL);
    call.source = u64{1} << 47;
    EXPECT_EQ(world.step(call).error, EINVAL);
    EXPECT_EQ(fill(world, Op::uffd_copy, 0, 0).error, EINVAL);
    EXPECT_EQ(fill(world, Op::uffd_copy, 3, 2).error, EINVAL);
}

TEST(Fill, NeedsOneVmaOfThisContext) {  // FL-6, FL-25
    World world;
    world.map(MemoryKind::A, 1, 0);
    world.open(0);
    EXPECT_EQ(fill(world, Op::uffd_copy, 0, 1).error, ENOENT) << "not registered";
    world.register_(0, 1, Mode::missing);
    EXPECT_EQ(fill(world, Op::uffd_copy, 0, 2).error, ENOENT) << "leaves the VMA";
    EXPECT_EQ(fill(world, Op::uffd_copy, 2, 1).error, ENOENT) << "no VMA";
    world.open(0);
    const Outcome foreign = fill(world, Op::uffd_copy, 0, 1);
    EXPECT_EQ(foreign.error, ENOENT);
    EXPECT_EQ(foreign.value, -ENOENT) << "also in the result field";
}

TEST(Fill, ProtectsOnlyWhatIsRegisteredForIt) {  // FL-8
    World world = registered(MemoryKind::SS, Mode::missing);
    fill_cache(world, 1, 5);
    EXPECT_EQ(fill(world, Op::uffd_copy, 0, 1, mode_wp).error, EINVAL);
    EXPECT_EQ(fill(world, Op::uffd_continue, 1, 1, mode_wp).error, EINVAL);
}

TEST(Fill, TakesHugetlbPagesWhole) {  // FL-9
    World world = registered(MemoryKind::HS);
    EXPECT_EQ(fill(world, Op::uffd_zeropage, 0, 2).error, EINVAL);
    EXPECT_EQ(fill(world, Op::uffd_copy, 0, 1).error, EINVAL);
    EXPECT_EQ(fill(world, Op::uffd_copy, 1, 2).error, EINVAL);
    EXPECT_EQ(fill(world, Op::uffd_copy, 0, 2).error, 0);
}

TEST(Fill, DoesNotServeOrdinaryFilesNorMinorFaultsOfAnonymousMemory) {  // FL-10
    World file;
    file.map(MemoryKind::FS, 2);
    file.open(Feature::wp_async);
    file.register_(0, 2, Mode::wp);
    EXPECT_EQ(fill(file, Op::uffd_copy, 0, 1).error, EINVAL);
    World anonymous = registered(MemoryKind::A);
    EXPECT_EQ(fill(anonymous, Op::uffd_continue, 0, 1).error, EINVAL);
}

TEST(Fill, SaysWhenThereIsNoMemory) {  // FL-11
    World world = registered(MemoryKind::A);
    for (Page& page : world.state().pages) {
        page.use = PageUse::device;
    }
    EXPECT_EQ(fill(world, Op::uffd_copy, 0, 1).error, ENOMEM);
}

TEST(Fill, FindsAHugePageInTheWay) {  // FL-12
    World world;
    world.state().thp_enabled = true;
    world.map(MemoryKind::A, 2);
    world.store(0, 1);
    world.open(0);
    world.register_(0, 2, Mode::missing);
    for (const Op op : {Op::uffd_copy, Op::uffd_zeropage, Op::uffd_poison}) {
        EXPECT_EQ(fill(world, op, 1, 1).error, EEXIST) << to_string(op);
    }
}

TEST(Fill, EndsWithTheFile) {  // FL-15, FL-21
    for (const MemoryKind kind : {MemoryKind::SS, MemoryKind::SP}) {
        World world = registered(kind);
        world.state().files[world.file].size = 2;
        for (const Op op : all_fills) {
            const int error = op == Op::uffd_continue ? EINVAL : EFAULT;  // as 6.18 showed
            EXPECT_EQ(fill(world, op, 2, 1).error, error) << to_string(op);
        }
    }
}

TEST(Fill, CountsWhatItDidBeforeItFailed) {  // FL-25
    World world = registered(MemoryKind::A);
    world.copy(2, 1);
    const Outcome partly = fill(world, Op::uffd_zeropage, 0, 4);
    EXPECT_EQ(partly.error, EAGAIN);
    EXPECT_EQ(partly.value, 2 * 4096);
    EXPECT_EQ(partly.progress, 2 * page_size);
    const Outcome none = fill(world, Op::uffd_zeropage, 2, 2);
    EXPECT_EQ(none.error, EEXIST);
    EXPECT_EQ(none.value, -EEXIST);
    EXPECT_EQ(fill(world, Op::uffd_zeropage, 3, 1).progress, page_size);
}

TEST(Fill, WakesWhomItServed) {  // FL-26
    World world = registered(MemoryKind::A);
    EXPECT_EQ(world.load(1).verdict, Verdict::blocked);
    Call copy{.op = Op::uffd_copy, .thread = handler, .fd = world.fd, .flags = dont_wake};
    copy.address = copy.length = page_size;
    copy.value = 7;
    EXPECT_EQ(world.step(copy).verdict, Verdict::done);
    EXPECT_EQ(world.state().threads[0].waiting, Waiting::fault) << "DONTWAKE";
    Call wake{.op = Op::uffd_wake, .thread = handler, .fd = world.fd};
    wake.address = wake.length = page_size;
    world.step(wake);
    EXPECT_EQ(world.retry(), Outcome::ok(7));
}

TEST(Fill, DoesNotExistInOlderReleases) {  // section 4
    World world = registered(MemoryKind::A, Mode::missing, preset("6.4").value());
    EXPECT_EQ(fill(world, Op::uffd_poison, 0, 1).error, EINVAL);
}

TEST(Copy, ReplacesNothingButMarkers) {  // FL-16, FL-27
    World world = registered(MemoryKind::A);
    for (const u8 marker : {Marker::uffd_wp, Marker::poisoned}) {
        put(world, 1, make_marker(marker));
        EXPECT_EQ(world.copy(1, 3).error, 0);
        put(world, 1, Entry{});
    }
    put(world, 1, make_marker(Marker::guard));
    EXPECT_EQ(world.copy(1, 3).error, EEXIST);
    fill(world, Op::uffd_zeropage, 0, 1);
    EXPECT_EQ(world.copy(0, 3).error, EEXIST);
    put(world, 2, make_swap(0));
    EXPECT_EQ(world.copy(2, 3).error, EEXIST);
}

TEST(Copy, FindsAPageInTheCache) {  // FL-18
    World world = registered(MemoryKind::SS);
    fill_cache(world, 0, 5);
    EXPECT_EQ(world.copy(0, 3).error, EEXIST);
    World private_one = registered(MemoryKind::SP);
    fill_cache(private_one, 0, 5);
    EXPECT_EQ(private_one.copy(0, 3).error, 0) << "a private copy hides it";
    EXPECT_EQ(private_one.load(0).value, 3);
}

TEST(Copy, MakesAnAnonymousPage) {  // FL-28
    for (const MemoryKind kind : {MemoryKind::A, MemoryKind::SP}) {
        for (const bool protects : {false, true}) {
            World world = registered(kind);
            EXPECT_EQ(world.copy(0, 3, protects ? mode_wp : 0),
                      (Outcome{Verdict::done, 0, 4096, 4096}));
            const Entry entry = world.entry(0);
            const Page& page = world.state().pages[entry.target];
            EXPECT_EQ(page.use, PageUse::anonymous);
            EXPECT_TRUE(page.anon_exclusive);
            EXPECT_TRUE(entry.dirty);
            EXPECT_EQ(entry.write, !protects);
            EXPECT_EQ(entry.uffd_wp, protects);
            EXPECT_EQ(world.load(0).value, 3);
        }
    }
}

TEST(Copy, GivesASharedPageToTheFileFirst) {  // FL-29
    World world = registered(MemoryKind::SS);
    EXPECT_EQ(world.copy(1, 3).error, 0);
    const PageId page = world.state().files[world.file].cache[1].page;
    EXPECT_EQ(world.entry(1).target, page);
    EXPECT_TRUE(world.entry(1).write);
    EXPECT_TRUE(world.entry(1).dirty);
    EXPECT_EQ(world.state().pages[page].contents, 3U);
}

TEST(Copy, FillsAWholeHugetlbPage) {  // FL-28, FL-29
    for (const MemoryKind kind : {MemoryKind::HS, MemoryKind::HP}) {
        World world = registered(kind);
        EXPECT_EQ(fill(world, Op::uffd_copy, 0, 2, mode_wp).error, 0);
        EXPECT_TRUE(world.entry(0).uffd_wp);
        EXPECT_FALSE(world.entry(0).write);
        EXPECT_EQ(fill(world, Op::uffd_copy, 2, 2).error, 0);
        EXPECT_TRUE(world.entry(2).write);
        EXPECT_EQ(fill(world, Op::uffd_copy, 2, 2).error, EEXIST);
    }
}

TEST(Copy, WithoutModeWpEndsProtection) {  // FL-30
    World world = registered(MemoryKind::A);
    world.protect(0, 1);
    EXPECT_EQ(world.copy(0, 3).error, 0);
    EXPECT_EQ(world.store(0, 4).verdict, Verdict::done);
}

TEST(Copy, ProtectsWhatMayNotBeWrittenSince518) {  // FL-36, FX-4
    for (const bool fixed : {true, false}) {
        Rules rules;
        rules.copy_wp_ignores_vm_write = fixed;
        World world = registered(MemoryKind::A, Mode::missing | Mode::wp, rules);
        world.mprotect(0, 4, MapFlags::read);
        EXPECT_EQ(world.copy(0, 3, mode_wp).error, 0);
        EXPECT_EQ(world.entry(0).uffd_wp, fixed);
        world.mprotect(0, 4, MapFlags::read | MapFlags::write);
        EXPECT_EQ(world.store(0, 4).verdict, fixed ? Verdict::blocked : Verdict::done);
    }
}

TEST(Copy, KeepsWriteUnderProtectionWithoutEitherDesign) {  // FX-3, S0-06
    for (const bool by_hand : {false, true}) {
        Rules rules = with_designs(Rules{}, false, false);
        rules.wp_site_removal = by_hand ? WpSite::copy : u8{0};
        World world = registered(MemoryKind::SS, Mode::missing | Mode::wp, rules);
        world.copy(0, 3, mode_wp);
        EXPECT_TRUE(world.entry(0).uffd_wp);
        EXPECT_EQ(world.entry(0).write, !by_hand) << "I1";
    }
}

TEST(Zeropage, NeedsAnEmptyEntry) {  // FL-19
    for (const MemoryKind kind : {MemoryKind::A, MemoryKind::SP}) {
        World world = registered(kind);
        put(world, 0, make_marker(Marker::uffd_wp));
        EXPECT_EQ(fill(world, Op::uffd_zeropage, 0, 1).error, EEXIST);
        put(world, 0, make_marker(Marker::guard));
        EXPECT_EQ(fill(world, Op::uffd_zeropage, 0, 1).error, EEXIST);
    }
}

TEST(Zeropage, MapsTheZeroPage) {  // FL-31
    for (const MemoryKind kind : {MemoryKind::A, MemoryKind::SP}) {
        World world = registered(kind);
        EXPECT_EQ(fill(world, Op::uffd_zeropage, 0, 1).error, 0);
        EXPECT_TRUE(world.entry(0).zero);
        EXPECT_FALSE(world.entry(0).write);
        EXPECT_FALSE(world.entry(0).uffd_wp);
        EXPECT_EQ(world.load(0).value, 0);
    }
}

TEST(Zeropage, GivesASharedFileAPageOfZeroes) {  // FL-32
    World world = registered(MemoryKind::SS);
    EXPECT_EQ(fill(world, Op::uffd_zeropage, 0, 1).error, 0);
    EXPECT_NE(world.state().files[world.file].cache[0].page, no_page);
    EXPECT_TRUE(world.entry(0).write);
    EXPECT_TRUE(world.entry(0).dirty);
}

TEST(Poison, NeedsAnEmptyEntry) {  // FL-20
    World world = registered(MemoryKind::A);
    for (const u8 marker : {Marker::uffd_wp, Marker::poisoned, Marker::guard}) {
        put(world, 0, make_marker(marker));
        EXPECT_EQ(fill(world, Op::uffd_poison, 0, 1).error, EEXIST);
    }
}

TEST(Poison, KillsWhoTouchesThePage) {  // FL-35, FA-7
    for (const MemoryKind kind : {MemoryKind::A, MemoryKind::SS, MemoryKind::SP}) {
        World world = registered(kind);
        EXPECT_EQ(fill(world, Op::uffd_poison, 0, 1).error, 0);
        EXPECT_EQ(world.entry(0), make_marker(Marker::poisoned));
        EXPECT_EQ(world.load(0).verdict, Verdict::sigbus);
    }
    World huge = registered(MemoryKind::HS);
    EXPECT_EQ(fill(huge, Op::uffd_poison, 0, 2).error, 0);
    EXPECT_EQ(huge.load(1).verdict, Verdict::sigbus);
}

TEST(Continue, NeedsAPageInTheCache) {  // FL-21
    World world = registered(MemoryKind::SS);
    EXPECT_EQ(fill(world, Op::uffd_continue, 0, 1).error, EFAULT);
    put(world, 0, make_marker(Marker::uffd_wp));
    EXPECT_EQ(fill(world, Op::uffd_continue, 0, 1).error, EFAULT) << "a marker over a hole";
}

TEST(Continue, RefusesAPageThatHardwareLost) {  // FL-22
    World world = registered(MemoryKind::SS);
    world.state().pages[fill_cache(world, 0, 5)].hwpoison = true;
    EXPECT_EQ(fill(world, Op::uffd_continue, 0, 1).error, EIO);
}

TEST(Continue, ReplacesNothingButMarkers) {  // FL-23, FL-27
    World world = registered(MemoryKind::SS);
    fill_cache(world, 0, 5);
    put(world, 0, make_marker(Marker::guard));
    EXPECT_EQ(fill(world, Op::uffd_continue, 0, 1).error, EEXIST);
    put(world, 0, make_marker(Marker::poisoned));
    EXPECT_EQ(fill(world, Op::uffd_continue, 0, 1).error, 0);
    EXPECT_EQ(fill(world, Op::uffd_continue, 0, 1).error, EEXIST);
}

TEST(Continue, MapsTheFilesPage) {  // FL-33, FL-36; no mode asks for VM_UFFD_MINOR
    for (const bool protects : {false, true}) {
        World world = registered(MemoryKind::SS);
        const PageId page = fill_cache(world, 0, 5);
        EXPECT_EQ(fill(world, Op::uffd_continue, 0, 1, protects ? mode_wp : 0).error, 0);
        EXPECT_EQ(world.entry(0).target, page);
        EXPECT_EQ(world.entry(0).write, !protects);
        EXPECT_EQ(world.entry(0).uffd_wp, protects);
        EXPECT_TRUE(world.entry(0).dirty);
    }
}

TEST(Continue, MapsTheFilesPageReadOnlyIntoPrivateMemory) {  // FL-34
    for (const MemoryKind kind : {MemoryKind::SP, MemoryKind::HP}) {
        World world = registered(kind);
        const PageId page = fill_cache(world, 0, 5);
        EXPECT_EQ(fill(world, Op::uffd_continue, 0, 2 - (kind == MemoryKind::SP)).error, 0);
        EXPECT_EQ(world.entry(0).target, page);
        EXPECT_FALSE(world.entry(0).write);
        EXPECT_EQ(world.store(0, 6).verdict, Verdict::done);
        EXPECT_EQ(world.state().pages[page].contents, 5U) << "the file keeps its own";
    }
}

TEST(Continue, WithoutModeWpEndsProtection) {  // FL-30a
    World world = registered(MemoryKind::SS);
    fill_cache(world, 0, 5);
    world.protect(0, 1);
    EXPECT_EQ(fill(world, Op::uffd_continue, 0, 1).error, 0);
    EXPECT_EQ(world.store(0, 6).verdict, Verdict::done);
}

TEST(Continue, WaitsForAPageThatIsMigrating) {
    World world = registered(MemoryKind::SS);
    world.state().pages[fill_cache(world, 0, 5)].locked = true;
    EXPECT_EQ(fill(world, Op::uffd_continue, 0, 1).verdict, Verdict::disabled);
}

}  // namespace
}  // namespace verso::mm
