// Guests under KVM, over a region: their stores are caught, captured, named and rewound like any
// other. A guest's store does not fault in the process: the processor walks tables of KVM's, which
// KVM fills from the process' mapping. What keeps that honest is the kernel's word to KVM (mmu
// notifiers) whenever a page of the mapping is protected, and this is where it is held to it:
//
//   snapshot()    page table entry protected ──notifier──▶ KVM forgets its entry
//   guest stores  no entry in KVM's tables ──▶ KVM asks for the page, to write ──▶ a write fault of
//                 the mapping ──▶ the engine captures, releases ──▶ KVM has an entry again
#include <vector>

#include <gtest/gtest.h>

#include "vm/kvm_guest_test.h"

namespace verso::test {
namespace {

constexpr u64 pages = 2'048;
constexpr u64 first = 64;
constexpr u64 apart = 128;  // too far from each other for the engine to release neighbours
constexpr u64 count = 15;   // and too few in a chunk

u64 page_number(u64 i) { return first + i * apart; }
kvm_regs scattered(u64 value = 0) { return walk(to_bytes(first), count, to_bytes(apart), value); }

std::vector<PageRange> scattered_pages() {
    std::vector<PageRange> ranges;
    for (u64 i = 0; i < count; ++i) {
        ranges.push_back({page_number(i), 1});
    }
    return ranges;
}

class Guest : public GuestTest {};

TEST_P(Guest, StoresAfterASnapshotAndTheSnapshotKeepsTheOldBytes) {
    Result<Computer> made = computer_with(store_rising, pages);
    VERSO_ASSERT_OK(made);
    auto& [region, guest] = *made;
    finish(guest, scattered(100));  // KVM knows these pages as writable
    const std::vector<std::byte> before = copy_of(region.bytes());
    const Result<Snapshot> moment = region.snapshot();
    VERSO_ASSERT_OK(moment);
    finish(guest, scattered(200));
    for (u64 i = 0; i < count; ++i) {
        EXPECT_EQ(word_at(region.bytes(), to_bytes(page_number(i))), 200 + i);
    }
    EXPECT_EQ(region.stats().pages_captured, count);
    EXPECT_EQ(first_difference(*moment->bytes(), before), pages);
}

TEST_P(Guest, StoresBetweenThreeSnapshotsAndEachKeepsItsOwnBytes) {
    Result<Computer> made = computer_with(count_up, pages);
    VERSO_ASSERT_OK(made);
    auto& [region, guest] = *made;
    std::vector<Snapshot> moments;
    std::vector<std::vector<std::byte>> copies;
    for (int i = 0; i < 3; ++i) {
        copies.push_back(copy_of(region.bytes()));
        Result<Snapshot> taken = region.snapshot();
        VERSO_ASSERT_OK(taken);
        moments.push_back(std::move(*taken));
        finish(guest, scattered());
    }
    for (std::size_t i = 0; i < moments.size(); ++i) {
        EXPECT_EQ(first_difference(*moments[i].bytes(), copies[i]), pages) << "snapshot " << i;
    }
}

/// By KVM's own counters: or all of this could be about copies that KVM's emulator makes.
TEST_P(Guest, StoresThroughKvmsPageTablesMeetTheProtectionThere) {
    Result<Computer> made = computer_with(store_rising, pages);
    VERSO_ASSERT_OK(made);
    auto& [region, guest] = *made;
    const std::optional<u64> none = guest.counter("insn_emulation");
    if (!none) {
        GTEST_SKIP() << "this KVM does not count what it emulates (KVM_GET_STATS_FD, Linux 5.14)";
    }
    finish(guest, scattered(100));
    const u64 emulated = *guest.counter("insn_emulation") - *none;
    if (emulated > count) {
        GTEST_SKIP() << "this KVM emulated " << emulated << " instructions for " << count
                     << " stores: in this mode they are copies by the kernel";
    }
    const u64 settled = *guest.counter("pf_fixed");
    finish(guest, scattered(200));
    const u64 unprotected = *guest.counter("pf_fixed");
    EXPECT_LT(unprotected, settled + count);  // none, unless the kernel has moved a page meanwhile
    const Result<Snapshot> moment = region.snapshot();
    finish(guest, scattered(300));
    EXPECT_GE(*guest.counter("pf_fixed"), unprotected + count);
    EXPECT_EQ(region.stats().write_faults, count);
}

TEST_P(Guest, IsRewoundAndGoesOnFromTheOldBytes) {
    Result<Computer> made = computer_with(count_up, pages);
    VERSO_ASSERT_OK(made);
    auto& [region, guest] = *made;
    std::vector<u32> words;
    for (u64 i = 0; i < count; ++i) {
        words.push_back(word_at(region.bytes(), to_bytes(page_number(i))));
    }
    const std::vector<std::byte> before = copy_of(region.bytes());
    const Result<Snapshot> moment = region.snapshot();
    VERSO_ASSERT_OK(moment);
    for (int turn = 0; turn < 20; ++turn) {  // settled pages, too: docs/engine.md, section 6
        finish(guest, scattered());
        finish(guest, scattered());
        for (u64 i = 0; i < count; ++i) {
            EXPECT_EQ(word_at(region.bytes(), to_bytes(page_number(i))), words[i] + 2);
        }
        const Result<RewindReport> report = region.rewind(*moment);
        VERSO_ASSERT_OK(report);
        EXPECT_EQ(report->pages_restored, count);
        ASSERT_EQ(first_difference(region.bytes(), before), pages) << "turn " << turn;
    }
}

/// For a child's sake the source's pages are replaced (docs/engine.md, section 4): what KVM knew of
/// them is then of no use.
TEST_P(Guest, ReadsWhatTheHostWroteToPagesThatWereTakenBackFromAFork) {
    Result<Computer> made = computer_with(add_all, pages);
    VERSO_ASSERT_OK(made);
    auto& [region, guest] = *made;
    finish(guest, scattered());  // KVM knows where they are
    const Result<Snapshot> moment = region.snapshot();
    VERSO_ASSERT_OK(moment);
    const Result<Region> child = moment->fork();
    VERSO_ASSERT_OK(child);
    const u32 old_sum = static_cast<u32>(guest.registers().rax);
    Result<KvmGuest> second = guest_in(*child);
    VERSO_ASSERT_OK(second);
    finish(*second, scattered());  // and of the child's
    for (u64 i = 0; i < count; ++i) {
        const u32 value = static_cast<u32>(i);
        std::memcpy(region.bytes().data() + to_bytes(page_number(i)), &value, sizeof value);
    }
    EXPECT_EQ(region.stats().pages_revoked, count);
    finish(guest, scattered());
    EXPECT_EQ(guest.registers().rax, count * (count - 1) / 2);
    finish(*second, scattered());
    EXPECT_EQ(static_cast<u32>(second->registers().rax), old_sum);
}

TEST_P(Guest, ReadsZeroesWherePagesWereDiscarded) {
    Result<Computer> made = computer_with(add_all, pages);
    VERSO_ASSERT_OK(made);
    auto& [region, guest] = *made;
    u32 expected = 0;
    for (u64 i = 0; i < count; ++i) {
        expected += word_at(region.bytes(), to_bytes(page_number(i)));
    }
    finish(guest, scattered());
    EXPECT_EQ(static_cast<u32>(guest.registers().rax), expected);
    const Result<Snapshot> moment = region.snapshot();
    VERSO_ASSERT_OK(region.discard({first, pages - first}));
    finish(guest, scattered());
    EXPECT_EQ(guest.registers().rax, 0U);
    VERSO_ASSERT_OK(region.rewind(*moment));
    finish(guest, scattered());
    EXPECT_EQ(static_cast<u32>(guest.registers().rax), expected);
}

TEST_P(Guest, WritesExactlyThePagesThatWrittenNames) {
    for (const Tracking tracking : {Tracking::contents, Tracking::pages}) {
        Result<Computer> made = computer_with(count_up, pages, tracking);
        VERSO_ASSERT_OK_OR_UNSUPPORTED(made);
        auto& [region, guest] = *made;
        finish(guest, scattered());
        Mark mark = region.written(Mark{})->mark;
        for (int turn = 0; turn < 3; ++turn) {
            finish(guest, scattered());
            const Result<Written> answer = region.written(mark);
            VERSO_ASSERT_OK(answer);
            EXPECT_EQ(answer->ranges, scattered_pages());
            mark = answer->mark;
        }
        EXPECT_EQ(region.written(mark)->pages, 0U);
    }
}

TEST_P(Guest, ThatOnlyReadsWritesNoPage) {
    for (const Tracking tracking : {Tracking::contents, Tracking::pages}) {
        Result<Computer> made = computer_with(add_all, pages, tracking);
        VERSO_ASSERT_OK_OR_UNSUPPORTED(made);
        auto& [region, guest] = *made;
        const Mark mark = region.written(Mark{})->mark;
        finish(guest, walk(to_bytes(1), pages - 1, page_size));
        EXPECT_EQ(region.written(mark)->pages, 0U);
        EXPECT_EQ(region.stats().write_faults, 0U);
    }
}

TEST_P(Guest, ThatLeavesItsMemoryIsAnErrorAndNotAnEnd) {
    Result<Computer> made = computer_with(store_rising, 4);
    VERSO_ASSERT_OK(made);
    auto& [region, guest] = *made;
    guest.set_registers(walk(to_bytes(3), 2, page_size, 7));
    const Result<KvmGuest::End> end = guest.run();
    ASSERT_FALSE(end.has_value());
    EXPECT_EQ(end.error().message, "address 0x4000 is outside of the guest's memory");
    EXPECT_EQ(word_at(region.bytes(), to_bytes(3)), 7U);
}

INSTANTIATE_TEST_SUITE_P(Kvm, Guest, each_mode, mode_name);

}  // namespace
}  // namespace verso::test
