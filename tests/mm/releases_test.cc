// What a release did not have yet it refuses, with the error that it gave: a feature, a mode, a
// call. One table: from which release on, and what it says before.
#include <cerrno>

#include "mm/world.h"

namespace verso::mm {
namespace {

struct Newcomer {
    const char* name;
    const char* last_without;  // presets
    const char* first_with;
    Outcome (*call)(World&);
};

Outcome asks_for(World& world, u64 feature) {
    Call api{.op = Op::uffd_api, .address = abi::uffd_api_version, .extra = feature};
    api.fd = static_cast<u8>(world.step({.op = Op::uffd_open}).value);
    return world.step(api);
}

Outcome registers(World& world, MemoryKind kind, u32 mode) {
    world.map(kind, 2);
    world.open(Feature::sigbus);
    return world.register_(0, 2, mode);
}

Outcome advises(World& world, MemoryKind kind, Advice advice) {
    world.map(kind, 2);
    return world.madvise(0, 2, advice);
}

Outcome moves(World& world, MemoryKind kind, u32 flags) {
    world.map(kind, 2);
    Call call{.op = Op::mremap, .flags = RemapFlags::may_move | RemapFlags::fixed | flags};
    call.length = to_bytes(2);
    call.extra = to_bytes(2);
    call.source = to_bytes(2);
    return world.step(call);
}

Outcome continues(World& world, MemoryKind kind) {
    registers(world, kind, Mode::missing);
    return world.range(Op::uffd_continue, 0, 2, 0);
}

constexpr Newcomer newcomers[] = {
    {"UserModeOnly", "5.7", "5.19",
     [](World& w) { return w.step({.op = Op::uffd_open, .flags = abi::uffd_user_mode_only}); }},
    {"FeatureMinorHugetlbfs", "5.7", "5.19",
     [](World& w) { return asks_for(w, abi::Feature::minor_hugetlbfs); }},
    {"FeatureMinorShmem", "5.7", "5.19",
     [](World& w) { return asks_for(w, abi::Feature::minor_shmem); }},
    {"FeatureExactAddress", "5.7", "5.19",
     [](World& w) { return asks_for(w, abi::Feature::exact_address); }},
    {"MinorOfHugetlb", "5.7", "5.19",
     [](World& w) { return registers(w, MemoryKind::HS, Mode::minor); }},
    {"MinorOfShmem", "5.7", "5.19",
     [](World& w) { return registers(w, MemoryKind::SS, Mode::minor); }},
    {"DontunmapOfShmem", "5.7", "5.19",
     [](World& w) { return moves(w, MemoryKind::SS, RemapFlags::dontunmap); }},
    {"MremapOfHugetlb", "5.7", "5.19", [](World& w) { return moves(w, MemoryKind::HS, 0); }},
    {"DontneedOfHugetlb", "5.7", "5.19",
     [](World& w) { return advises(w, MemoryKind::HS, Advice::dontneed); }},
    {"PopulateRead", "5.7", "5.19",
     [](World& w) { return advises(w, MemoryKind::A, Advice::populate_read); }},
    {"PopulateWrite", "5.7", "5.19",
     [](World& w) { return advises(w, MemoryKind::A, Advice::populate_write); }},
    {"Collapse", "5.19", "6.1",
     [](World& w) {
         w.map(MemoryKind::A, 2);
         w.store(0, 1);
         return w.madvise(0, 2, Advice::collapse);
     }},
    {"GuardInstall", "6.9", "6.13",
     [](World& w) { return advises(w, MemoryKind::A, Advice::guard_install); }},
};

class Release : public testing::TestWithParam<Newcomer> {};

TEST_P(Release, BeforeTheCallExistedRefusesIt) {
    World world(*preset(GetParam().last_without));
    EXPECT_EQ(GetParam().call(world), Outcome::fail(EINVAL)) << GetParam().last_without;
}

TEST_P(Release, ThatHasTheCallMakesIt) {
    World world(*preset(GetParam().first_with));
    EXPECT_EQ(GetParam().call(world).verdict, Verdict::done) << GetParam().first_with;
}

INSTANTIATE_TEST_SUITE_P(Of, Release, testing::ValuesIn(newcomers),
                         [](const auto& one) { return std::string(one.param.name); });

TEST(Releases, Before514ContinueIsNoIoctlAtAll) {
    for (const MemoryKind kind : {MemoryKind::SS, MemoryKind::HS}) {
        World old(*preset("5.7"));
        EXPECT_EQ(continues(old, kind), Outcome::fail(EINVAL));
        World with(*preset("5.19"));
        EXPECT_EQ(continues(with, kind).error, EFAULT) << "nothing is in the cache: FL-21";
    }
}

TEST(Releases, AnAdviceThatDoesNotExistIsRefusedBeforeTheRangeIsLookedAt) {
    World world(*preset("5.7"));
    EXPECT_EQ(world.madvise(0, 2, Advice::populate_write), Outcome::fail(EINVAL)) << "not ENOMEM";
}

TEST(Releases, Of57CanStillMoveAnonymousMemoryWithoutUnmapping) {
    World world(*preset("5.7"));
    EXPECT_EQ(moves(world, MemoryKind::A, RemapFlags::dontunmap).verdict, Verdict::done);
}

}  // namespace
}  // namespace verso::mm
