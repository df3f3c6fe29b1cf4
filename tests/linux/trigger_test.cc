// Triggers: each is seen to act, says why where it does not, and leaves the machine as it was.
#include <array>
#include <csignal>

#include <gtest/gtest.h>
#include <sys/wait.h>

#include "abi/pagemap.h"
#include "linux/world/triggers.h"
#include "linux/world_test.h"

namespace verso::host {
namespace {
using kernel::Provoked;

class TriggerTest : public testing::Test {
protected:
    void SetUp() override {
        if (::geteuid() != 0) {
            GTEST_SKIP() << "triggers are for root: they change the machine's settings";
        }
        take_machine();
        before = machine_state();
        world = new_world();
    }
    void TearDown() override {
        world.reset();
        if (machine != nullptr) {
            machine->put_back();
            EXPECT_EQ(machine_state(), before);
        }
    }
    /// States are compared under the lock only: another process may be changing the machine.
    void take_machine() {
        Result<std::shared_ptr<Machine>> got = Machine::get();
        ASSERT_TRUE(got.has_value()) << got.error().message;
        machine = std::move(*got);
    }
    kernel::Kernel& first() { return world->process(0); }
    Provoked provoke(Trigger trigger, u64 address, u64 pages) {
        return world->provoke(0, trigger, address, to_bytes(pages));
    }
    void store_all(u64 address, u64 pages, u64 value) {
        for (u64 page = 0; page < pages; ++page) {
            EXPECT_TRUE(first().perform(Call::store(address + to_bytes(page), value)).ok());
        }
    }
    /// Whole huge pages, aligned: what advice and collapse need.
    u64 map_huge_range(u64 huge_pages) {
        const u64 size = world->huge_page_size();
        const u64 at = map_pages(first(), to_pages(size * (huge_pages + 1)));
        return round_up(at, size);
    }
    std::string before;
    std::shared_ptr<Machine> machine;
    std::unique_ptr<HostWorld> world;
};

TEST_F(TriggerTest, ReclaimTakesAnonymousPagesOutAndTheyComeBackAsTheyWere) {
    const u64 at = map_pages(first(), 4);
    store_all(at, 4, 7);
    const Provoked reclaimed = provoke(Trigger::reclaim, at, 4);
    ASSERT_TRUE(reclaimed.acted) << reclaimed.why_not;
    for (u64 page = 0; page < 4; ++page) {
        EXPECT_TRUE(is_in_swap(entry_of(first(), at + to_bytes(page))));
    }
    EXPECT_EQ(first().perform(Call::load(at)).value, 7);
    EXPECT_TRUE(is_present(entry_of(first(), at)));
}

TEST_F(TriggerTest, ReclaimOfSharedMemoryLeavesMarkersWhereItWasProtected) {
    VERSO_NEEDS(write_protect_shmem);
    const int file = static_cast<int>(first().perform(Call::memfd_create()).value);
    ASSERT_TRUE(first().perform(Call::file_resize(file, to_bytes(2))).ok());
    const u64 at = map_pages(first(), 2, shared_write, file);
    store_all(at, 2, 7);
    const int fd =
        static_cast<int>(first().perform(Call::uffd_open(abi::Feature::wp_hugetlbfs_shmem)).value);
    ASSERT_TRUE(first()
                    .perform(Call::uffd_register(fd, at, to_bytes(2), RegisterMode::write_protect))
                    .ok());
    ASSERT_TRUE(first().perform(Call::uffd_write_protect(fd, at, page_size, true)).ok());
    const Provoked reclaimed = provoke(Trigger::reclaim, at, 2);
    ASSERT_TRUE(reclaimed.acted) << reclaimed.why_not;
    constexpr u64 swap_form = abi::PagemapBit::swapped | abi::PagemapBit::uffd_wp;
    EXPECT_EQ(entry_of(first(), at) & swap_form, swap_form);
    EXPECT_EQ(entry_of(first(), at + page_size) & swap_form, 0U) << "nothing to remember";
}

TEST_F(TriggerTest, ReclaimOfNothingSaysSo) {
    const Provoked reclaimed = provoke(Trigger::reclaim, map_pages(first(), 1), 1);
    EXPECT_FALSE(reclaimed.acted);
    EXPECT_EQ(reclaimed.why_not, "no page of the range is in memory");
}

TEST_F(TriggerTest, ReclaimOfAPinnedPageSaysSo) {
    const u64 at = map_pages(first(), 1);
    store_all(at, 1, 7);
    const Outcome pinned = first().perform(Call::pin(at, page_size));
    if (!pinned.ok()) {
        ASSERT_TRUE(pinned.verdict == Verdict::denied || pinned.verdict == Verdict::unsupported ||
                    pinned.verdict == Verdict::no_memory)
            << to_string(pinned);
        GTEST_SKIP() << "this kernel lets nobody pin memory: " << to_string(pinned);
    }
    const Provoked reclaimed = provoke(Trigger::reclaim, at, 1);
    EXPECT_FALSE(reclaimed.acted);
    EXPECT_TRUE(is_present(entry_of(first(), at)));
}

TEST_F(TriggerTest, SwapOffBringsEverythingBackAndCanBeRepeated) {
    const u64 at = map_pages(first(), 2);
    store_all(at, 2, 9);
    for (int round = 0; round < 2; ++round) {
        ASSERT_TRUE(provoke(Trigger::reclaim, at, 2).acted);
        const Provoked off = provoke(Trigger::swap_off, at, 2);
        ASSERT_TRUE(off.acted) << off.why_not;
        EXPECT_TRUE(is_present(entry_of(first(), at)));
        EXPECT_EQ(first().perform(Call::load(at + page_size)).value, 9);
    }
}

TEST_F(TriggerTest, SwapOffWithNothingInSwapSaysSo) {
    const u64 at = map_pages(first(), 1);
    store_all(at, 1, 9);
    EXPECT_FALSE(provoke(Trigger::swap_off, at, 1).acted);
}

/// What migrated keeps what its entry said: contents, and protection where there was any.
void expect_migration(HostWorld& world, u64 at, u64 pages) {
    std::vector<u64> frames;
    for (u64 page = 0; page < pages; ++page) {
        frames.push_back(entry_of(world.process(0), at + to_bytes(page)));
    }
    const Provoked migrated = world.provoke(0, Trigger::migrate, at, to_bytes(pages));
    ASSERT_TRUE(migrated.acted) << migrated.why_not;
    for (u64 page = 0; page < pages; ++page) {
        const u64 entry = entry_of(world.process(0), at + to_bytes(page));
        EXPECT_NE(frame_of(entry), frame_of(frames[page])) << "page " << page;
        EXPECT_EQ(entry & abi::PagemapBit::uffd_wp, frames[page] & abi::PagemapBit::uffd_wp);
        EXPECT_EQ(world.process(0).perform(Call::load(at + to_bytes(page))).value, 3);
    }
}

TEST_F(TriggerTest, AnonymousPagesMigrate) {
    const u64 at = map_pages(first(), 4);
    store_all(at, 4, 3);
    expect_migration(*world, at, 4);
    expect_migration(*world, at, 4);
}

TEST_F(TriggerTest, ProtectedPagesOfSharedMemoryMigrateAndStayProtected) {
    VERSO_NEEDS(write_protect_shmem);
    const int file = static_cast<int>(first().perform(Call::memfd_create()).value);
    ASSERT_TRUE(first().perform(Call::file_resize(file, to_bytes(2))).ok());
    const u64 at = map_pages(first(), 2, shared_write, file);
    store_all(at, 2, 3);
    const int fd =
        static_cast<int>(first().perform(Call::uffd_open(abi::Feature::wp_hugetlbfs_shmem)).value);
    ASSERT_TRUE(first()
                    .perform(Call::uffd_register(fd, at, to_bytes(2), RegisterMode::write_protect))
                    .ok());
    ASSERT_TRUE(first().perform(Call::uffd_write_protect(fd, at, page_size, true)).ok());
    expect_migration(*world, at, 2);
    EXPECT_NE(entry_of(first(), at) & abi::PagemapBit::uffd_wp, 0U);
}

TEST_F(TriggerTest, PagesThatAForkSharesMigrateForBoth) {
    const u64 at = map_pages(first(), 2);
    store_all(at, 2, 3);
    const Result<int> child = world->fork(0);
    ASSERT_TRUE(child.has_value());
    expect_migration(*world, at, 2);
    EXPECT_EQ(frame_of(entry_of(first(), at)), frame_of(entry_of(world->process(*child), at)));
}

TEST_F(TriggerTest, AHugePageOfThePoolMigratesIfThePoolHasAnother) {
    VERSO_NEEDS_SETTING("/proc/sys/vm/nr_hugepages");
    const Result<void> pool = world->need_huge_pages(2);
    if (!pool) {
        GTEST_SKIP() << pool.error().message;
    }
    const u64 pages = to_pages(world->huge_page_size());
    const u64 at = map_pages(first(), pages, read_write | MapFlag::huge);
    store_all(at, pages, 3);
    expect_migration(*world, at, pages);
}

TEST_F(TriggerTest, APinnedPageDoesNotMigrateAndThatIsSaid) {
    const u64 at = map_pages(first(), 1);
    store_all(at, 1, 3);
    const Outcome pinned = first().perform(Call::pin(at, page_size));
    if (!pinned.ok()) {
        GTEST_SKIP() << "this kernel lets nobody pin memory: " << to_string(pinned);
    }
    const u64 frame = frame_of(entry_of(first(), at));
    const Provoked migrated = provoke(Trigger::migrate, at, 1);
    EXPECT_FALSE(migrated.acted);
    EXPECT_FALSE(migrated.why_not.empty());
    EXPECT_EQ(frame_of(entry_of(first(), at)), frame);
}

TEST_F(TriggerTest, CompactionSaysTheTruthAboutWhatItMoved) {
    VERSO_NEEDS_SETTING("/proc/sys/vm/compact_memory");
    constexpr u64 pages = 512;
    const u64 at = map_pages(first(), pages);
    ASSERT_TRUE(first().perform(Call::advise(at, to_bytes(pages), Advice::no_huge_page)).ok());
    store_all(at, pages, 3);
    const Target target{first(), world->pid_of(0), at, to_bytes(pages), {}, {}};
    const std::vector<u64> before_it = entries_of(target);
    const Provoked migrated = migrate_by_compaction(target);
    const std::vector<u64> after_it = entries_of(target);
    u64 changed = 0;
    for (u64 page = 0; page < pages; ++page) {
        changed += frame_of(before_it[page]) != frame_of(after_it[page]) ? 1 : 0;
    }
    EXPECT_EQ(migrated.acted, changed > 0) << migrated.why_not;
    EXPECT_EQ(migrated.acted, migrated.why_not.empty());
}

TEST_F(TriggerTest, AfterANumaHintTheNextAccessOfEachPageIsAFault) {
    VERSO_NEEDS_SETTING("/proc/sys/kernel/numa_balancing");
    if (!std::string_view(VERSO_SANITIZE).empty()) {
        GTEST_SKIP() << "a sanitizer's shadow is terabytes, which the balancer walks for minutes";
    }
    constexpr u64 pages = 64;
    const u64 at = map_pages(first(), pages);
    store_all(at, pages, 5);
    const Provoked hinted = provoke(Trigger::numa_hint, at, pages);
    ASSERT_TRUE(hinted.acted) << hinted.why_not;
    const auto faults = [] { return number_after(read_text("/proc/vmstat"), "numa_hint_faults"); };
    const u64 before_loads = faults();
    for (u64 page = 0; page < pages; ++page) {
        EXPECT_EQ(first().perform(Call::load(at + to_bytes(page))).value, 5);
    }
    EXPECT_GE(faults(), before_loads + pages);
}

TEST_F(TriggerTest, ANumaHintForPagesThatTwoProcessesShareSaysThatThereIsNone) {
    VERSO_NEEDS_SETTING("/proc/sys/kernel/numa_balancing");
    const u64 at = map_pages(first(), 1);
    store_all(at, 1, 5);
    ASSERT_TRUE(world->fork(0).has_value());
    EXPECT_FALSE(provoke(Trigger::numa_hint, at, 1).acted);
}

TEST_F(TriggerTest, EqualPagesAreMergedAndComeApartAgain) {
    VERSO_NEEDS_SETTING("/sys/kernel/mm/ksm/run");
    const u64 at = map_pages(first(), 2);
    store_all(at, 2, 0x1234'5678'9abc);
    ASSERT_TRUE(first().perform(Call::advise(at, to_bytes(2), Advice::mergeable)).ok());
    const Provoked merged = provoke(Trigger::ksm_merge, at, 2);
    ASSERT_TRUE(merged.acted) << merged.why_not;
    EXPECT_EQ(frame_of(entry_of(first(), at)), frame_of(entry_of(first(), at + page_size)));
    const Provoked apart = provoke(Trigger::ksm_unmerge, at, 2);
    ASSERT_TRUE(apart.acted) << apart.why_not;
    EXPECT_NE(frame_of(entry_of(first(), at)), frame_of(entry_of(first(), at + page_size)));
    EXPECT_TRUE(provoke(Trigger::ksm_merge, at, 2).acted) << "they are still mergeable";
}

TEST_F(TriggerTest, PagesThatDifferAreNotMerged) {
    VERSO_NEEDS_SETTING("/sys/kernel/mm/ksm/run");
    const u64 at = map_pages(first(), 2);
    store_all(at, 1, 0x1111'2222'3333);
    store_all(at + page_size, 1, 0x4444'5555'6666);
    ASSERT_TRUE(first().perform(Call::advise(at, to_bytes(2), Advice::mergeable)).ok());
    const Provoked merged = provoke(Trigger::ksm_merge, at, 2);
    EXPECT_FALSE(merged.acted);
    EXPECT_FALSE(merged.why_not.empty());
}

TEST_F(TriggerTest, HugePagesAreMadeAndTakenApart) {
    VERSO_NEEDS_SETTING("/sys/kernel/mm/transparent_hugepage/enabled");
    const u64 pages = to_pages(world->huge_page_size());
    const u64 at = map_huge_range(1);
    store_all(at, 2, 8);
    const Provoked collapsed = provoke(Trigger::thp_collapse, at, pages);
    ASSERT_TRUE(collapsed.acted) << collapsed.why_not;
    EXPECT_FALSE(provoke(Trigger::thp_collapse, at, pages).acted) << "it is one already";
    const u64 frame = frame_of(entry_of(first(), at));
    const Provoked split = provoke(Trigger::thp_split, at, pages);
    ASSERT_TRUE(split.acted) << split.why_not;
    EXPECT_EQ(frame_of(entry_of(first(), at)), frame) << "taken apart where it is";
    EXPECT_FALSE(provoke(Trigger::thp_split, at, pages).acted);
    EXPECT_EQ(first().perform(Call::load(at)).value, 8);
}

TEST_F(TriggerTest, WriteBackCleansPagesOfAFileOnDisk) {
    constexpr std::string_view folder = "/var/tmp";
    const Outcome made =
        first().perform(Call::file_create(), {.in = std::as_bytes(std::span(folder))});
    if (!made.ok()) {
        GTEST_SKIP() << "no file without a name can be made here: " << to_string(made);
    }
    const int file = static_cast<int>(made.value);
    ASSERT_TRUE(first().perform(Call::file_resize(file, to_bytes(2))).ok());
    const u64 at = map_pages(first(), 2, shared_write, file);
    store_all(at, 2, 6);
    const Provoked written = provoke(Trigger::write_back, at, 2);
    EXPECT_TRUE(written.acted) << written.why_not;
    EXPECT_FALSE(provoke(Trigger::write_back, at, 2).acted) << "they are clean";
    EXPECT_EQ(first().perform(Call::load(at)).value, 6);
}

TEST_F(TriggerTest, WriteBackOfAnonymousMemorySaysThatThereIsNoFile) {
    const u64 at = map_pages(first(), 1);
    store_all(at, 1, 6);
    EXPECT_FALSE(provoke(Trigger::write_back, at, 1).acted);
}

TEST_F(TriggerTest, ThePoolOfHugePagesIsThereForTheWorldAndGoesWithIt) {
    VERSO_NEEDS_SETTING("/proc/sys/vm/nr_hugepages");
    for (const u64 count : {1U, 3U}) {
        const Result<void> had = world->need_huge_pages(count);
        if (!had) {
            GTEST_SKIP() << had.error().message;
        }
    }
    const Outcome made = first().perform(Call::memfd_create(kernel::MemfdFlag::huge));
    ASSERT_TRUE(made.ok()) << to_string(made);
    const int file = static_cast<int>(made.value);
    const u64 size = world->huge_page_size();
    ASSERT_TRUE(first().perform(Call::file_resize(file, size)).ok());
    const u64 at = map_pages(first(), to_pages(size), shared_write, file);
    EXPECT_TRUE(first().perform(Call::store(at, 1)).ok());
}

TEST_F(TriggerTest, AProcessThatDiesWhileATriggerActsIsToldAndEverythingIsPutBack) {
    VERSO_NEEDS_SETTING("/proc/sys/kernel/numa_balancing");
    const u64 at = map_pages(first(), 4);
    store_all(at, 4, 5);
    ASSERT_TRUE(provoke(Trigger::reclaim, at, 1).acted);  // the swap file is there as well
    std::unique_ptr<kernel::Thread> killer = linux_kernel().spawn("killer", [this] {
        while (read_number("/proc/sys/kernel/numa_balancing") == 0) {
            ::usleep(100);
        }
        ::kill(world->pid_of(0), SIGKILL);
    });
    const Provoked hinted = provoke(Trigger::numa_hint, at, 4);
    killer.reset();
    EXPECT_FALSE(hinted.acted);
    EXPECT_NE(hinted.why_not.find("was killed by signal 9"), std::string::npos) << hinted.why_not;
}

TEST_F(TriggerTest, TwoWorldsUseOneSwapFileWhichGoesWithTheLast) {
    std::unique_ptr<HostWorld> other = new_world();
    for (HostWorld* const one : {world.get(), other.get()}) {
        const u64 at = map_pages(one->process(0), 1);
        ASSERT_TRUE(one->process(0).perform(Call::store(at, 4)).ok());
        ASSERT_TRUE(one->provoke(0, Trigger::reclaim, at, page_size).acted);
    }
    EXPECT_NE(machine_state(), before);
    machine.reset();
    world.reset();
    EXPECT_NE(machine_state(), before) << "the other's pages are in it";
    other.reset();
    take_machine();
    EXPECT_EQ(machine_state(), before);
}

/// The owner, in a child: it says when the machine has been changed, and waits to be killed.
int change_and_wait(int said) {
    const std::unique_ptr<HostWorld> world = new_world();
    kernel::Kernel& process = world->process(0);
    const u64 at = map_pages(process, 1);
    const bool stored = process.perform(Call::store(at, 1)).ok();
    const bool acted = world->provoke(0, Trigger::reclaim, at, page_size).acted;
    const bool pool =
        world->need_huge_pages(read_number("/proc/sys/vm/nr_hugepages") + 1).has_value();
    const char yes = stored && acted && pool ? 'y' : 'n';
    static_cast<void>(::write(said, &yes, 1));
    ::pause();
    return 0;
}

TEST_F(TriggerTest, AnOwnerThatIsKilledLeavesNothingBehind) {
    VERSO_NEEDS_SETTING("/proc/sys/vm/nr_hugepages");
    machine.reset();  // the lock would keep the child waiting
    std::array<int, 2> said{};
    ASSERT_EQ(::pipe2(said.data(), O_CLOEXEC), 0);
    const pid_t owner = ::fork();
    if (owner == 0) {
        ::_exit(change_and_wait(said[1]));
    }
    ::close(said[1]);
    char heard = 0;
    EXPECT_EQ(::read(said[0], &heard, 1), 1);
    EXPECT_EQ(heard, 'y');
    EXPECT_NE(machine_state(), before);
    ::kill(owner, SIGKILL);
    ::waitpid(owner, nullptr, 0);
    ::close(said[0]);
    // The lock is free once the dead owner's keeper has put everything back.
    take_machine();
    EXPECT_EQ(machine_state(), before);
}

}  // namespace
}  // namespace verso::host
