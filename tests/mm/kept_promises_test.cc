// What no release keeps yet (rules.h, not_yet): with the rule on a promise is kept, with it off the
// model does what Linux 6.18 was seen to do. Each test makes the same steps under both.
#include <cerrno>
#include <functional>

#include "mm/history.h"
#include "mm/pagemap_scan.h"

#include "mm/armed.h"

namespace verso::mm {
namespace {

using K = MemoryKind;
using abi::PageIs;
using Flag = abi::PagemapScanFlag;

/// With the rule on, then off: everything else as in mainline.
void both_ways(bool Rules::*rule, const std::function<void(const Rules&, bool)>& steps) {
    for (const bool on : {true, false}) {
        Rules rules = mainline();
        rules.*rule = on;
        SCOPED_TRACE(on ? "kept" : "as on 6.18");
        steps(rules, on);
    }
}

/// Arms what matches `mask`, pages [0, count).
Outcome arm(World& world, u32 count, u64 mask = PageIs::written, u32 room = 8, u32 pages_max = 0) {
    ScanArg arg;
    arg.flags = Flag::wp_matching | Flag::check_wp_async;
    arg.end = to_bytes(count);
    arg.vec_len = room;
    arg.max_pages = pages_max;
    arg.category_mask = mask;
    arg.return_mask = PageIs::written;
    return world.step(to_call(arg));
}

Outcome range(World& world, Op op, Vpn first, u32 count, u8 fd, u32 flags = 0) {
    Call call{.op = op, .fd = fd, .flags = flags};
    call.address = to_bytes(first);
    call.length = to_bytes(count);
    return world.step(call);
}

Outcome remap(World& world, Vpn from, u32 pages, u32 flags, Vpn to = 0) {
    Call call{.op = Op::mremap, .flags = flags};
    call.address = to_bytes(from);
    call.length = call.extra = to_bytes(pages);
    call.source = to_bytes(to);
    return world.step(call);
}

Outcome truncate(World& world) {
    Call call{.op = Op::ftruncate, .fd = world.file};
    return world.step(call);
}

TEST(KeptPromises, MergingKeepsProtection) {  // E-KS2
    both_ways(&Rules::merge_keeps_u, [](const Rules& rules, bool on) {
        World world(rules);
        world.map(K::A, 2);
        world.madvise(0, 2, Advice::mergeable);
        world.store(0, 7);
        world.store(1, 7);
        world.open(Feature::sigbus);
        world.register_(0, 2, Mode::wp);
        world.protect(0, 2);
        Call merge{.op = Op::ksm_merge};
        merge.source = page_size;
        ASSERT_EQ(world.step(merge).verdict, Verdict::done);
        EXPECT_TRUE(world.entry(0).uffd_wp) << "this page stays where it is";
        EXPECT_EQ(world.entry(1).uffd_wp, on);
        EXPECT_EQ(told(world.store(1, 8)), on);
    });
}

TEST(KeptPromises, ARangeThatStaysKeepsProtection) {  // E-MR8
    both_ways(&Rules::dontunmap_keeps_u, [](const Rules& rules, bool on) {
        World world = armed(K::SS, rules);
        const u32 flags = RemapFlags::may_move | RemapFlags::dontunmap;
        ASSERT_EQ(remap(world, 0, 2, flags).verdict, Verdict::done);
        EXPECT_EQ(world.entry(0).is_marker(Marker::uffd_wp), on);
        EXPECT_EQ(told(world.store(0, 8)), on);
    });
}

TEST(KeptPromises, WhatIsInSwapMovesWithoutItsProtection) {  // MV-17
    both_ways(&Rules::moved_swap_loses_u, [](const Rules& rules, bool on) {
        World world(rules);
        world.map(K::A, 4);
        world.open(Feature::move);
        world.store(2, 7);
        world.register_(2, 1, Mode::wp);
        world.protect(2, 1);
        ASSERT_EQ(world.kernel(Op::reclaim, 2).verdict, Verdict::done);
        world.register_(0, 1, Mode::missing);
        Call move{.op = Op::uffd_move, .fd = world.fd};
        move.source = to_bytes(2);
        move.length = page_size;
        ASSERT_EQ(world.step(move).verdict, Verdict::done);
        EXPECT_EQ(world.entry(0).kind, EntryKind::swap);
        EXPECT_EQ(world.entry(0).uffd_wp, !on);
    });
}

TEST(KeptPromises, RegisteringAnewWithoutProtectionLiftsIt) {  // RG-14
    both_ways(&Rules::reregister_clears_u, [](const Rules& rules, bool on) {
        for (const MemoryKind kind : sync_kinds) {
            World world = armed(kind, rules);
            ASSERT_EQ(world.register_(0, 2, Mode::missing).verdict, Verdict::done);
            EXPECT_EQ(world.entry(0).uffd_wp, !on);
            EXPECT_EQ(world.broken().starts_with("I4"), !on);
        }
    });
}

TEST(KeptPromises, UnregisteringWakesWhoSleepsInAFaultOfProtection) {  // UN-8
    for (const u32 mode : {Mode::wp, Mode::wp | Mode::missing}) {
        both_ways(&Rules::unregister_wakes_all, [mode](const Rules& rules, bool on) {
            World world(rules);
            world.map(K::A, 2);
            const u8 other = second_thread(world);
            world.store(0, 7);
            world.open(Feature::pagefault_flag_wp);
            world.register_(0, 2, mode);
            world.protect(0, 1);
            ASSERT_EQ(world.store(0, 8, other).verdict, Verdict::blocked);
            world.unregister(0, 2);
            const bool with_missing = (mode & Mode::missing) != 0;
            EXPECT_EQ(world.state().threads[other].waiting,
                      on || with_missing ? Waiting::retry : Waiting::fault);
            EXPECT_EQ(nobody_blocked(world.state(), 0, false).empty(), on || with_missing);
        });
    }
}

TEST(KeptPromises, MemoryObeysItsOwnUserfaultfdAlone) {  // FL-6, WP-9
    both_ways(&Rules::ioctls_ask_owner, [](const Rules& rules, bool on) {
        World world = armed(K::A, rules);
        const u8 other = world.open(Feature::sigbus);
        const Outcome cleared = world.clear(0, 1);
        EXPECT_EQ(cleared.verdict, on ? Verdict::failed : Verdict::done);
        EXPECT_EQ(cleared.error, on ? ENOENT : 0);
        EXPECT_EQ(world.entry(0).uffd_wp, on);
        EXPECT_EQ(world.fd, other);
        EXPECT_EQ(silent(world.copy(1, 9)), !on);
    });
}

TEST(KeptPromises, ADroppedCopyIsWritten) {  // E-ZP5
    both_ways(&Rules::dropped_copy_is_written, [](const Rules& rules, bool on) {
        for (const MemoryKind kind : {K::SP, K::HP, K::FP}) {
            World world = armed(kind, rules, async);
            world.madvise(0, 2, Advice::dontneed);
            EXPECT_EQ(world.entry(0).none(), on);
            EXPECT_EQ(world.entry(0).is_marker(Marker::uffd_wp), !on);
        }
    });
}

TEST(KeptPromises, AnEmptyHugetlbEntryIsWritten) {  // SC-26, SC-33
    both_ways(&Rules::empty_hugetlb_is_written, [](const Rules& rules, bool on) {
        World world = registered(K::HS, rules, async);
        EXPECT_EQ(arm(world, 2).value, on ? 1 : 0);
        EXPECT_EQ(world.entry(0).is_marker(Marker::uffd_wp), on);
    });
}

TEST(KeptPromises, AScanWithoutAVectorArmsWhatMatches) {  // SC-30
    both_ways(&Rules::blind_scan_selects, [](const Rules& rules, bool on) {
        World world = registered(K::SS, rules, async);
        world.load(1);
        EXPECT_EQ(arm(world, 1, PageIs::written | PageIs::file, 0).verdict, Verdict::done);
        EXPECT_EQ(world.entry(0).none(), on);
        World many = registered(K::SS, rules, async);
        many.load(1);
        EXPECT_EQ(arm(many, 2, PageIs::written, 0, 1).verdict, Verdict::done);
        EXPECT_EQ(many.entry(1).uffd_wp, !on) << "one page was enough";
    });
}

TEST(KeptPromises, AScanThatFailsArmsNothing) {  // SC-9, SC-38
    both_ways(&Rules::failed_scan_arms_nothing, [](const Rules& rules, bool on) {
        World world(rules);
        world.map(K::SS, 2);
        world.open(async);
        world.register_(0, 1, Mode::wp);
        EXPECT_EQ(arm(world, 2).error, EPERM);
        EXPECT_EQ(world.entry(0).none(), on);
    });
}

TEST(KeptPromises, InstallingAGuardOverProtectionEnds) {  // E-GR2
    both_ways(&Rules::guard_install_ends, [](const Rules& rules, bool on) {
        for (const MemoryKind kind : {K::SS, K::SP}) {
            World world = armed(kind, rules);
            const Outcome installed = world.madvise(0, 2, Advice::guard_install);
            EXPECT_EQ(installed.verdict, on ? Verdict::done : Verdict::hangs);
            EXPECT_EQ(world.entry(0).is_marker(Marker::guard), on);
            EXPECT_EQ(nobody_blocked(world.state(), 0, false).empty(), on);
        }
        World anonymous = armed(K::A, rules);
        EXPECT_EQ(anonymous.madvise(0, 2, Advice::guard_install).verdict, Verdict::done);
    });
}

TEST(KeptPromises, AFaultOnAMarkerInLockedFileMemoryEnds) {  // FC-8, FC-9
    both_ways(&Rules::locked_marker_fault_ends, [](const Rules& rules, bool on) {
        for (const MemoryKind kind : {K::FS, K::FP}) {
            World world = registered(kind, rules, async);
            world.protect(0, 2);
            world.state().find_vma(0, 0)->flags |= VmFlag::locked;
            EXPECT_EQ(world.load(0).verdict, on ? Verdict::done : Verdict::hangs);
            EXPECT_EQ(world.step({.op = Op::exit}).verdict, Verdict::done) << "it can be killed";
        }
    });
}

TEST(KeptPromises, AFillLeavesAGuard) {  // FL-27, E-GR8
    both_ways(&Rules::fills_leave_guards, [](const Rules& rules, bool on) {
        for (const MemoryKind kind : {K::A, K::SS, K::SP}) {
            World world = registered(kind, rules, Feature::sigbus, Mode::missing);
            world.madvise(0, 1, Advice::guard_install);
            EXPECT_EQ(silent(world.copy(0, 9)), !on);
            EXPECT_EQ(world.entry(0).is_marker(Marker::guard), on);
        }
    });
}

TEST(KeptPromises, AFillEndsWithTheFile) {  // FL-15
    both_ways(&Rules::fills_end_with_file, [](const Rules& rules, bool on) {
        for (const MemoryKind kind : {K::HP, K::HS}) {
            World world = registered(kind, rules, Feature::sigbus, Mode::missing);
            truncate(world);
            const Outcome copied = range(world, Op::uffd_copy, 0, 2, world.fd);
            const bool fills = !on && kind == K::HP;
            EXPECT_EQ(copied.error, fills ? 0 : EFAULT);
            EXPECT_EQ(world.entry(0).present(), fills);
        }
    });
}

TEST(KeptPromises, AScanDoesNotArmAGuard) {  // SC-34
    both_ways(&Rules::scan_leaves_guards, [](const Rules& rules, bool on) {
        World world = registered(K::A, rules, async);
        world.madvise(0, 1, Advice::guard_install);
        EXPECT_EQ(arm(world, 1).value, 1);
        EXPECT_TRUE(world.entry(0).is_marker(Marker::guard));
        EXPECT_EQ(arm(world, 1).value, on ? 1 : 0) << "called clean";
        world.madvise(0, 1, Advice::guard_install);
        EXPECT_EQ(world.entry(0).uffd_wp, !on) << "a guard that is there stays as it is";
    });
}

TEST(KeptPromises, AScanDoesNotArmAPoisonedPage) {  // SC-34
    both_ways(&Rules::scan_leaves_poison, [](const Rules& rules, bool on) {
        for (const MemoryKind kind : {K::SS, K::HS}) {
            World world = registered(kind, rules, async);
            range(world, Op::uffd_poison, 0, 2, world.fd);
            EXPECT_EQ(arm(world, 2).value, 1);
            EXPECT_EQ(world.entry(0).uffd_wp, !on && kind == K::SS);
            EXPECT_EQ(world.load(0).verdict, Verdict::sigbus);
        }
    });
}

TEST(KeptPromises, AMappingThatMovesLeavesItsNewNeighbourRegistered) {  // E-MR2
    both_ways(&Rules::mremap_leaves_neighbour, [](const Rules& rules, bool on) {
        const u32 flags = RemapFlags::may_move | RemapFlags::fixed;
        World world(rules, Shape{.space_pages = 8});
        world.map(K::SS, 2);
        world.store(1, 7);
        world.open(Feature::sigbus);
        world.register_(0, 2, Mode::wp);
        remap(world, 1, 1, flags, 5);
        world.register_(5, 1, Mode::wp);
        world.protect(5, 1);
        ASSERT_EQ(remap(world, 0, 1, flags, 4).verdict, Verdict::done);
        EXPECT_EQ(world.vma(5).context, on ? world.fd : nobody);
        EXPECT_EQ(told(world.store(5, 8)), on);
    });
}

TEST(KeptPromises, TruncationLeavesHugetlbMarkers) {  // E-ZP12
    both_ways(&Rules::hugetlb_truncation_keeps_u, [](const Rules& rules, bool on) {
        World world = armed(K::HS, rules);
        truncate(world);
        EXPECT_EQ(world.entry(0).is_marker(Marker::uffd_wp), on);
    });
}

/// Two pages of shared memory as one huge page.
World huge_shmem(const Rules& rules) {
    World world(rules);
    world.map(K::SS, 2);
    world.store(0, 7);
    world.store(1, 8);
    EXPECT_EQ(world.kernel(Op::thp_collapse, 0).verdict, Verdict::done);
    return world;
}

TEST(KeptPromises, AHugePageOfSharedMemoryThatIsSplitKeepsProtection) {  // FT-5, E-TH5
    both_ways(&Rules::huge_shmem_keeps_u, [](const Rules& rules, bool on) {
        World world = huge_shmem(rules);
        world.open(async);
        world.register_(0, 2, Mode::wp);
        EXPECT_EQ(arm(world, 2).value, 1);
        EXPECT_TRUE(silent(world.store(0, 9)));
        EXPECT_EQ(world.entry(1).is_marker(Marker::uffd_wp), on);
        EXPECT_EQ(world.load(0).value, 9);
        EXPECT_EQ(world.load(1).value, 8);
    });
}

TEST(KeptPromises, AHugePageOfSharedMemoryStaysMappedWhenItIsStoredTo) {  // FT-6, E-TH4
    both_ways(&Rules::huge_shmem_stays_mapped, [](const Rules& rules, bool on) {
        World world = huge_shmem(rules);
        world.open(Feature::sigbus);
        world.register_(0, 2, Mode::wp);
        world.unregister(0, 2);
        ASSERT_FALSE(world.entry(0).write);
        world.register_(0, 2, Mode::minor);
        EXPECT_EQ(silent(world.store(0, 9)), on);
        EXPECT_EQ(world.entry(0).present(), on);
    });
}

TEST(KeptPromises, AChildHasThePoisonOfASharedMapping) {  // E-FK9
    both_ways(&Rules::fork_copies_poison, [](const Rules& rules, bool on) {
        for (const MemoryKind kind : {K::SS, K::HS, K::SP}) {
            World world = registered(kind, rules, Feature::sigbus, Mode::missing);
            range(world, Op::uffd_poison, 0, 2, world.fd);
            ASSERT_EQ(world.step({.op = Op::fork}).verdict, Verdict::done);
            EXPECT_EQ(world.entry(0, 1).is_marker(Marker::poisoned), on || kind == K::SP);
        }
    });
}

TEST(KeptPromises, AreOffInEveryReleaseAndOnInMended) {
    unsigned rules = 0;
    for (const Switch& one : switches()) {
        if (one.since != not_yet) {
            continue;
        }
        ++rules;
        for (const std::string& name : preset_names()) {
            EXPECT_EQ((*preset(name)).*one.value, name == "mended") << one.name << " " << name;
        }
        EXPECT_TRUE(mainline().*one.value) << one.name;
    }
    EXPECT_EQ(rules, 21U);
}

// Not a promise: until 6.2 the hint left the write bit where it was (pte_mk_savedwrite()).
TEST(KeptPromises, AHintTakesWriteAwaySince62) {
    for (const char* const name : {"6.1", "6.2"}) {
        World world(*preset(name));
        world.map(K::SS, 2);
        second_thread(world);
        world.store(0, 7);
        ASSERT_EQ(world.kernel(Op::numa_scan, 0).verdict, Verdict::done);
        EXPECT_EQ(world.entry(0).write, std::string_view(name) == "6.1");
        EXPECT_EQ(world.load(0).value, 7);
        EXPECT_TRUE(world.entry(0).write);
    }
}

}  // namespace
}  // namespace verso::mm
