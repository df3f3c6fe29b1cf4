// Shared mappings of a memfd are real memory of this program, as long as nobody watches them.
#include <cstring>

#include "sim/sim_test.h"

namespace verso::mm::sim {
namespace {

u64* words(u64 address) { return reinterpret_cast<u64*>(address); }  // NOLINT

class Alias : public Sim {
protected:
    const Fd file = memfd(4);
    const u64 alias = must(Call::map(file.get(), 0, to_bytes(4), shared));
    const u64 app = must(Call::map(file.get(), 0, to_bytes(4), shared));
};

TEST_F(Alias, ShowsWhatIsStoredThroughTheSeam) {
    store(app + 8, 5);
    EXPECT_EQ(words(alias)[1], 5U);
    EXPECT_EQ(words(app)[1], 5U);
}

TEST_F(Alias, APlainStoreIsSeenThroughTheSeamAndInTheOtherMapping) {
    words(alias)[1] = 6;
    EXPECT_EQ(words(app)[1], 6U);
    EXPECT_EQ(load(app + 8), 6U);
    u64 read = 0;
    must(Call::file_read(file.get(), 8, 8), {.out = std::as_writable_bytes(std::span(&read, 1))});
    EXPECT_EQ(read, 6U);
    EXPECT_EQ(must(Call::file_used(file.get())), page_size);
}

TEST_F(Alias, APlainStoreIsPartOfAPrivateCopyMadeLater) {
    const u64 own = must(Call::map(file.get(), 0, page_size, plain));
    words(alias)[0] = 1;
    store(own + 8, 2);
    words(alias)[0] = 3;
    EXPECT_EQ(load(own), 1U);
}

TEST_F(Alias, APlainStoreReachesAPageThatIsSwappedOut) {
    store(app, 1);
    ASSERT_TRUE(provoke(kernel::Trigger::reclaim, app).acted);
    EXPECT_EQ(words(alias)[0], 1U);
    words(alias)[1] = 2;
    EXPECT_EQ(load(app), 1U);
    EXPECT_EQ(load(app + 8), 2U);
}

TEST_F(Alias, AHoleIsZeroesInRealMemoryToo) {
    words(alias)[512] = 1;
    must(Call::file_punch(file.get(), 0, to_bytes(4)));
    EXPECT_EQ(words(alias)[512], 0U);
    EXPECT_EQ(must(Call::file_used(file.get())), 0U);
}

using AliasDeathTest = Alias;

TEST_F(AliasDeathTest, RegisteredMemoryIsReachedThroughTheSeamAlone) {
    const Fd uffd = userfaultfd(abi::Feature::wp_hugetlbfs_shmem);
    words(app)[0] = 1;
    must(Call::uffd_register(uffd.get(), app, to_bytes(4), kernel::RegisterMode::write_protect));
    EXPECT_DEATH(words(app)[0] = 2, "");
    EXPECT_EQ(words(alias)[0], 1U);
    must(Call::uffd_unregister(uffd.get(), app, to_bytes(4)));
    words(app)[0] = 3;
    EXPECT_EQ(words(alias)[0], 3U);
}

TEST_F(AliasDeathTest, AnonymousMemoryIsReachedThroughTheSeamAlone) {
    const u64 at = anonymous(1);
    EXPECT_DEATH(words(at)[0] = 2, "");
}

TEST_F(AliasDeathTest, WhatIsUnmappedIsNoLongerThere) {
    must(Call::unmap(alias, to_bytes(4)));
    EXPECT_DEATH(words(alias)[0] = 2, "");
    words(app)[0] = 1;
    EXPECT_EQ(load(app), 1U);
}

TEST_F(Alias, ProcessesThatWereStartedHaveAddressesOfTheirOwn) {
    const int other = world.start_process();
    kernel::Kernel& there = world.process(other);
    const int fd = static_cast<int>(there.perform(Call::memfd_create()).value);
    ASSERT_TRUE(there.perform(Call::file_resize(fd, page_size)).ok());
    const auto at = static_cast<u64>(there.perform(Call::map(fd, 0, page_size, shared)).value);
    words(at)[0] = 9;
    EXPECT_EQ(load(at, other), 9U);
    EXPECT_EQ(perform(Call::load(at)).verdict, kernel::Verdict::signal);
    world.exit(other);
}

}  // namespace
}  // namespace verso::mm::sim
