// The ledger as its owner writes it and as another process finds it.
#include <gtest/gtest.h>

#include "engine/ledger.h"
#include "linux/linux_kernel.h"

namespace verso::engine {
namespace {

using kernel::Call;
using kernel::Payload;

Fd copy_of(const Ledger& ledger) {
    return Fd(static_cast<int>(host::linux_kernel().perform(Call::duplicate(ledger.fd())).value));
}

Ledger make(u64 pages, bool trusted = true) {
    return std::move(*Ledger::create(host::linux_kernel(), pages, trusted));
}

/// Overwrites `bytes` at the start of the file and opens it.
Result<Ledger> open_with(const Ledger& ledger, u64 offset, u64 value, u64 pages) {
    const std::span<const u64> one(&value, 1);
    EXPECT_TRUE(host::linux_kernel()
                    .perform(Call::file_write(ledger.fd(), offset, sizeof value),
                             Payload{.in = std::as_bytes(one)})
                    .ok());
    return Ledger::open(host::linux_kernel(), copy_of(ledger), pages);
}

TEST(Ledger, WhoeverOpensItSeesWhatTheOwnerMarks) {
    Ledger owner = make(100);
    owner.set_seq(4, 1);
    const Result<Ledger> other = Ledger::open(host::linux_kernel(), copy_of(owner), 100);
    ASSERT_TRUE(other.has_value());
    owner.captured(4).set(99);
    owner.lost(4).set(98);
    EXPECT_EQ(other->seq(4), 1U);
    EXPECT_TRUE(other->captured(4).test(99));
    EXPECT_FALSE(other->captured(4).test(98));
    EXPECT_TRUE(other->lost(4).test(98));
}

TEST(Ledger, SlotsAreListedInTimeOrderFromAMoment) {
    Ledger ledger = make(1);
    ledger.set_seq(0, 5);
    ledger.set_seq(1, 2);
    ledger.set_seq(9, 3);
    EXPECT_EQ(ledger.slots_from(3), (std::vector<u32>{9, 0}));
}

TEST(Ledger, NeighbouringSlotsDoNotShareBits) {
    Ledger ledger = make(64 * 513 + 1);
    const u64 last = ledger.pages() - 1;
    ledger.captured(3).set(last);
    EXPECT_FALSE(ledger.lost(3).test(last));
    EXPECT_EQ(ledger.captured(4).count(), 0U);
    EXPECT_EQ(ledger.captured(3).count(), 1U);
}

TEST(Ledger, ErasingASlotLeavesItsNeighbours) {
    Ledger ledger = make(100);
    for (const u32 slot : {2U, 3U, 4U}) {
        ledger.captured(slot).set(7);
        ledger.lost(slot).set(8);
    }
    ASSERT_TRUE(ledger.erase(3).ok());
    EXPECT_EQ(ledger.captured(3).count() + ledger.lost(3).count(), 0U);
    EXPECT_TRUE(ledger.captured(2).test(7) && ledger.lost(4).test(8));
}

TEST(Ledger, TrustIsWithdrawnForEverybody) {
    Ledger owner = make(1);
    const Result<Ledger> other = Ledger::open(host::linux_kernel(), copy_of(owner), 1);
    ASSERT_TRUE(other.has_value() && other->trusted());
    owner.distrust();
    EXPECT_FALSE(other->trusted());
}

TEST(Ledger, AFreeSlotCostsNothing) {
    const Ledger ledger = make(u64{1} << 20);  // 4 GiB: 256 MiB of bitmaps, if they were all there
    EXPECT_LE(ledger.used_bytes(), u64{64} << 10);
}

TEST(Ledger, AStrangerIsRefusedInWords) {
    for (const auto& [offset, what] :
         {std::pair{u64{0}, "magic"}, {u64{8}, "version and slots"}, {u64{16}, "pages"}}) {
        const Ledger ledger = make(10);
        const Result<Ledger> opened = open_with(ledger, offset, 77, 10);
        ASSERT_FALSE(opened.has_value()) << what;
        EXPECT_EQ(opened.error().kind, ErrorKind::peer);
    }
}

TEST(Ledger, AFileThatIsTooSmallIsRefused) {
    const Ledger ledger = make(10);
    const Result<Ledger> opened = Ledger::open(host::linux_kernel(), copy_of(ledger), 1'000'000);
    ASSERT_FALSE(opened.has_value());
    EXPECT_NE(opened.error().message.find("too small"), std::string::npos);
}

}  // namespace
}  // namespace verso::engine
