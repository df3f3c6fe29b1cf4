// Calls and outcomes as values and as text.
#include <map>
#include <set>
#include <string>
#include <unordered_set>

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include "kernel/kernel.h"

namespace verso::kernel {
namespace {

Call drawn_call() {
    Call call;
    call.op = static_cast<Op>(*rc::gen::inRange(0U, op_count));
    call.fd = *rc::gen::inRange(-1, 3);
    call.address = to_bytes(*rc::gen::inRange<u64>(0, 4));
    call.length = to_bytes(*rc::gen::inRange<u64>(0, 4));
    call.offset = *rc::gen::inRange<u64>(0, 4);
    call.aux = *rc::gen::inRange<u64>(0, 4);
    return call;
}

TEST(Op, EveryOneHasANameOfItsOwn) {
    std::set<std::string_view> names;
    for (unsigned i = 0; i < op_count; ++i) {
        EXPECT_TRUE(names.insert(name_of(static_cast<Op>(i))).second) << i;
    }
}

TEST(Verdict, EveryOneHasANameOfItsOwn) {
    std::set<std::string_view> names;
    for (unsigned i = 0; i < verdict_count; ++i) {
        EXPECT_TRUE(names.insert(name_of(static_cast<Verdict>(i))).second) << i;
    }
}

TEST(Call, PrintsOneLineForPeople) {
    EXPECT_EQ(to_string(Call::uffd_write_protect(5, 0x7f0000000000, 0x200000, true)),
              "uffd_write_protect(fd 5, 0x7f0000000000+0x200000, aux 0x1)");
    EXPECT_EQ(to_string(Call::file_punch(3, 0x1000, 0x2000)),
              "file_punch(fd 3, 0x0+0x2000, at 0x1000)");
    EXPECT_EQ(to_string(Call::event_create()), "event_create()");
}

RC_GTEST_PROP(Call, EqualCallsHashAlikeAndPrintAlike, ()) {
    const Call call = drawn_call();
    const Call copy = call;
    RC_ASSERT(call == copy);
    RC_ASSERT(std::hash<Call>{}(call) == std::hash<Call>{}(copy));
    RC_ASSERT(to_string(call) == to_string(copy));
}

// Pages differ in bits 12 and up only: a hash that keeps to the low bits would put them all in one
// bucket.
TEST(Call, HashesOfNeighbouringPagesAllDiffer) {
    std::unordered_set<std::size_t> hashes;
    std::map<std::size_t, unsigned> buckets;
    constexpr u64 pages = 4096;
    for (u64 page = 0; page < pages; ++page) {
        const std::size_t hash =
            std::hash<Call>{}(Call::uffd_write_protect(5, to_bytes(page), page_size, true));
        hashes.insert(hash);
        ++buckets[hash % 256];
    }
    EXPECT_EQ(hashes.size(), pages);
    EXPECT_EQ(buckets.size(), 256U);
}

TEST(Call, ConstructorsPutFieldsWhereTheHeaderSays) {
    const Call copy = Call::uffd_copy(4, 0x1000, 0x2000, 0x3000, FillFlag::write_protect);
    EXPECT_EQ(copy.address, 0x1000U);
    EXPECT_EQ(copy.length, 0x2000U);
    EXPECT_EQ(copy.offset, 0x3000U) << "the source";
    const Call map = Call::map(4, 0x1000, 0x2000, MapFlag::read, 0x5000);
    EXPECT_EQ(map.offset, 0x1000U);
    EXPECT_EQ(map.length, 0x2000U);
    EXPECT_EQ(map.address, 0x5000U);
}

TEST(Outcome, PrintsVerdictValueAndTheSystemsWords) {
    EXPECT_EQ(to_string(Outcome{Verdict::denied, 1, 0, 0}), "denied (Operation not permitted)");
    EXPECT_EQ(to_string(Outcome::done(7)), "done 7");
    EXPECT_EQ(to_string(Outcome{Verdict::partial, 11, 4096, 0}),
              "partial 4096 (Resource temporarily unavailable)");
    EXPECT_EQ(to_string(Outcome{Verdict::closed, 0, 0, 0}), "closed");
}

TEST(Outcome, IsAFailureUntilSomebodySaysOtherwise) { EXPECT_FALSE(Outcome{}.ok()); }

}  // namespace
}  // namespace verso::kernel
