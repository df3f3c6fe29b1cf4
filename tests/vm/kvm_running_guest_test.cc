// Guests that run while they are snapshotted, stopped, forked, rewound and moved about. What they
// write is a count over many places in causal order (support/causal_writers.h), so that the whole
// content of the memory follows from one number, in whatever guest it is:
//
//   page 0: code    page 1: the last step, for the host    pages 2 …: the slots
#include <algorithm>
#include <atomic>
#include <thread>
#include <vector>

#include <sched.h>
#include <unistd.h>

#include "linux/world/moving.h"
#include "linux/world/triggers.h"
#include "support/causal_writers.h"
#include "vm/kvm_guest_test.h"

namespace verso::test {
namespace {

constexpr u64 first_slot_page = 2;
constexpr u64 slot_pages = 96;
constexpr u64 all_pages = first_slot_page + slot_pages;
constexpr u64 slots = slot_pages * CausalWriters::slots_per_page;

class GuestAtWork : public GuestTest {
protected:
    static Result<Region> region_at_work() {
        Result<Region> region = Region::create({.size = to_bytes(all_pages)});
        if (region) {
            load_code(region->bytes(), write_steps);
        }
        return region;
    }
    static kvm_regs from_the_beginning() {
        constexpr u64 prime = 1'000'003;  // CausalWriters'
        kvm_regs registers{};
        registers.rax = 1;
        registers.rcx = slots;
        registers.rdx = prime % slots;
        registers.rbx = to_bytes(first_slot_page);
        registers.rbp = to_bytes(1);
        return registers;
    }
    static u64 steps(const Region& region) {
        auto* const told = reinterpret_cast<u32*>(region.bytes().data() + page_size);
        return std::atomic_ref<u32>(*told).load(std::memory_order_acquire);
    }
    /// Returns once the guest has made so many more steps.
    static void let_run(const RunningGuest& guest, const Region& region, u64 more) {
        const u64 until = steps(region) + more;
        while (steps(region) < until) {
            if (guest.is_over()) {
                ADD_FAILURE() << "the guest has ended at step " << steps(region);
                return;
            }
            ::sched_yield();
        }
    }
    static std::string judge(std::span<const std::byte> bytes) {
        return CausalWriters::judge(bytes.subspan(to_bytes(first_slot_page)));
    }
    /// Snapshots of a guest that does not stop for them; every one is judged while it goes on.
    static void storm(Region& region, KvmGuest& guest, unsigned snapshots) {
        guest.set_registers(from_the_beginning());
        RunningGuest running(guest);
        std::vector<Snapshot> held;
        for (unsigned i = 0; i < snapshots; ++i) {
            let_run(running, region, 1 + mix(i) % (slots / 2));
            Result<Snapshot> taken = region.snapshot();
            VERSO_ASSERT_OK(taken);
            held.push_back(std::move(*taken));
            if (held.size() > 3) {
                ASSERT_EQ(judge(*held.front().bytes()), "") << "at turn " << i;
                held.erase(held.begin());
            }
        }
        const Result<KvmGuest::End> end = running.stop();
        VERSO_ASSERT_OK(end);
        EXPECT_EQ(*end, KvmGuest::End::stopped);
        for (const Snapshot& snapshot : held) {
            EXPECT_EQ(judge(*snapshot.bytes()), "");
        }
        EXPECT_EQ(judge(region.bytes()), "");
        EXPECT_EQ(region.damage(), "");
    }
};

TEST_P(GuestAtWork, IsInEverySnapshotAsItWasAtOneMoment) {
    Result<Computer> made = computer_of(region_at_work());
    VERSO_ASSERT_OK(made);
    auto& [region, guest] = *made;
    storm(region, guest, 60);
}

TEST_P(GuestAtWork, IsTornInACopyThatIsMadeWhileItRuns) {
    Result<Computer> made = computer_of(region_at_work());
    VERSO_ASSERT_OK(made);
    auto& [region, guest] = *made;
    guest.set_registers(from_the_beginning());
    RunningGuest running(guest);
    let_run(running, region, slots);
    std::vector<std::byte> torn = copy_of(region.bytes());
    let_run(running, region, slots);
    const std::size_t half = torn.size() / 2;  // what comes now is only in the second half
    std::memcpy(torn.data() + half, region.bytes().data() + half, half);
    EXPECT_NE(judge(torn), "");  // or no test here could fail
}

TEST_P(GuestAtWork, IsStoppedBetweenTwoInstructionsAndGoesOn) {
    Result<Computer> made = computer_of(region_at_work());
    VERSO_ASSERT_OK(made);
    auto& [region, guest] = *made;
    guest.set_registers(from_the_beginning());
    for (int turn = 0; turn < 20; ++turn) {
        const u64 begun = steps(region);
        RunningGuest running(guest);
        let_run(running, region, 10);
        const Result<KvmGuest::End> end = running.stop();
        VERSO_ASSERT_OK(end);
        EXPECT_EQ(*end, KvmGuest::End::stopped);
        EXPECT_GE(steps(region), begun + 10);
        EXPECT_EQ(judge(region.bytes()), "");
    }
}

TEST_P(GuestAtWork, IsForkedAndBothGoOnFromTheSameStepEachInItsOwnMemory) {
    Result<Computer> made = computer_of(region_at_work());
    VERSO_ASSERT_OK(made);
    auto& [region, guest] = *made;
    guest.set_registers(from_the_beginning());
    {
        RunningGuest running(guest);
        let_run(running, region, slots + 10);
    }
    const kvm_regs state = guest.registers();
    const u64 forked_at = steps(region);
    const Result<Snapshot> moment = region.snapshot();
    VERSO_ASSERT_OK(moment);
    RunningGuest running(guest);  // the parent goes on before there is a child
    let_run(running, region, 50);
    const Result<Region> child = moment->fork();
    VERSO_ASSERT_OK(child);
    Result<KvmGuest> second = guest_in(*child);
    VERSO_ASSERT_OK(second);
    EXPECT_EQ(steps(*child), forked_at);
    second->set_registers(state);
    RunningGuest running_too(*second);
    let_run(running_too, *child, slots);
    let_run(running, region, slots);
    VERSO_EXPECT_OK(running_too.stop());
    VERSO_EXPECT_OK(running.stop());
    EXPECT_GE(steps(*child), forked_at + slots);
    EXPECT_EQ(judge(child->bytes()), "");
    EXPECT_EQ(judge(region.bytes()), "");
    EXPECT_EQ(judge(*moment->bytes()), "");
    EXPECT_EQ(word_at(*moment->bytes(), page_size), forked_at);
}

TEST_P(GuestAtWork, IsForkedAgainAsAForkAndAllThreeGoOn) {
    Result<Region> region = region_at_work();
    VERSO_ASSERT_OK(region);
    std::vector<Region> family;
    family.push_back(std::move(*region));
    std::vector<KvmGuest> guests;
    kvm_regs state = from_the_beginning();
    for (std::size_t generation = 0; generation < 3; ++generation) {
        Result<KvmGuest> guest = guest_in(family[generation]);
        VERSO_ASSERT_OK(guest);
        guest->set_registers(state);
        {
            RunningGuest running(*guest);
            let_run(running, family[generation], 30);
        }
        state = guest->registers();
        guests.push_back(std::move(*guest));
        const Result<Snapshot> moment = family[generation].snapshot();
        VERSO_ASSERT_OK(moment);
        Result<Region> child = moment->fork();
        VERSO_ASSERT_OK(child);
        family.push_back(std::move(*child));
    }
    for (std::size_t i = guests.size(); i-- > 0;) {  // the youngest first
        RunningGuest running(guests[i]);
        let_run(running, family[i], 40 + 20 * i);
    }
    for (const Region& member : family) {
        EXPECT_EQ(judge(member.bytes()), "");
    }
}

TEST_P(GuestAtWork, IsRewoundAndMakesTheSameStepsAgain) {
    Result<Computer> made = computer_of(region_at_work());
    VERSO_ASSERT_OK(made);
    auto& [region, guest] = *made;
    guest.set_registers(from_the_beginning());
    const auto run_on = [&] {
        RunningGuest running(guest);
        let_run(running, region, 100);
    };
    run_on();
    const kvm_regs state = guest.registers();
    const std::vector<std::byte> before = copy_of(region.bytes());
    const Result<Snapshot> moment = region.snapshot();
    VERSO_ASSERT_OK(moment);
    for (int turn = 0; turn < 10; ++turn) {
        run_on();
        ASSERT_EQ(judge(region.bytes()), "") << "turn " << turn;
        VERSO_ASSERT_OK(region.rewind(*moment));
        ASSERT_EQ(first_difference(region.bytes(), before), all_pages) << "turn " << turn;
        guest.set_registers(state);
    }
}

TEST_P(GuestAtWork, SharesWithAForkEveryPageThatNeitherOfThemWrites) {
    constexpr u64 pages = 1'024;
    constexpr u64 written = 5;
    Result<Region> region = region_with(add_all, pages);
    VERSO_ASSERT_OK(region);
    const u64 live = region->memory()->live_bytes;
    const Result<Snapshot> moment = region->snapshot();
    VERSO_ASSERT_OK(moment);
    const Result<Region> child = moment->fork();
    VERSO_ASSERT_OK(child);
    Result<KvmGuest> guest = guest_in(*child);
    VERSO_ASSERT_OK(guest);
    u32 expected = 0;
    for (u64 page = 1; page < pages; ++page) {
        expected += word_at(region->bytes(), to_bytes(page));
    }
    finish(*guest, walk(to_bytes(1), pages - 1, page_size));
    EXPECT_EQ(static_cast<u32>(guest->registers().rax), expected);
    EXPECT_EQ(child->memory()->private_bytes, 0U);
    EXPECT_EQ(child->memory()->shared_bytes, to_bytes(pages));
    load_code(child->bytes(), store_rising);  // a write of the host's: one page more
    finish(*guest, walk(to_bytes(100), written, to_bytes(150), 7));
    EXPECT_EQ(child->memory()->private_bytes, to_bytes(written + 1));
    EXPECT_EQ(child->memory()->shared_bytes, to_bytes(pages - written - 1));
    EXPECT_EQ(region->memory()->live_bytes, live);
    EXPECT_EQ(region->memory()->frozen_bytes, 0U);
    EXPECT_EQ(tally(region->bytes(), seed, 0).wrong, 1U);  // the code, as ever
}

/// What the kernel does to a region's pages on its own account: they move to other frames, as for
/// compaction.
host::Target target_of(const Region& region) {
    const std::span<std::byte> bytes = region.bytes();
    const u64 address = reinterpret_cast<u64>(bytes.data());
    return {process_runtime().kernel(), ::getpid(), address, bytes.size(), {}, [=] {
                return host::move_pages(address, bytes.size());
            }};
}

/// After pages were asked to move and none was seen to.
std::string why_none_moved(const host::Target& target, const kernel::Outcome& asked) {
    if (!asked.ok()) {
        return "mbind(2) moves no pages here: " + kernel::to_string(asked);
    }
    const bool shown = std::ranges::any_of(host::entries_of(target), [](u64 entry) {
        return host::is_present(entry) && host::frame_of(entry) != 0;
    });
    return shown ? "mbind(2) left every page in its frame"
                 : "whether pages move is not to be seen: frames are shown to CAP_SYS_ADMIN alone";
}

TEST_P(GuestAtWork, MeetsTheProtectionOfPagesThatHaveMovedToOtherFrames) {
    Result<Computer> made = computer_of(region_at_work());
    VERSO_ASSERT_OK(made);
    auto& [region, guest] = *made;
    guest.set_registers(from_the_beginning());
    {
        RunningGuest running(guest);
        let_run(running, region, slots);
    }
    const std::vector<std::byte> before = copy_of(region.bytes());
    const Result<Snapshot> moment = region.snapshot();
    VERSO_ASSERT_OK(moment);
    const host::Target target = target_of(region);
    const std::vector<u64> frames = host::entries_of(target);
    const kernel::Outcome asked = target.move();
    if (host::pages_moved(frames, host::entries_of(target)) == 0) {
        GTEST_SKIP() << why_none_moved(target, asked);
    }
    {
        RunningGuest running(guest);
        let_run(running, region, slots);
    }
    EXPECT_EQ(judge(region.bytes()), "");
    EXPECT_EQ(first_difference(*moment->bytes(), before), all_pages);
}

TEST_P(GuestAtWork, IsInEverySnapshotAsItWasAtOneMomentWhileItsPagesMove) {
    Result<Computer> made = computer_of(region_at_work());
    VERSO_ASSERT_OK(made);
    auto& [region, guest] = *made;
    const host::Target target = target_of(region);
    std::atomic<bool> ending{false};
    u64 moved = 0;
    kernel::Outcome asked;
    std::thread mover([&] {
        while (!ending.load()) {
            const std::vector<u64> before = host::entries_of(target);
            asked = target.move();
            moved += host::pages_moved(before, host::entries_of(target));
        }
    });
    storm(region, guest, 40);
    ending.store(true);
    mover.join();
    if (moved == 0) {
        GTEST_SKIP() << "the snapshots are right, but " << why_none_moved(target, asked);
    }
}

INSTANTIATE_TEST_SUITE_P(Kvm, GuestAtWork, each_mode, mode_name);

}  // namespace
}  // namespace verso::test
