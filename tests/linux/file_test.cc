// Files, mappings and plain memory.
#include <array>
#include <cstring>

#include <sys/resource.h>

#include "linux/linux_test.h"

namespace verso::host {
namespace {

std::span<const std::byte> bytes_of(std::string_view text) {
    return std::as_bytes(std::span(text.data(), text.size()));
}

TEST(LinuxFile, AMemfdIsClosedOnExecAndNamed) {
    const Outcome made = perform(Call::memfd_create(), {.in = bytes_of("verso-test")});
    ASSERT_TRUE(made.ok()) << to_string(made);
    const Fd fd(static_cast<int>(made.value));
    EXPECT_EQ(::fcntl(fd.get(), F_GETFD), FD_CLOEXEC);
    std::array<char, 64> link{};
    const std::string path = "/proc/self/fd/" + std::to_string(fd.get());
    ASSERT_GT(::readlink(path.c_str(), link.data(), link.size() - 1), 0);
    EXPECT_STREQ(link.data(), "/memfd:verso-test (deleted)");
}

TEST(LinuxFile, AVeryLongNameIsCutAndNotRefused) {
    const std::string name(1000, 'n');
    const Outcome made = perform(Call::memfd_create(), {.in = bytes_of(name)});
    ASSERT_TRUE(made.ok()) << to_string(made);
    const Fd fd(static_cast<int>(made.value));
}

TEST(LinuxFile, SizeIsWhatResizeSaidAndUseIsWhatWasWritten) {
    const Fd file = new_memfd(16);
    EXPECT_EQ(perform(Call::file_size(file.get())).value, 16 * 4096);
    EXPECT_EQ(perform(Call::file_used(file.get())).value, 0);
    const std::vector<std::byte> page(page_size, std::byte{7});
    EXPECT_EQ(perform(Call::file_write(file.get(), 8192, page_size), {.in = page}).value, 4096);
    EXPECT_EQ(perform(Call::file_used(file.get())).value, 4096);
}

TEST(LinuxFile, PunchingGivesThePagesBackAndLeavesZeroes) {
    const Fd file = new_memfd(2);
    std::vector<std::byte> page(page_size, std::byte{7});
    ASSERT_TRUE(perform(Call::file_write(file.get(), 0, page_size), {.in = page}).ok());
    ASSERT_TRUE(perform(Call::file_punch(file.get(), 0, page_size)).ok());
    EXPECT_EQ(perform(Call::file_used(file.get())).value, 0);
    EXPECT_EQ(perform(Call::file_size(file.get())).value, 8192);
    ASSERT_TRUE(perform(Call::file_read(file.get(), 0, page_size), {.out = page}).ok());
    EXPECT_EQ(page, std::vector<std::byte>(page_size));
}

TEST(LinuxFile, ReadingStopsAtTheEndAndSaysHowFarItCame) {
    const Fd file = new_memfd(1);
    std::vector<std::byte> room(3 * page_size);
    EXPECT_EQ(perform(Call::file_read(file.get(), 0, room.size()), {.out = room}).value, 4096);
}

// A store through a mapping would be a SIGBUS here; the write is an answer.
TEST(LinuxFile, WritingPastTheFileSizeLimitIsAnOutcome) {
    EXPECT_EQ(in_child([] {
                  const Fd file = new_memfd(1);
                  const rlimit limit{4096, 4096};
                  ::setrlimit(RLIMIT_FSIZE, &limit);
                  ::signal(SIGXFSZ, SIG_IGN);
                  const std::vector<std::byte> page(page_size);
                  const Outcome outcome =
                      perform(Call::file_write(file.get(), 8192, page_size), {.in = page});
                  return outcome.error == EFBIG ? 0 : 1;
              }),
              0);
}

TEST(LinuxFile, ADuplicateIsANewNumberForTheSameFile) {
    const Fd file = new_memfd(3);
    const Fd copy(static_cast<int>(perform(Call::duplicate(file.get())).value));
    EXPECT_NE(copy.get(), file.get());
    EXPECT_EQ(::fcntl(copy.get(), F_GETFD), FD_CLOEXEC);
    EXPECT_EQ(perform(Call::file_size(copy.get())).value, 3 * 4096);
}

TEST(LinuxFile, NoDescriptorsLeftHasAVerdictOfItsOwn) {
    const Fd first = new_memfd(1);  // a sanitizer's first look at the kernel object takes one, too
    EXPECT_EQ(in_child([] {
                  const rlimit limit{0, 0};
                  ::setrlimit(RLIMIT_NOFILE, &limit);
                  const Outcome outcome = perform(Call::memfd_create());
                  return outcome.verdict == Verdict::no_descriptors ? 0 : 1;
              }),
              0);
}

TEST(LinuxMap, SharedMappingsOfOneFileShowEachOthersStores) {
    const Fd file = new_memfd(1);
    const Scratch one(file.get(), 1, shared_write);
    const Scratch two(file.get(), 1, shared_write);
    one.byte(0) = 42;
    EXPECT_EQ(two.byte(0), 42);
}

TEST(LinuxMap, APrivateMappingKeepsItsStores) {
    const Fd file = new_memfd(1);
    const Scratch shared(file.get(), 1, shared_write);
    const Scratch own(file.get(), 1, read_write);
    own.byte(0) = 42;
    EXPECT_EQ(shared.byte(0), 0);
}

TEST(LinuxMap, AnAddressIsADemandAndWhatIsThereStays) {
    const Scratch there(-1, 1, read_write);
    there.byte(0) = 42;
    const Outcome again = perform(Call::map(-1, 0, page_size, read_write, there.at(0)));
    EXPECT_EQ(again.verdict, Verdict::exists) << to_string(again);
    EXPECT_EQ(there.byte(0), 42);
}

TEST(LinuxMap, FixedReplacesWhatIsThere) {
    const Scratch there(-1, 2, read_write);
    there.touch_all(42);
    const Outcome again =
        perform(Call::map(-1, 0, page_size, read_write | MapFlag::fixed, there.at(0)));
    ASSERT_TRUE(again.ok());
    EXPECT_EQ(static_cast<u64>(again.value), there.at(0));
    EXPECT_EQ(there.byte(0), 0);
    EXPECT_EQ(there.byte(1), 42);
}

TEST(LinuxMap, NoForkKeepsAMappingOutOfChildren) {
    const Scratch kept(-1, 1, read_write | MapFlag::no_fork);
    const u64 address = kept.at(0);
    EXPECT_EQ(in_child([&] {
                  // In the child the range is free: mapping there works without replacing.
                  return perform(Call::map(-1, 0, page_size, read_write, address)).ok() ? 0 : 1;
              }),
              0);
}

TEST(LinuxMap, RemoveEmptiesTheFileAndDropOnlyTheMapping) {
    const Fd file = new_memfd(2);
    const Scratch memory(file.get(), 2, shared_write);
    memory.touch_all(42);
    ASSERT_TRUE(perform(Call::advise(memory.at(0), page_size, Advice::drop)).ok());
    EXPECT_EQ(memory.byte(0), 42);
    ASSERT_TRUE(perform(Call::advise(memory.at(1), page_size, Advice::remove)).ok());
    EXPECT_EQ(memory.byte(1), 0);
    EXPECT_TRUE(perform(Call::advise(memory.at(0), memory.bytes(), Advice::no_huge_page)).ok());
}

TEST(LinuxMap, WhatTheSystemRefusesIsAVerdict) {
    EXPECT_EQ(perform(Call::unmap(123, page_size)).verdict, Verdict::invalid);
    EXPECT_EQ(perform(Call::map(-1, 0, u64{1} << 62, read_write)).verdict, Verdict::no_memory);
    const Fd null(::open("/dev/null", O_RDONLY | O_CLOEXEC));
    EXPECT_EQ(perform(Call::map(null.get(), 0, page_size, MapFlag::read)).verdict,
              Verdict::unsupported);
}

TEST(LinuxMemory, LoadsAndStoresCopyBytes) {
    const Scratch memory(-1, 1, read_write);
    const std::string_view text = "hello";
    EXPECT_EQ(perform(Call::memory_write(memory.at(0) + 8, 5), {.in = bytes_of(text)}).value, 5);
    std::array<std::byte, 5> back{};
    EXPECT_EQ(perform(Call::memory_read(memory.at(0) + 8, 5), {.out = back}).value, 5);
    EXPECT_EQ(std::memcmp(back.data(), text.data(), text.size()), 0);
}

TEST(LinuxUsage, CountsWhatWasTouchedAsPrivateAndShared) {
    const Fd file = new_memfd(8);
    const Scratch shared(file.get(), 8, shared_write);
    const Scratch own(file.get(), 8, read_write);
    shared.touch_all(1);
    own.byte(0) = 2;
    own.byte(3) = 2;
    static_cast<void>(own.load(5));
    kernel::Usage usage;
    ASSERT_TRUE(perform(Call::memory_usage(own.at(0), own.bytes()), {.usage = &usage}).ok());
    EXPECT_EQ(usage.anonymous, to_bytes(2));
    EXPECT_GE(usage.rss, to_bytes(3));
    EXPECT_GE(usage.rss, usage.pss);
}

TEST(LinuxCheckMapped, FindsAGapAndNothingElse) {
    const Fd file = new_memfd(8);
    const Scratch memory(file.get(), 8, shared_write);
    memory.touch_all(1);
    EXPECT_TRUE(perform(Call::check_mapped(memory.at(0), memory.bytes())).ok());
    ASSERT_TRUE(perform(Call::protect(memory.at(2), page_size, 0)).ok());  // three mappings now
    EXPECT_TRUE(perform(Call::check_mapped(memory.at(0), memory.bytes())).ok());
    for (const u64 gap : {u64{0}, u64{4}, u64{7}}) {
        ASSERT_TRUE(perform(Call::unmap(memory.at(gap), page_size)).ok());
        EXPECT_EQ(perform(Call::check_mapped(memory.at(0), memory.bytes())).verdict,
                  Verdict::no_memory)
            << "page " << gap;
        ASSERT_TRUE(perform(Call::map(file.get(), to_bytes(gap), page_size,
                                      shared_write | MapFlag::fixed, memory.at(gap)))
                        .ok());
    }
    EXPECT_TRUE(perform(Call::check_mapped(memory.at(0), memory.bytes())).ok());
}

constexpr std::string_view two_mappings =
    "1000-3000 rw-p 00000000 00:00 0 \n"
    "Size:                  8 kB\nRss:                   8 kB\nPss:                   4 kB\n"
    "Pss_Dirty:           100 kB\nAnonymous:             8 kB\nSwapPss:             100 kB\n"
    "Swap:                 12 kB\nVmFlags: rd wr mr\n"
    "5000-6000 rw-s 00000000 00:01 99 /memfd:a face:b00c (deleted)\n"
    "Rss:                   4 kB\nPss:                   2 kB\nAnonymous:             0 kB\n"
    "Swap:                  0 kB\n";

TEST(LinuxUsage, AddsUpTheMappingsThatARangeTouches) {
    const kernel::Usage first = sum_usage(two_mappings, 0x2000, 0x5000);
    EXPECT_EQ(first.rss, 8192U);
    EXPECT_EQ(first.pss, 4096U);
    EXPECT_EQ(first.anonymous, 8192U);
    EXPECT_EQ(first.swap, 12288U);
    EXPECT_EQ(sum_usage(two_mappings, 0, 0x10000).rss, 12288U);
    EXPECT_EQ(sum_usage(two_mappings, 0x3000, 0x5000).rss, 0U);
}

TEST(LinuxUsage, TextThatEndsAnywhereIsRead) {
    for (std::size_t length = 0; length <= two_mappings.size(); ++length) {
        EXPECT_LE(sum_usage(two_mappings.substr(0, length), 0, ~u64{0}).rss, 12288U);
    }
}

}  // namespace
}  // namespace verso::host
