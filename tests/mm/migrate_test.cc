// Migration, section 8.4, and what section 14.4 says of it.
#include "mm/armed.h"

namespace verso::mm {
namespace {

using K = MemoryKind;

Rules neither() { return with_designs(mainline(), false, false); }
Rules with_restore(Rules rules, MigrationRestore restore) {
    rules.migration_restore = restore;
    return rules;
}
const MigrationRestore designs[] = {MigrationRestore::from_vma, MigrationRestore::uffd_special_case,
                                    MigrationRestore::by_entry_type};
Outcome device(World& world, Op op, Vpn at, u32 flags = 0) {
    Call call{.op = op, .flags = flags};
    call.address = to_bytes(at);
    return world.step(call);
}

// E-MG1
TEST(Migrate, TheEntrySaysWhatThePageWas) {
    World world;
    world.map(K::A, 2);
    world.store(0, 7);
    world.kernel(Op::migrate_begin, 0);
    EXPECT_EQ(world.entry(0).migration, MigrationKind::write);
    World protected_page = armed(K::A);
    protected_page.kernel(Op::migrate_begin, 0);
    EXPECT_EQ(protected_page.entry(0).migration, MigrationKind::read_exclusive);
    EXPECT_TRUE(protected_page.entry(0).uffd_wp && protected_page.entry(0).soft_dirty);
    World shared = armed(K::SS);
    shared.kernel(Op::migrate_begin, 0);
    EXPECT_EQ(shared.entry(0).migration, MigrationKind::read);
    EXPECT_EQ(shared.broken(), "");
}

// E-MG3, E-MG4, E-MG7, E-MG12
TEST(Migrate, ARoundTripMovesThePageAndChangesNothingElse) {
    for (const MemoryKind kind : every_kind) {
        for (const bool protect : {true, false}) {
            SCOPED_TRACE(testing::PrintToString(kind));
            const bool files = kind == K::FS || kind == K::FP;
            World world = armed(kind, mainline(), files ? async : Feature::sigbus);
            if (!protect) {
                world.clear(0, 2);
                world.store(0, 7);
            }
            Entry before = world.entry(0);
            EXPECT_EQ(world.migrate(0), Outcome::ok(1));
            const Entry after = world.entry(0);
            EXPECT_NE(after.target, before.target);
            before.target = after.target;
            EXPECT_EQ(after, before);
            EXPECT_EQ(world.load(0).value, 7);
            EXPECT_EQ(world.broken(), "");
        }
    }
}

// E-MG8, S2-10
TEST(Migrate, AMigrationThatFailsLeavesEverythingAsItWas) {
    for (const MigrationRestore restore : designs) {
        for (const MemoryKind kind : sync_kinds) {
            SCOPED_TRACE(testing::PrintToString(kind));
            World world = armed(kind, with_restore(mainline(), restore));
            const State before = world.state();
            EXPECT_EQ(world.kernel(Op::migrate_begin, 0).verdict, Verdict::done);
            EXPECT_EQ(world.kernel(Op::migrate_fail, 0), Outcome::ok(0));
            EXPECT_EQ(world.entry(0), entry_at(before, 0, 0));
            EXPECT_TRUE(told(world.store(0, 8)));
        }
    }
}

// E-MG9, S2-25
TEST(Migrate, AHintIsLostOnTheWay) {
    World world = armed(K::SS);
    world.kernel(Op::numa_scan, 0);
    EXPECT_TRUE(world.entry(0).protnone);
    world.migrate(0);
    EXPECT_FALSE(world.entry(0).protnone);
    EXPECT_TRUE(world.entry(0).uffd_wp && world.entry(0).soft_dirty);
}

// E-MG10
TEST(Migrate, SinceSixSixteenACleanEntryStaysClean) {
    for (const bool rule : {true, false}) {
        Rules rules;
        rules.migration_clears_sd = rule;
        World world(rules);
        world.map(K::SS, 2);
        world.store(0, 7);
        Machine machine = world.machine();
        Entry entry = world.entry(0);
        entry.soft_dirty = false;
        set_pte(machine, 0, 0, entry);
        world.migrate(0);
        EXPECT_EQ(world.entry(0).soft_dirty, !rule);
    }
}

// E-MG11
TEST(Migrate, APinnedPageStays) {
    World world;
    world.map(K::A, 2);
    world.store(0, 7);
    world.kernel(Op::gup_pin, 0);
    EXPECT_EQ(world.kernel(Op::migrate_begin, 0).verdict, Verdict::disabled);
    world.kernel(Op::gup_unpin, 0);
    EXPECT_EQ(world.kernel(Op::migrate_begin, 0).verdict, Verdict::done);
}

TEST(Migrate, WithoutMemoryThePageStaysWhereItWas) {
    Shape shape;
    shape.pages = 1;
    World world(mainline(), shape);
    world.map(K::A, 2);
    world.store(0, 7);
    EXPECT_EQ(world.migrate(0), Outcome::ok(0));
    EXPECT_EQ(world.load(0).value, 7);
    EXPECT_EQ(world.broken(), "");
}

TEST(Migrate, AZapMeanwhileLeavesAFolioThatCanStillFinish) {
    for (const MemoryKind kind : {K::A, K::SS}) {
        World world;
        world.map(kind, 2);
        world.store(0, 7);
        world.kernel(Op::migrate_begin, 0);
        Machine machine = world.machine();
        const Vma vma = world.vma(0);
        zap_range(machine, 0, vma, 0, 1, 0);
        EXPECT_EQ(world.kernel(Op::migrate_end, 0), Outcome::ok(0));
        EXPECT_EQ(world.load(0).value, kind == K::SS ? 7 : 0);
        EXPECT_EQ(world.broken(), "");
    }
}

// W-7, W-8, W-9: protected between begin and end
TEST(Migrate, ProtectionMadeWhileThePageMigratesHolds) {
    for (const MemoryKind kind : sync_kinds) {
        SCOPED_TRACE(testing::PrintToString(kind));
        World world = registered(kind);
        world.store(0, 7);
        world.kernel(Op::migrate_begin, 0);
        world.protect(0, 2);
        EXPECT_TRUE(world.entry(0).uffd_wp);
        EXPECT_NE(world.entry(0).migration, MigrationKind::write);  // I2
        world.kernel(Op::migrate_end, 0);
        EXPECT_TRUE(told(world.store(0, 8)));
        EXPECT_EQ(world.broken(), "");
    }
}

// ── the report of section 14.4 ─────────────────────────────────────────────────────────────────

// FX-1, S2-03, S2-04, S0-02, 14.1 first row: data loss by migration on shared memory
TEST(Migrate, UnderNeitherDesignAStoreAfterMigrationIsLost) {
    for (const bool one : {false, true}) {
        for (const bool two : {false, true}) {
            World world = armed(K::SS, with_designs(mainline(), one, two));
            world.migrate(0);
            EXPECT_EQ(world.entry(0).write && world.entry(0).uffd_wp, !one && !two);  // I1
            EXPECT_EQ(told(world.store(0, 8)), one || two);
        }
    }
}

// FX-1, S2-09, section 4
TEST(Migrate, TheReleasesThatLoseTheStoreAreThoseFromFiveNineteenToSixOneSeven) {
    for (const std::string& name : preset_names()) {
        if (name == "5.7") {  // S2-09: refuses to protect shared memory at all
            World world(*preset(name));
            world.map(K::SS, 2);
            world.open(Feature::sigbus);
            EXPECT_NE(world.register_(0, 2, Mode::wp).verdict, Verdict::done);
            continue;
        }
        World world = armed(K::SS, *preset(name));
        world.migrate(0);
        EXPECT_EQ(silent(world.store(0, 8)), name == "5.19" || name == "6.1") << name;
    }
}

// S0-03, S2-08, 14.1 last row
TEST(Migrate, PrivateMemoryNeverSuffered) {
    for (const bool one : {false, true}) {
        for (const bool two : {false, true}) {
            for (const MemoryKind kind : {K::A, K::SP, K::HP}) {
                World world = armed(kind, with_designs(mainline(), one, two));
                world.migrate(0);
                EXPECT_TRUE(told(world.store(0, 8)));
            }
        }
    }
}

// S2-05, S2-12
TEST(Migrate, BothOtherRestoresCureTheReport) {
    for (const MigrationRestore restore : designs) {
        World world = armed(K::SS, with_restore(neither(), restore));
        world.migrate(0);
        EXPECT_EQ(told(world.store(0, 8)), restore != MigrationRestore::from_vma);
    }
}

// S0-06: the site left out alone
TEST(Migrate, DesignTwoByHandNeedsTheMigrationSite) {
    for (const u8 sites : {WpSite::all, static_cast<u8>(WpSite::all & ~WpSite::migration)}) {
        Rules rules = neither();
        rules.wp_site_removal = sites;
        World world = armed(K::SS, rules);
        world.migrate(0);
        EXPECT_EQ(told(world.store(0, 8)), sites == WpSite::all);
    }
}

// S2-07
TEST(Migrate, MprotectBindsWhateverAMigrationRestores) {
    for (const MigrationRestore restore : designs) {
        World world = armed(K::SS, with_restore(neither(), restore));
        world.mprotect(0, 2, MapFlags::read);
        world.migrate(0);
        EXPECT_EQ(world.store(0, 8).verdict, Verdict::sigsegv);
    }
}

// S2-13, S2-26: a READ entry may rightly come back writable, and where the designs differ
TEST(Migrate, WithoutUserfaultfdAReadOnlyEntryMayComeBackWritable) {
    for (const MigrationRestore restore : designs) {
        World world(with_restore(mainline(), restore));
        world.map(K::SS, 2);
        world.store(0, 7);
        world.kernel(Op::migrate_begin, 0);
        world.mprotect(0, 2, MapFlags::read);
        world.mprotect(0, 2, MapFlags::read | MapFlags::write);
        EXPECT_EQ(world.entry(0).migration, MigrationKind::read);
        world.kernel(Op::migrate_end, 0);
        EXPECT_EQ(world.entry(0).write, restore != MigrationRestore::by_entry_type);
        EXPECT_TRUE(silent(world.store(0, 8)));
        EXPECT_EQ(world.broken(), "");
    }
}

// S2-22
TEST(Migrate, WithTwoTypesAndO9TheVerdictsAreTheSame) {
    for (const MemoryKind kind : sync_kinds) {
        SCOPED_TRACE(testing::PrintToString(kind));
        Rules rules;
        rules.migration_two_types = true;
        World world = armed(kind, rules);
        world.migrate(0);
        EXPECT_TRUE(told(world.store(0, 8)));
        world.clear(0, 2);
        EXPECT_TRUE(silent(world.store(0, 8)));
        world.migrate(0);
        EXPECT_TRUE(world.entry(0).write);
        EXPECT_EQ(world.broken(), "");
    }
}

// S2-23
TEST(Migrate, O9AtTheEndSavesAFault) {
    for (const bool rule : {false, true}) {
        Rules rules;
        rules.migration_o9 = rule;
        World world(rules);
        world.map(K::A, 2);
        world.store(0, 7);
        second_thread(world);
        world.kernel(Op::numa_scan, 0);
        EXPECT_TRUE(world.entry(0).protnone);
        world.migrate(0);
        EXPECT_EQ(world.entry(0).write, rule);
        EXPECT_TRUE(silent(world.store(0, 8)));
    }
}

// S2-24
TEST(Migrate, APageWithoutAccessComesBackWithoutAccess) {
    World world;
    world.map(K::SS, 2);
    world.store(0, 7);
    world.mprotect(0, 2, 0);
    world.migrate(0);
    EXPECT_EQ(world.load(0).verdict, Verdict::sigsegv);
    EXPECT_TRUE(world.entry(0).protnone);
}

// E-MG4 in 6.1
TEST(Migrate, WhetherAWritableEntryAsksTheVmaMakesNoDifference) {
    for (const bool rule : {false, true}) {
        Rules rules;
        rules.migration_write_asks_vm_write = rule;
        World world(rules);
        world.map(K::A, 2);
        world.store(0, 7);
        world.migrate(0);
        EXPECT_TRUE(world.entry(0).write);
    }
}

// ── device memory ──────────────────────────────────────────────────────────────────────────────

TEST(Migrate, ADeviceMigrationMovesAnonymousPages) {
    for (const MemoryKind kind : {K::A, K::SP}) {
        World world = armed(kind);
        const u16 page = world.entry(0).target;
        EXPECT_EQ(device(world, Op::device_collect, 0), Outcome::ok(1));
        EXPECT_EQ(device(world, Op::device_unmap, 0), Outcome::ok(1));
        EXPECT_EQ(device(world, Op::device_migrate, 0), Outcome::ok(1));
        EXPECT_EQ(device(world, Op::device_finalize, 0), Outcome::ok(1));
        EXPECT_NE(world.entry(0).target, page);
        EXPECT_TRUE(told(world.store(0, 8)));
        EXPECT_EQ(world.broken(), "");
    }
}

// S2-10: what the page is, is asked only after the entries were replaced; they come back as they
// were
TEST(Migrate, ADeviceMigrationOfSharedMemoryIsUndone) {
    for (const MigrationRestore restore : designs) {
        World world = armed(K::SS, with_restore(mainline(), restore));
        const Entry before = world.entry(0);
        device(world, Op::device_collect, 0);
        device(world, Op::device_unmap, 0);
        EXPECT_EQ(device(world, Op::device_migrate, 0), Outcome::ok(0));
        EXPECT_EQ(device(world, Op::device_finalize, 0), Outcome::ok(0));
        EXPECT_EQ(world.entry(0), before);
        EXPECT_TRUE(told(world.store(0, 8)));
        EXPECT_EQ(world.broken(), "");
    }
}

// S2-10: the failure path had the mistake of S2-04, too
TEST(Migrate, AFailedDeviceMigrationLosesTheStoreUnderNeitherDesign) {
    World world = armed(K::SS, neither());
    device(world, Op::device_collect, 0);
    device(world, Op::device_unmap, 0, 1);
    device(world, Op::device_finalize, 0, 1);
    EXPECT_TRUE(silent(world.store(0, 8)));
}

TEST(Migrate, ADeviceMigrationOfAPinnedPageIsGivenUp) {
    World world;
    world.map(K::SS, 2);
    world.store(0, 7);
    world.kernel(Op::gup_pin, 0);
    device(world, Op::device_collect, 0);
    EXPECT_EQ(device(world, Op::device_unmap, 0), Outcome::ok(0));
    EXPECT_EQ(world.store(0, 8).verdict, Verdict::blocked);
    EXPECT_EQ(device(world, Op::device_finalize, 0), Outcome::ok(0));
    EXPECT_EQ(world.retry().verdict, Verdict::done);
}

}  // namespace
}  // namespace verso::mm
