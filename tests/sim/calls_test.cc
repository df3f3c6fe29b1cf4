// Calls mean on the model what they mean on Linux, down to errno and verdict.
#include <array>
#include <cerrno>
#include <csignal>

#include "sim/sim_test.h"

namespace verso::mm::sim {
namespace {

using abi::Feature;
using kernel::Advice;
using kernel::RegisterMode;
using kernel::Verdict;

class Calls : public Sim {
protected:
    void expect(const Call& call, Verdict verdict, int error) {
        const kernel::Outcome outcome = perform(call);
        EXPECT_EQ(outcome.verdict, verdict) << to_string(call) << ": " << to_string(outcome);
        EXPECT_EQ(outcome.error, error) << to_string(call);
    }
    const Fd file = memfd(4);
};

TEST_F(Calls, AStoreToProtectedMemoryInSigbusModeIsASignal) {
    const Fd uffd = userfaultfd(Feature::sigbus | Feature::wp_hugetlbfs_shmem);
    const u64 at = must(Call::map(file.get(), 0, to_bytes(4), shared));
    store(at, 1);
    must(Call::uffd_register(uffd.get(), at, to_bytes(4), RegisterMode::write_protect));
    must(Call::uffd_write_protect(uffd.get(), at, to_bytes(4), true));
    const kernel::Outcome stored = perform(Call::store(at, 2));
    EXPECT_EQ(stored.verdict, Verdict::signal);
    EXPECT_EQ(stored.value, SIGBUS);
    EXPECT_EQ(load(at), 1U);
    EXPECT_NE(pagemap(at) & abi::PagemapBit::uffd_wp, 0U);
    must(Call::uffd_write_protect(uffd.get(), at, to_bytes(4), false));
    store(at, 2);
    EXPECT_EQ(load(at), 2U);
}

TEST_F(Calls, AnAccessToNothingIsASegfault) {
    const u64 at = anonymous(1);
    must(Call::unmap(at, page_size));
    EXPECT_EQ(perform(Call::load(at)).value, SIGSEGV);
    EXPECT_EQ(perform(Call::store(64, 1)).value, SIGSEGV);
    expect(Call::gup_read(at), Verdict::no_page, EFAULT);
    expect(Call::forced_write(at, 1), Verdict::other, EIO);
}

TEST_F(Calls, AForcedWriteGoesPastPermissionsIntoACopy) {
    const u64 at = anonymous(1);
    store(at, 1);
    must(Call::protect(at, page_size, MapFlag::read));
    EXPECT_EQ(perform(Call::store(at, 2)).value, SIGSEGV);
    EXPECT_EQ(must(Call::forced_write(at, 3)), 8U);
    EXPECT_EQ(load(at), 3U);
}

TEST_F(Calls, MappingErrorsAreLinuxs) {
    expect(Call::map(file.get(), 0, 0, shared), Verdict::invalid, EINVAL);
    expect(Call::map(file.get(), 1, page_size, shared), Verdict::invalid, EINVAL);
    expect(Call::map(-1, 0, u64{1} << 40, plain), Verdict::no_memory, ENOMEM);
    expect(Call::map(99, 0, page_size, shared), Verdict::other, EBADF);
    const u64 at = anonymous(1);
    expect(Call::map(-1, 0, page_size, plain, at), Verdict::exists, EEXIST);
    must(Call::map(-1, 0, page_size, plain | MapFlag::fixed, at));
    expect(Call::unmap(at + 1, page_size), Verdict::invalid, EINVAL);
    expect(Call::protect(at + page_size * 8, page_size, plain), Verdict::no_memory, ENOMEM);
    expect(Call::advise(at + page_size * 8, page_size, Advice::drop), Verdict::no_memory, ENOMEM);
    expect(Call::check_mapped(at, to_bytes(9)), Verdict::no_memory, ENOMEM);
    must(Call::check_mapped(at, page_size));
}

TEST_F(Calls, UserfaultfdErrorsAreLinuxs) {
    const Fd raw(static_cast<int>(must(Call::uffd_create())));
    const u64 at = must(Call::map(file.get(), 0, to_bytes(4), shared));
    expect(Call::uffd_register(raw.get(), at, page_size, 1), Verdict::invalid, EINVAL);
    expect(Call::uffd_api(raw.get(), 1, 0), Verdict::invalid, EINVAL);
    must(Call::uffd_api(raw.get(), abi::uffd_api_version, Feature::wp_hugetlbfs_shmem));
    expect(Call::uffd_register(raw.get(), at, page_size, 0), Verdict::invalid, EINVAL);
    expect(Call::uffd_register(raw.get(), at, 17, 1), Verdict::invalid, EINVAL);
    expect(Call::uffd_write_protect(raw.get(), at, page_size, true), Verdict::no_such_range,
           ENOENT);
    must(Call::uffd_register(raw.get(), at, to_bytes(2), RegisterMode::missing));
    const std::array<std::byte, 2 * page_size> bytes{};
    const auto from = reinterpret_cast<u64>(bytes.data());  // NOLINT
    EXPECT_EQ(must(Call::uffd_copy(raw.get(), at, page_size, from, 0)), page_size);
    expect(Call::uffd_copy(raw.get(), at, page_size, from, 0), Verdict::exists, EEXIST);
    expect(Call::uffd_copy(raw.get(), at, page_size, 0, 0), Verdict::no_page, EFAULT);
    expect(Call::uffd_copy(raw.get(), at + to_bytes(2), page_size, from, 0), Verdict::no_such_range,
           ENOENT);
    const kernel::Outcome partial =
        perform(Call::uffd_copy(raw.get(), at + page_size, to_bytes(1), from, 0));
    EXPECT_TRUE(partial.ok());
    kernel::Event event;
    EXPECT_EQ(perform(Call::uffd_read(raw.get()), {.events = {&event, 1}}).verdict,
              Verdict::would_block);
    const Fd other = userfaultfd();
    expect(Call::uffd_register(other.get(), at, page_size, 1), Verdict::busy, EBUSY);
}

TEST_F(Calls, ACopyThatMeetsAPageStopsThereAndSaysHowFarItCame) {
    const u64 at = must(Call::map(file.get(), 0, to_bytes(4), shared));
    const Fd uffd = userfaultfd();
    store(at + to_bytes(2), 1);
    must(Call::uffd_register(uffd.get(), at, to_bytes(4), RegisterMode::missing));
    std::array<u64, 4 * page_size / 8> bytes{};
    bytes[512] = 5;
    const auto from = reinterpret_cast<u64>(bytes.data());  // NOLINT
    const kernel::Outcome outcome = perform(Call::uffd_copy(uffd.get(), at, to_bytes(4), from, 0));
    EXPECT_EQ(outcome.verdict, Verdict::partial);
    EXPECT_EQ(outcome.value, static_cast<i64>(to_bytes(2)));
    EXPECT_EQ(load(at + page_size), 5U);
    EXPECT_EQ(load(at + to_bytes(2)), 1U);
}

TEST_F(Calls, APagemapWordSaysWhatIsThere) {
    const u64 at = must(Call::map(file.get(), 0, to_bytes(4), shared));
    using abi::PagemapBit;
    EXPECT_EQ(pagemap(at) & (PagemapBit::present | PagemapBit::swapped), 0U);
    store(at, 1);
    EXPECT_EQ(pagemap(at) >> 61 << 61, PagemapBit::present | PagemapBit::file);
    const u64 own = anonymous(1);
    store(own, 1);
    EXPECT_EQ(pagemap(own) & (PagemapBit::present | PagemapBit::file | PagemapBit::exclusive),
              PagemapBit::present | PagemapBit::exclusive);
}

TEST_F(Calls, AScanFindsAndArmsWhatWasWritten) {
    const u64 at = must(Call::map(file.get(), 0, to_bytes(4), shared));
    const Fd uffd =
        userfaultfd(Feature::wp_async | Feature::wp_unpopulated | Feature::wp_hugetlbfs_shmem);
    must(Call::uffd_register(uffd.get(), at, to_bytes(4), RegisterMode::write_protect));
    must(Call::uffd_write_protect(uffd.get(), at, to_bytes(4), true));
    store(at + page_size, 1);
    store(at + to_bytes(2), 1);
    std::array<kernel::Run, 4> runs;
    const Call scan =
        Call::pagemap_scan(at, to_bytes(4), kernel::ScanFlag::written | kernel::ScanFlag::arm);
    kernel::Outcome outcome = perform(scan, {.runs = runs});
    ASSERT_TRUE(outcome.ok()) << to_string(outcome);
    ASSERT_EQ(outcome.value, 1);
    EXPECT_EQ(runs[0].start, at + page_size);
    EXPECT_EQ(runs[0].end, at + to_bytes(3));
    EXPECT_EQ(outcome.walk_end, at + to_bytes(4));
    EXPECT_EQ(must(scan, {.runs = runs}), 0U);
}

TEST_F(Calls, LockedMemoryIsAllThereAtOnce) {
    const u64 at = anonymous(2);
    must(Call::lock(at, to_bytes(2)));
    EXPECT_NE(pagemap(at + page_size) & abi::PagemapBit::present, 0U);
    EXPECT_FALSE(provoke(kernel::Trigger::reclaim, at).acted);
}

TEST_F(Calls, LockingStopsAtAHoleAndWhatLiesBeforeItIsLocked) {
    const u64 at = anonymous(2);
    must(Call::unmap(at + page_size, page_size));
    expect(Call::lock(at, to_bytes(2)), Verdict::no_memory, ENOMEM);
    EXPECT_EQ(pagemap(at) & abi::PagemapBit::present, 0U) << "nothing is brought in";
    expect(Call::advise(at, page_size, kernel::Advice::drop), Verdict::invalid, EINVAL);
}

TEST_F(Calls, AMappingMovesWithItsContents) {
    const u64 at = anonymous(2);
    store(at + page_size, 4);
    const u64 target = anonymous(2);
    EXPECT_EQ(must(Call::remap(at, to_bytes(2), to_bytes(2),
                               kernel::RemapFlag::may_move | kernel::RemapFlag::fixed, target)),
              target);
    EXPECT_EQ(load(target + page_size), 4U);
    EXPECT_EQ(perform(Call::load(at)).value, SIGSEGV);
}

TEST_F(Calls, HugeMappingsAreInUnitsOfHugePages) {
    const u64 huge = world.huge_page_size();
    const u64 at = must(Call::map(-1, 0, huge, plain | MapFlag::huge));
    EXPECT_EQ(at % huge, 0U);
    store(at + page_size, 3);
    EXPECT_EQ(load(at + page_size), 3U);
    expect(Call::unmap(at, page_size), Verdict::invalid, EINVAL);
    must(Call::unmap(at, huge));
}

TEST_F(Calls, UsageCountsWhatTheMappingHas) {
    const u64 at = anonymous(4);
    store(at, 1);
    store(at + page_size, 1);
    ASSERT_TRUE(provoke(kernel::Trigger::reclaim, at).acted);
    kernel::Usage usage;
    must(Call::memory_usage(at, page_size), {.usage = &usage});
    EXPECT_EQ(usage.rss, page_size);
    EXPECT_EQ(usage.anonymous, page_size);
    EXPECT_EQ(usage.swap, page_size);
}

TEST_F(Calls, ASinkMayMendAnAccessThatFaults) {
    class Mender final : public kernel::FaultSink {
    public:
        Mender(kernel::Kernel& kernel, u64 at) : kernel_(kernel), at_(at) {}
        bool on_access_fault(u64 address, bool write) override {
            ++faults;
            EXPECT_EQ(address, at_);
            EXPECT_TRUE(write);
            return kernel_.perform(Call::protect(at_, page_size, plain)).ok();
        }
        int faults = 0;

    private:
        kernel::Kernel& kernel_;
        u64 at_;
    };
    const u64 at = anonymous(1);
    must(Call::protect(at, page_size, MapFlag::read));
    Mender mender(kernel(), at);
    must(Call::watch_segv(at, page_size), {.sink = &mender});
    store(at, 1);
    EXPECT_EQ(mender.faults, 1);
    must(Call::unwatch_segv(at, page_size));
    expect(Call::unwatch_segv(at, page_size), Verdict::no_such_range, ENOENT);
}

TEST_F(Calls, AbilitiesAreThoseOfTheRules) {
    const kernel::Abilities& can = kernel().abilities();
    EXPECT_TRUE(can.userfaultfd && can.wp_async && can.poison && can.minor_shmem);
    EXPECT_TRUE(can.layout_events && can.pagemap_scan && !can.user_mode_only);
    FirstChoice first;
    SimWorld old(*preset("5.19"), roomy(), first, {.privileged = false});
    const kernel::Abilities& could = old.process(0).abilities();
    EXPECT_TRUE(could.write_protect_shmem && could.user_mode_only);
    EXPECT_FALSE(could.wp_async || could.poison || could.pagemap_scan);
}

}  // namespace
}  // namespace verso::mm::sim
