// That every oracle over histories can speak: with a rule off, the shortest program of its row
// makes exactly that oracle speak; with the rule on it is silent.
#include "mm/history.h"
#include "mm/armed.h"
#include "mm/pagemap_scan.h"

namespace verso::mm {
namespace {

/// A World that is watched. What the oracle said first is kept.
class Observed {
public:
    explicit Observed(Rules rules = mainline(), const Shape& shape = {})
        : world_(rules, shape), history_(world_.state(), world_.rules()) {}

    World& world() { return world_; }
    Observed& step(const Call& call) {
        history_.before(world_.state(), call);
        outcome_ = world_.step(call);
        Machine machine = world_.machine();
        machine.scanned = world_.scanned;
        const std::string said = history_.after(machine, call, outcome_);
        if (said_.empty()) {
            said_ = said;
        }
        return *this;
    }
    Observed& map(MemoryKind kind, u32 pages = 2) {
        world_.map(kind, pages);
        history_ = History(world_.state(), world_.rules());
        return *this;
    }
    Observed& open(u32 features = Feature::sigbus) {
        world_.open(features);
        return *this;
    }
    Observed& at(Op op, Vpn first, u32 count = 1, u32 flags = 0, Contents value = zeroes) {
        Call call{.op = op, .flags = flags, .value = value};
        call.fd = op >= Op::uffd_open && op <= Op::uffd_close ? world_.fd : nobody;
        call.address = to_bytes(first);
        call.length = to_bytes(count);
        return step(call);
    }
    Observed& store(Vpn page, Contents value = 7) { return at(Op::store, page, 1, 0, value); }
    Observed& load(Vpn page) { return at(Op::load, page); }
    Observed& register_(u32 mode = Mode::wp) { return at(Op::uffd_register, 0, 2, mode); }
    Observed& protect() { return at(Op::uffd_writeprotect, 0, 2, 1); }
    Observed& migrate() { return at(Op::migrate_begin, 0).at(Op::migrate_end, 0); }
    Observed& mprotect(u32 protection) { return at(Op::mprotect, 0, 2, protection); }
    Observed& madvise(Advice advice, Vpn first = 0, u32 count = 1) {
        return at(Op::madvise, first, count, static_cast<u32>(advice));
    }
    Observed& clear_refs() { return at(Op::clear_refs, 0); }
    Observed& scan(bool arm) {
        ScanArg arg;
        arg.end = to_bytes(2);
        arg.flags = arm ? 1 : 0;
        arg.vec_len = 8;
        arg.category_mask = abi::PageIs::written;
        arg.return_mask = abi::PageIs::written;
        return step(to_call(arg));
    }
    const Outcome& outcome() const { return outcome_; }
    const History& history() const { return history_; }
    History& history() { return history_; }
    const std::string& said() const { return said_; }
    /// The row that spoke first; empty: nobody did.
    std::string row() const { return said_.substr(0, said_.find(':')); }

private:
    World world_;
    History history_;
    Outcome outcome_{};
    std::string said_;
};

struct Row {
    const char* name;
    std::vector<bool Rules::*> off;
    const char* oracle;
    void (*program)(Observed&);
};

constexpr u32 read_only = MapFlags::read;
constexpr u32 read_write = MapFlags::read | MapFlags::write;

Observed& protected_page(Observed& on, MemoryKind kind, u32 features = Feature::sigbus) {
    return on.map(kind).open(features).store(0).register_().protect();
}

const Row rows[] = {
    {"FX_1",
     {&Rules::prot_wp_writenotify, &Rules::mkuffd_wp_clears_w},
     "I9",
     [](Observed& on) { protected_page(on, MemoryKind::SS).migrate().store(0, 8); }},
    {"FX_1b",
     {&Rules::prot_wp_writenotify, &Rules::mkuffd_wp_clears_w},
     "I9",
     [](Observed& on) {
         protected_page(on, MemoryKind::SS).at(Op::numa_scan, 0).load(0).store(0, 8);
     }},
    {"FX_2",
     {&Rules::unprotect_uses_page_prot},
     "E-SD8",
     [](Observed& on) {
         on.map(MemoryKind::SS).open().store(0).clear_refs().register_();
         on.at(Op::uffd_unregister, 0, 2).store(0, 8);
     }},
    {"FX_3",
     {&Rules::prot_wp_writenotify, &Rules::mkuffd_wp_clears_w},
     "I9",
     [](Observed& on) {
         protected_page(on, MemoryKind::SS).at(Op::reclaim, 0).load(0).store(0, 8);
     }},
    {"FX_4",
     {&Rules::copy_wp_ignores_vm_write},
     "I9",
     [](Observed& on) {
         on.map(MemoryKind::A).open().register_(Mode::wp | Mode::missing).mprotect(read_only);
         on.at(Op::uffd_copy, 0, 1, 2, 7).mprotect(read_write).store(0, 8);
     }},
    {"FX_5",
     {&Rules::swap_compare_ignores_u},
     "progress",
     [](Observed& on) {
         protected_page(on, MemoryKind::A).madvise(Advice::pageout).at(Op::swapoff, 0);
     }},
    {"FX_9",
     {&Rules::huge_zero_split_keeps_u},
     "I9",
     [](Observed& on) {
         on.map(MemoryKind::A).madvise(Advice::hugepage, 0, 2).open().load(0).register_();
         on.protect().at(Op::uffd_writeprotect, 0, 1, 0).store(1, 8);
     }},
    {"FX_10",
     {&Rules::scan_reads_swap_u},
     "SC",
     [](Observed& on) {
         on.map(MemoryKind::A).open(async).store(0).register_().scan(true);
         on.madvise(Advice::pageout).scan(false);
     }},
    {"FX_12",
     {&Rules::softdirty_writenotify},
     "E-SD8",
     [](Observed& on) { on.map(MemoryKind::SS).clear_refs().load(0).store(0, 8); }},
    {"FX_13",
     {&Rules::can_change_softdirty_test},
     "E-SD8",
     [](Observed& on) {
         on.map(MemoryKind::SS).store(0).clear_refs().mprotect(read_only).mprotect(read_write);
         on.store(0, 8);
     }},
    {"FX_14",
     {&Rules::u_bit_exists},
     "I9",
     [](Observed& on) { protected_page(on, MemoryKind::A).madvise(Advice::pageout).store(0, 8); }},
    {"FX_15",
     {&Rules::markers_exist},
     "I9",
     [](Observed& on) { protected_page(on, MemoryKind::SS).at(Op::reclaim, 0).store(0, 8); }},
    {"S3_10",
     {&Rules::zap_is_write},
     "I10",
     [](Observed& on) {
         on.map(MemoryKind::A).open(async).store(0).register_().scan(true);
         on.madvise(Advice::dontneed);
     }},
};

class ARuleOff : public testing::TestWithParam<Row> {};
INSTANTIATE_TEST_SUITE_P(History, ARuleOff, testing::ValuesIn(rows),
                         [](const auto& row) { return std::string(row.param.name); });

TEST_P(ARuleOff, MakesItsOracleSpeakAndOnItIsSilent) {
    Rules without = mainline();
    for (bool Rules::*const rule : GetParam().off) {
        without.*rule = false;
    }
    Observed off(without);
    GetParam().program(off);
    EXPECT_EQ(off.row(), GetParam().oracle) << off.said();
    Observed on;
    GetParam().program(on);
    EXPECT_EQ(on.said(), "");
}

TEST(HistoryOracles, CallContentsThatChangeByThemselvesBroken) {
    Observed on;
    on.map(MemoryKind::A).store(0);
    on.world().state().pages[on.world().entry(0).target].contents = 9;
    on.load(1);
    EXPECT_EQ(on.row(), "contents") << on.said();
}

TEST(HistoryOracles, CallALoadThatBringsSomethingElseBroken) {
    Observed on;
    on.map(MemoryKind::A).store(0);
    Call load{.op = Op::load};
    const Outcome wrong = Outcome::ok(9);
    on.history().before(on.world().state(), load);
    EXPECT_EQ(on.history().after(on.world().machine(), load, wrong).substr(0, 8), "contents");
}

TEST(HistoryOracles, CallAFilesContentsThatAreLostWhileNobodyMapsThemBroken) {
    Observed on;
    on.map(MemoryKind::SS).store(0).at(Op::munmap, 0, 2);
    EXPECT_EQ(on.said(), "");
    on.world().state().pages[0].contents = 9;
    on.clear_refs();
    EXPECT_EQ(on.row(), "contents") << on.said();
}

TEST(HistoryOracles, FollowAStoreThroughEveryMappingOfTheFile) {
    Observed on;
    on.map(MemoryKind::SS);
    Call second{.op = Op::mmap, .fd = on.world().file};
    second.flags = read_write | MapFlags::fixed;  // private
    second.address = to_bytes(2);
    second.length = to_bytes(2);
    on.step(second).load(2).store(0, 5).load(2);
    EXPECT_EQ(on.said(), "");
    EXPECT_EQ(on.history().at(0, 2).value, 5U);
    on.store(2, 6).load(0);  // the copy is its own
    EXPECT_EQ(on.said(), "");
    EXPECT_EQ(on.history().at(0, 0).value, 5U);
}

TEST(HistoryOracles, KnowWhatAMremapOfSeveralMovedBeforeItFailed) {
    for (const u32 more : {u32{0}, RemapFlags::dontunmap}) {
        Observed one(mainline(), {.space_pages = 8});
        one.map(MemoryKind::SS)
            .store(0, 5)
            .store(1, 6)
            .open()
            .at(Op::uffd_register, 1, 1, Mode::wp);
        Call call{.op = Op::mremap, .flags = RemapFlags::may_move | RemapFlags::fixed | more};
        call.length = call.extra = to_bytes(2);
        call.source = to_bytes(4);
        EXPECT_EQ(one.step(call).outcome(), Outcome::fail(EFAULT));
        EXPECT_EQ(one.load(4).load(1).said(), "");
        EXPECT_TRUE(one.history().at(0, 4).mapped);
        EXPECT_EQ(one.history().at(0, 0).mapped, more != 0);
    }
}

TEST(HistoryOracles, KnowThatAMremapLeavesWhatFacesAHoleOfItsRange) {
    Observed on(mainline(), {.space_pages = 8});
    Call there{.op = Op::mmap, .flags = read_write | MapFlags::fixed};
    there.address = to_bytes(4);
    there.length = to_bytes(2);
    on.map(MemoryKind::A).store(1, 6).step(there).store(5, 9);
    on.open(async).at(Op::uffd_register, 5, 1, Mode::wp).at(Op::uffd_writeprotect, 5, 1, 1);
    Call call{.op = Op::mremap, .flags = RemapFlags::may_move | RemapFlags::fixed};
    call.address = to_bytes(1);
    call.length = call.extra = to_bytes(2);  // of which the second is a hole
    call.source = to_bytes(4);
    on.step(call);
    EXPECT_EQ(on.outcome().verdict, Verdict::done);
    EXPECT_EQ(on.said(), "");
    EXPECT_FALSE(on.history().at(0, 5).changed);
    EXPECT_EQ(on.history().at(0, 4).value, 6U);
}

TEST(HistoryOracles, CallAThreadThatWaitsForAClosedDescriptorBlocked) {
    Observed on;
    protected_page(on, MemoryKind::A, 0).store(0, 8);
    ASSERT_EQ(on.outcome().verdict, Verdict::blocked);
    EXPECT_EQ(on.said(), "");
    on.world().state().contexts[on.world().fd].open = false;
    second_thread(on.world());
    on.step({.op = Op::load, .thread = 1});
    EXPECT_EQ(on.row(), "progress") << on.said();
}

TEST(HistoryOracles, CallAThreadBlockedWhoseRangeIsRegisteredNoLonger) {
    Observed on;
    protected_page(on, MemoryKind::A, 0).store(0, 8);
    Vma& vma = on.world().state().spaces[0].vmas[0];
    vma.flags &= ~VmFlag::uffd;
    vma.context = nobody;
    second_thread(on.world());
    Call elsewhere{.op = Op::uffd_unregister, .thread = 1, .fd = on.world().fd};
    on.step(elsewhere);
    EXPECT_EQ(on.row(), "progress") << on.said();
}

TEST(HistoryOracles, CallAMigrationThatNobodyWillEndBlocked) {
    Observed on;
    on.map(MemoryKind::A).store(0).at(Op::migrate_begin, 0);
    EXPECT_EQ(on.said(), "");
    on.world().state().pages[on.world().entry(0).target].locked = false;
    on.load(1);
    EXPECT_EQ(on.row(), "progress") << on.said();
}

TEST(HistoryOracles, CallProtectionThatGoesWithoutBeingAskedBroken) {
    Observed on;
    protected_page(on, MemoryKind::A);
    on.world().state().spaces[0].vmas[0].flags &= ~VmFlag::uffd_wp;
    on.load(0);
    EXPECT_EQ(on.row(), "I9") << on.said();
}

TEST(HistoryOracles, LookAwayWhereTheKernelItselfForgetsAndCountIt) {
    Observed on;
    on.map(MemoryKind::SS).store(0).clear_refs().store(0, 8).at(Op::reclaim, 0);
    EXPECT_EQ(on.said(), "");
    EXPECT_EQ(on.history().met(Exception::entry_gone), 1U);
    EXPECT_EQ(known(Exception::entry_gone).name, "SD-1");

    Observed migrating;  // the store is lost to soft-dirty
    migrating.map(MemoryKind::A).store(0).at(Op::migrate_begin, 0).clear_refs();
    migrating.at(Op::migrate_end, 0).store(0, 8);
    EXPECT_EQ(migrating.said(), "");
    EXPECT_FALSE(migrating.world().entry(0).soft_dirty);
    EXPECT_EQ(migrating.history().met(Exception::blind_store), 1U);
}

TEST(HistoryOracles, AreAValueThatIsCopiedComparedAndHashed) {
    Observed on;
    protected_page(on, MemoryKind::A);
    const History before = on.history();
    EXPECT_EQ(before, on.history());
    on.at(Op::uffd_writeprotect, 0, 2, 0);
    EXPECT_FALSE(before == on.history());
    EXPECT_NE(before.hash(), on.history().hash());
    on.protect();
    EXPECT_EQ(before, on.history());
    EXPECT_EQ(before.hash(), on.history().hash());
}

}  // namespace
}  // namespace verso::mm
