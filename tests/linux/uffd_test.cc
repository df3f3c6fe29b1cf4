// userfaultfd on the running kernel: the calls, their answers, and the events.
#include <array>
#include <atomic>
#include <thread>

#include "linux/linux_test.h"

namespace verso::host {
namespace {
using abi::Feature;
using kernel::Event;
using kernel::EventKind;
using kernel::FillFlag;

constexpr u64 wp_features = Feature::pagefault_flag_wp | Feature::wp_hugetlbfs_shmem;

Fd opened(u64 features) {
    const Outcome outcome = perform(Call::uffd_open(features));
    EXPECT_TRUE(outcome.ok()) << to_string(outcome);
    return Fd(static_cast<int>(outcome.value));
}

/// Waits for one event; the caller made sure that one comes.
Event next_event(const Fd& uffd) {
    std::array<kernel::Wait, 1> waits{kernel::Wait{uffd.get()}};
    EXPECT_TRUE(perform(Call::wait(~u64{0}), {.waits = waits}).ok());
    std::array<Event, 1> events;
    EXPECT_EQ(perform(Call::uffd_read(uffd.get()), {.events = events}).value, 1);
    return events[0];
}

TEST(Uffd, AnOpenOneIsClosedOnExecAndHasNothingToRead) {
    VERSO_NEEDS(userfaultfd);
    const Fd uffd = opened(0);
    EXPECT_EQ(::fcntl(uffd.get(), F_GETFD), FD_CLOEXEC);
    std::array<Event, 4> events;
    EXPECT_EQ(perform(Call::uffd_read(uffd.get()), {.events = events}).verdict,
              Verdict::would_block);
}

TEST(Uffd, AFeatureThatNoKernelHasIsUnsupportedAndLeaksNothing) {
    VERSO_NEEDS(userfaultfd);
    const int before = lowest_free_fd();
    const Outcome outcome = perform(Call::uffd_open(u64{1} << 63));
    EXPECT_EQ(outcome.verdict, Verdict::unsupported);
    EXPECT_EQ(lowest_free_fd(), before);
}

TEST(Uffd, AWriteToAProtectedPageWaitsForItsRelease) {
    VERSO_NEEDS(write_protect_shmem);
    const Fd file = new_memfd(4);
    const Scratch memory(file.get(), 4, shared_write);
    const Scratch alias(file.get(), 4, shared_write);
    memory.touch_all(1);
    const Fd uffd = opened(wp_features);
    ASSERT_TRUE(perform(Call::uffd_register(uffd.get(), memory.at(0), memory.bytes(),
                                            RegisterMode::write_protect))
                    .ok());
    ASSERT_TRUE(
        perform(Call::uffd_write_protect(uffd.get(), memory.at(0), memory.bytes(), true)).ok());
    EXPECT_EQ(memory.byte(2), 1) << "reads pass";
    std::jthread writer([&] { memory.byte(2) = 9; });
    const Event event = next_event(uffd);
    EXPECT_EQ(event.kind, EventKind::write_protect);
    EXPECT_TRUE(event.write);
    EXPECT_EQ(event.address, memory.at(2));
    EXPECT_EQ(alias.byte(2), 1) << "not before the release";
    ASSERT_TRUE(perform(Call::uffd_write_protect(uffd.get(), memory.at(2), page_size, false)).ok());
    writer.join();
    EXPECT_EQ(memory.byte(2), 9);
    EXPECT_NE(pagemap_entry(memory.at(1)) & abi::PagemapBit::uffd_wp, 0U);
    EXPECT_EQ(pagemap_entry(memory.at(2)) & abi::PagemapBit::uffd_wp, 0U);
}

TEST(Uffd, AMissingPageIsFilledByCopyAndThenExists) {
    VERSO_NEEDS(userfaultfd);
    const Scratch memory(-1, 4, read_write);
    const Scratch source(-1, 4, read_write);
    source.touch_all(7);
    const Fd uffd = opened(0);
    ASSERT_TRUE(perform(Call::uffd_register(uffd.get(), memory.at(0), memory.bytes(),
                                            RegisterMode::missing))
                    .ok());
    std::atomic<int> seen{-1};
    std::jthread reader([&] { seen = memory.byte(1); });
    const Event event = next_event(uffd);
    EXPECT_EQ(event.kind, EventKind::missing);
    EXPECT_FALSE(event.write);
    const Outcome filled =
        perform(Call::uffd_copy(uffd.get(), memory.at(1), page_size, source.at(0), 0));
    EXPECT_EQ(filled.value, 4096) << to_string(filled);
    reader.join();
    EXPECT_EQ(seen, 7);
    const Outcome again =
        perform(Call::uffd_copy(uffd.get(), memory.at(1), page_size, source.at(0), 0));
    EXPECT_EQ(again.verdict, Verdict::exists);
    EXPECT_EQ(again.value, 0);
}

TEST(H31_PartialFills, ACopyThatMeetsAPageHalfWaySaysHowFarItCame) {
    VERSO_NEEDS(userfaultfd);
    const Scratch memory(-1, 4, read_write);
    const Scratch source(-1, 4, read_write);
    source.touch_all(7);
    const Fd uffd = opened(0);
    ASSERT_TRUE(perform(Call::uffd_register(uffd.get(), memory.at(0), memory.bytes(),
                                            RegisterMode::missing))
                    .ok());
    ASSERT_TRUE(perform(Call::uffd_zeropage(uffd.get(), memory.at(2), page_size)).ok());
    const Outcome partial =
        perform(Call::uffd_copy(uffd.get(), memory.at(0), memory.bytes(), source.at(0), 0));
    EXPECT_EQ(partial.verdict, Verdict::partial) << to_string(partial);
    EXPECT_EQ(partial.value, 2 * 4096);
    EXPECT_EQ(memory.byte(2), 0);
}

TEST(Uffd, ContinueMapsThePagesOfAFileIntoAPrivateMapping) {
    VERSO_NEEDS(continue_private);
    const Fd file = new_memfd(4);
    const Scratch alias(file.get(), 4, shared_write);
    alias.touch_all(5);
    const Scratch child(file.get(), 4, read_write);
    const Fd uffd = opened(Feature::minor_shmem | Feature::missing_shmem);
    ASSERT_TRUE(perform(Call::uffd_register(uffd.get(), child.at(0), child.bytes(),
                                            RegisterMode::missing | RegisterMode::minor))
                    .ok());
    std::jthread writer([&] { child.byte(1) = 8; });
    const Event event = next_event(uffd);
    EXPECT_EQ(event.kind, EventKind::minor);
    EXPECT_EQ(perform(Call::uffd_continue(uffd.get(), child.at(0), child.bytes(), 0)).value,
              static_cast<i64>(child.bytes()));
    writer.join();
    EXPECT_EQ(child.byte(0), 5);
    EXPECT_EQ(child.byte(1), 8);
    EXPECT_EQ(alias.byte(1), 5) << "a child's write stays in the child";
    std::array<PageRun, 4> runs;
    const Outcome scan = perform(
        Call::pagemap_scan(child.at(0), child.bytes(), ScanFlag::private_copy), {.runs = runs});
    if (scan.verdict == Verdict::unsupported) {
        GTEST_SKIP() << "this kernel has no PAGEMAP_SCAN (6.7); the rest of the test passed";
    }
    ASSERT_EQ(scan.value, 1) << to_string(scan);
    EXPECT_EQ(runs[0].start, child.at(1));
    EXPECT_EQ(runs[0].end, child.at(2));
}

TEST(Uffd, ContinueWithoutAPageInTheFileSaysNoPage) {
    VERSO_NEEDS(minor_shmem);
    const Fd file = new_memfd(1);
    const Scratch memory(file.get(), 1, shared_write);
    const Fd uffd = opened(Feature::minor_shmem);
    ASSERT_TRUE(
        perform(Call::uffd_register(uffd.get(), memory.at(0), memory.bytes(), RegisterMode::minor))
            .ok());
    const Outcome outcome =
        perform(Call::uffd_continue(uffd.get(), memory.at(0), page_size, FillFlag::no_wake));
    EXPECT_EQ(outcome.verdict, Verdict::no_page) << to_string(outcome);
}

TEST(H9_LostRegistration, ARangeThatWasUnmappedIsNoSuchRange) {
    VERSO_NEEDS(write_protect_shmem);
    const Fd file = new_memfd(1);
    const Fd uffd = opened(wp_features);
    u64 address = 0;
    {
        const Scratch memory(file.get(), 1, shared_write);
        address = memory.at(0);
        ASSERT_TRUE(perform(Call::uffd_register(uffd.get(), address, page_size,
                                                RegisterMode::write_protect))
                        .ok());
    }
    EXPECT_EQ(perform(Call::uffd_write_protect(uffd.get(), address, page_size, true)).verdict,
              Verdict::no_such_range);
}

// H2: until the event is read, every resolution is refused; afterwards it works.
TEST(H2_LayoutChanging, AnUnreadRemoveRefusesResolutionsUntilItIsRead) {
    VERSO_NEEDS(write_protect_shmem);
    VERSO_NEEDS(layout_events);
    const Fd file = new_memfd(4);
    const Scratch memory(file.get(), 4, shared_write);
    memory.touch_all(1);
    const Fd uffd = opened(wp_features | Feature::event_remove);
    ASSERT_TRUE(perform(Call::uffd_register(uffd.get(), memory.at(0), memory.bytes(),
                                            RegisterMode::write_protect))
                    .ok());
    std::jthread discarder(
        [&] { EXPECT_TRUE(perform(Call::advise(memory.at(1), page_size, Advice::remove)).ok()); });
    std::array<kernel::Wait, 1> waits{kernel::Wait{uffd.get()}};
    ASSERT_TRUE(perform(Call::wait(~u64{0}), {.waits = waits}).ok());
    const Call protect = Call::uffd_write_protect(uffd.get(), memory.at(0), page_size, true);
    EXPECT_EQ(perform(protect).verdict, Verdict::layout_changing);
    const Event event = next_event(uffd);
    EXPECT_EQ(event.kind, EventKind::removed);
    EXPECT_EQ(event.address, memory.at(1));
    EXPECT_EQ(event.end, memory.at(2));
    EXPECT_EQ(event.length, page_size);
    discarder.join();
    EXPECT_TRUE(perform(protect).ok());
}

TEST(Uffd, RegisteringTwiceWithTwoContextsIsBusy) {
    VERSO_NEEDS(userfaultfd);
    const Scratch memory(-1, 1, read_write);
    const Fd first = opened(0);
    const Fd second = opened(0);
    ASSERT_TRUE(
        perform(Call::uffd_register(first.get(), memory.at(0), page_size, RegisterMode::missing))
            .ok());
    EXPECT_EQ(
        perform(Call::uffd_register(second.get(), memory.at(0), page_size, RegisterMode::missing))
            .verdict,
        Verdict::busy);
    EXPECT_TRUE(perform(Call::uffd_unregister(first.get(), memory.at(0), page_size)).ok());
}

TEST(H12_SpecialMappings, WriteProtectingAFileOfADiskIsATypedRefusal) {
    VERSO_NEEDS(write_protect_shmem);
    const Fd file(::open("/proc/self/exe", O_RDONLY | O_CLOEXEC));
    ASSERT_TRUE(file.valid());
    const Scratch memory(file.get(), 1, MapFlag::read);
    const Fd uffd = opened(wp_features);
    const Outcome outcome = perform(
        Call::uffd_register(uffd.get(), memory.at(0), page_size, RegisterMode::write_protect));
    EXPECT_EQ(outcome.verdict, Verdict::invalid) << to_string(outcome);
}

// Rival bug: a message buffer indexed past its end when the batch is full.
TEST(Uffd, MoreEventsThanRoomComeInSeveralReads) {
    VERSO_NEEDS(userfaultfd);
    constexpr u64 pages = 8;
    const Scratch memory(-1, pages, read_write);
    const Fd uffd = opened(0);
    ASSERT_TRUE(perform(Call::uffd_register(uffd.get(), memory.at(0), memory.bytes(),
                                            RegisterMode::missing))
                    .ok());
    std::vector<std::jthread> readers;
    for (u64 page = 0; page < pages; ++page) {
        readers.emplace_back([&memory, page] { static_cast<void>(memory.load(page)); });
    }
    std::array<Event, 4> events;  // the fourth is a canary
    u64 seen = 0;
    while (seen < pages) {
        std::array<kernel::Wait, 1> waits{kernel::Wait{uffd.get()}};
        ASSERT_TRUE(perform(Call::wait(~u64{0}), {.waits = waits}).ok());
        events[3].address = 1;
        const Outcome read =
            perform(Call::uffd_read(uffd.get()), {.events = std::span(events).first(3)});
        ASSERT_TRUE(read.ok()) << to_string(read);
        ASSERT_LE(read.value, 3);
        EXPECT_EQ(events[3].address, 1U);
        for (u64 i = 0; i < static_cast<u64>(read.value); ++i) {
            EXPECT_TRUE(
                perform(Call::uffd_zeropage(uffd.get(), events[i].address, page_size)).ok());
        }
        seen += static_cast<u64>(read.value);
    }
}

}  // namespace
}  // namespace verso::host
