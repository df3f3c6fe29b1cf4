// Hazards of particular memory: huge pages, files, mappings that the application changes or adds.
#include <fstream>
#include <memory>
#include <optional>
#include <string>

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "hazards/brought.h"
#include "hazards/hooked.h"
#include "linux/world/machine.h"
#include "support/peer.h"

namespace verso::test {
namespace {

/// Sets a kernel knob for the length of a test.
class Knob {
public:
    Knob(const char* path, const std::string& value) : path_(path) {
        std::ifstream(path_) >> before_;
        std::string word;
        std::ifstream all(path_);
        while (all >> word) {  // "always [never] force": the bracketed one is set
            before_ = word.front() == '[' ? word.substr(1, word.size() - 2) : before_;
        }
        std::ofstream out(path_);
        out << value << std::flush;
        set_ = out.good();
    }
    ~Knob() { std::ofstream(path_) << before_ << std::flush; }
    Knob(const Knob&) = delete;
    Knob& operator=(const Knob&) = delete;
    bool set() const { return set_; }

private:
    const char* path_;
    std::string before_;
    bool set_ = false;
};

TEST(H04_NeighboursMadePresentByHugePages, SinglePagesAreRightWithShmemHugePagesForced) {
    const Knob forced("/sys/kernel/mm/transparent_hugepage/shmem_enabled", "force");
    if (!forced.set()) {
        GTEST_SKIP() << "shmem_enabled cannot be changed here (root, and a kernel with THP)";
    }
    constexpr u64 pages = 2'100;
    Result<Region> source = Region::create({.size = to_bytes(pages)});
    VERSO_ASSERT_OK(source);
    write_all(source->bytes(), 1, 0);
    const Result<Snapshot> moment = source->snapshot();
    const Result<Region> child = moment->fork();
    VERSO_ASSERT_OK(child);
    Page seen;
    ASSERT_TRUE(load_page(child->bytes().data() + to_bytes(700), seen));
    for (u64 page = 600; page < 800; ++page) {
        write_page(source->bytes(), 1, page, 1);
    }
    EXPECT_TRUE(holds(child->bytes(), 1, 0));
    EXPECT_TRUE(holds(*moment->bytes(), 1, 0));
    VERSO_ASSERT_OK(source->rewind(*moment));
    EXPECT_TRUE(holds(source->bytes(), 1, 0));
}

/// Pages of 2 MiB in the pool, one more than a memfd of them has. Other tests want pages there,
/// too, and count them: the machine's lock keeps them apart.
struct HugeMemory {
    explicit HugeMemory(u64 huge_pages = 1)
        : machine(pool_of(huge_pages + 1)),
          memory(::memfd_create("huge", MFD_CLOEXEC | MFD_HUGETLB), 512 * huge_pages) {}
    static std::shared_ptr<host::Machine> pool_of(u64 huge_pages) {
        Result<std::shared_ptr<host::Machine>> got = host::Machine::get();
        if (!got || !(*got)->huge_pages(huge_pages)) {
            return nullptr;
        }
        return *got;
    }
    bool had() const { return memory.at != MAP_FAILED; }
    /// What the kernel counts: pages that are free, pages that are promised to a mapping.
    static std::pair<u64, u64> free_and_reserved() {
        std::pair<u64, u64> pages{};
        std::ifstream("/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages") >> pages.first;
        std::ifstream("/sys/kernel/mm/hugepages/hugepages-2048kB/resv_hugepages") >> pages.second;
        return pages;
    }
    const std::shared_ptr<host::Machine> machine;
    Brought memory;
};
constexpr const char* no_huge_pages = "no hugetlb pages can be had here (root, and free memory)";

// A copy-on-write granule of 2 MiB (H5) and memory that no cgroup counts (H6) would make every
// figure of MemoryReport wrong for hugetlb memory of this process: whoever brings it is refused. A
// lender's is protected and stored by 2 MiB, and its children have pages of 4 KiB.

TEST(H05_HugetlbGranule, AdoptingHugetlbMemoryIsRefusedWithASentence) {
    const HugeMemory huge;
    if (!huge.had()) {
        GTEST_SKIP() << no_huge_pages;
    }
    for (const Tracking tracking : {Tracking::contents, Tracking::pages}) {
        const Result<Region> region = huge.memory.adopt(tracking);
        ASSERT_FALSE(region.has_value());
        EXPECT_NE(region.error().message.find("huge"), std::string::npos) << region.error().message;
    }
}

/// This process lends, another one is the engine, and children are imported by others again.
class H05_LentHugetlb : public testing::Test {
protected:
    static constexpr u64 huge_pages = 3;
    static constexpr u64 pages = huge_pages * 512;

    void SetUp() override {
        VERSO_NEEDS_USERFAULTFD();
        huge_.emplace(huge_pages);
        if (!huge_->had()) {
            GTEST_SKIP() << no_huge_pages;
        }
    }
    std::span<std::byte> memory() const { return huge_->memory.memory(); }
    Result<Loan> lend_to(Peer& engine, u64 bytes, Answer& attached) const {
        AdoptOptions memory;
        memory.memfd = huge_->memory.fd.get();
        memory.address = huge_->memory.at;
        memory.size = bytes;
        const auto [ours, theirs] = socket_pair();
        engine.tell({.verb = Verb::attach, .seed = 1}, theirs.get());
        Result<Loan> loan = lend(ours.get(), memory);
        attached = engine.hear();
        return loan;
    }
    static void expect_moment(Peer& engine, u32 snapshot, u64 version) {
        const Answer seen = engine.ask(
            {.verb = Verb::check_snapshot, .snapshot = snapshot, .seed = 1, .version = version});
        EXPECT_EQ(seen.right, pages) << snapshot << ": " << seen.wrong << " wrong, " << seen.lost
                                     << " lost " << seen.error();
    }
    static void expect_all(Peer& child, u64 version) {
        const Answer seen = child.ask({.verb = Verb::check, .version = version});
        EXPECT_EQ(seen.right, pages) << seen.wrong << " wrong, " << seen.lost << " lost";
    }
    std::optional<HugeMemory> huge_;
};

TEST_F(H05_LentHugetlb, EverySnapshotHoldsItsMomentAndOneStoreOpensTwoMegabytes) {
    write_all(memory(), 1, 0);
    Peer engine;
    Answer attached;
    Result<Loan> loan = lend_to(engine, huge_->memory.bytes, attached);
    ASSERT_TRUE(attached.ok) << attached.error();
    VERSO_ASSERT_OK(loan);
    ASSERT_TRUE(engine.ask({.verb = Verb::snapshot}).ok);
    write_page(memory(), 1, 600, 1);  // one page of the second huge page
    expect_moment(engine, 0, 0);
    write_all(memory(), 1, 1);
    ASSERT_TRUE(engine.ask({.verb = Verb::snapshot}).ok);
    write_all(memory(), 1, 2);
    expect_moment(engine, 0, 0);
    expect_moment(engine, 1, 1);
    for (u64 round = 0; round < 3; ++round) {  // the newest, again and again
        ASSERT_TRUE(engine.ask({.verb = Verb::rewind, .snapshot = 1}).ok);
        EXPECT_TRUE(holds(memory(), 1, 1)) << round;
        write_page(memory(), 1, 3 + round, 5);
    }
    ASSERT_TRUE(engine.ask({.verb = Verb::rewind, .snapshot = 0}).ok);
    EXPECT_TRUE(holds(memory(), 1, 0));
    write_all(memory(), 1, 3);
    expect_moment(engine, 0, 0);
    expect_moment(engine, 1, 1);
    { const Loan ended = std::move(*loan); }
    write_all(memory(), 1, 4);  // would hang if a page of it had stayed protected
    expect_moment(engine, 0, 0);
    expect_moment(engine, 1, 1);
}

TEST_F(H05_LentHugetlb, ChildrenAndTheirChildrenReadTheMomentInPagesOfTheirOwn) {
    write_all(memory(), 1, 0);
    Peer engine;
    Peer child;
    Peer grandchild;
    Peer late;
    Answer attached;
    const Result<Loan> loan = lend_to(engine, huge_->memory.bytes, attached);
    VERSO_ASSERT_OK(loan);
    ASSERT_TRUE(engine.ask({.verb = Verb::snapshot}).ok);
    const auto before = HugeMemory::free_and_reserved();
    ASSERT_TRUE(hand_over(engine, 0, child, 1).ok);
    write_page(memory(), 1, 700, 1);
    expect_all(child, 0);
    ASSERT_TRUE(child.ask({.verb = Verb::snapshot}).ok);
    ASSERT_TRUE(hand_over(child, 0, grandchild, 1).ok);
    ASSERT_TRUE(child.ask({.verb = Verb::write, .version = 7}).ok);
    ASSERT_TRUE(hand_over(engine, 0, late, 1).ok);
    write_all(memory(), 1, 2);
    expect_all(grandchild, 0);
    expect_all(late, 0);
    ASSERT_TRUE(child.ask({.verb = Verb::rewind}).ok);
    expect_all(child, 0);
    EXPECT_TRUE(holds(memory(), 1, 2));
    EXPECT_EQ(HugeMemory::free_and_reserved(), before) << "children took of the pool";
}

TEST_F(H05_LentHugetlb, APartOfAHugePageIsRefusedAtBothEndsAndStaysWritable) {
    Peer engine;
    Answer attached;
    const Result<Loan> loan = lend_to(engine, huge_->memory.bytes - page_size, attached);
    ASSERT_FALSE(loan.has_value());
    EXPECT_NE(loan.error().message.find("huge"), std::string::npos) << loan.error().message;
    ASSERT_FALSE(attached.ok);
    EXPECT_NE(attached.error().find("huge"), std::string::npos) << attached.error();
    write_all(memory(), 1, 1);  // would hang if a page of it had stayed protected
    EXPECT_TRUE(holds(memory(), 1, 1));
}

TEST(H06_HugetlbIsCountedElsewhere, ARefusedRegionHoldsNothingOfThePool) {
    const HugeMemory huge;
    if (!huge.had()) {
        GTEST_SKIP() << no_huge_pages;
    }
    write_all(huge.memory.memory(), 1, 0);
    const auto before = HugeMemory::free_and_reserved();
    for (int round = 0; round < 20; ++round) {
        ASSERT_FALSE(huge.memory.adopt().has_value());
    }
    EXPECT_EQ(HugeMemory::free_and_reserved(), before);
    EXPECT_TRUE(holds(huge.memory.memory(), 1, 0));
}

TEST(H09_RegistrationDroppedSilently, AnUnmappedPartIsNoticedAndNeverAnsweredClean) {
    VERSO_NEEDS_USERFAULTFD();
    for (const Tracking tracking : {Tracking::contents, Tracking::pages}) {
        SCOPED_TRACE(tracking == Tracking::pages ? "pages" : "contents");
        Brought memory(::memfd_create("app", MFD_CLOEXEC), 64);
        Result<Region> region = memory.adopt(tracking);
        VERSO_ASSERT_OK(region);
        const Result<Written> before = region->written(Mark{});
        VERSO_ASSERT_OK(before);
        ASSERT_EQ(::munmap(memory.memory().data() + to_bytes(8), to_bytes(4)), 0);
        const Result<Written> after = region->written(before->mark);
        ASSERT_FALSE(after.has_value()) << after->pages << " pages, as if nothing had happened";
        EXPECT_EQ(after.error().kind, ErrorKind::damaged) << after.error().message;
        EXPECT_NE(region->damage(), "");
        EXPECT_FALSE(region->written(before->mark).has_value()) << "only the first time";
    }
}

TEST(H09_RegistrationDroppedSilently, AMappingOverAPartIsNoticedAndNeverAnsweredClean) {
    VERSO_NEEDS_USERFAULTFD();
    for (const Tracking tracking : {Tracking::contents, Tracking::pages}) {
        Brought memory(::memfd_create("app", MFD_CLOEXEC), 64);
        Result<Region> region = memory.adopt(tracking);
        VERSO_ASSERT_OK(region);
        const Result<Written> before = region->written(Mark{});
        VERSO_ASSERT_OK(before);
        void* const over = memory.memory().data() + to_bytes(8);
        ASSERT_NE(::mmap(over, to_bytes(4), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED,
                         memory.fd.get(), static_cast<off_t>(to_bytes(8))),
                  MAP_FAILED);
        write_page(memory.memory(), 1, 9, 1);
        const Result<Written> after = region->written(before->mark);
        ASSERT_FALSE(after.has_value()) << after->pages << " pages, as if nothing had happened";
    }
}

TEST(H09_RegistrationDroppedSilently, AMovedPartIsNoticedAndTheNextSnapshotRefused) {
    VERSO_NEEDS_USERFAULTFD();
    Brought memory(::memfd_create("app", MFD_CLOEXEC), 64);
    Result<Region> region = memory.adopt();
    VERSO_ASSERT_OK(region);
    const Result<Snapshot> moment = region->snapshot();
    VERSO_ASSERT_OK(moment);
    void* const moved =
        ::mremap(memory.memory().data() + to_bytes(60), to_bytes(4), to_bytes(4),
                 MREMAP_MAYMOVE | MREMAP_FIXED,  // a place that is free for sure
                 ::mmap(nullptr, to_bytes(4), PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    ASSERT_NE(moved, MAP_FAILED);
    const Result<Snapshot> next = region->snapshot();
    ASSERT_FALSE(next.has_value());
    EXPECT_EQ(next.error().kind, ErrorKind::damaged) << next.error().message;
    EXPECT_NE(region->damage(), "");
    (void)::munmap(moved, to_bytes(4));
}

TEST(H11_OneModePerUserfaultfd, RegionsOfBothKindsWorkSideBySide) {
    VERSO_NEEDS_USERFAULTFD();
    Result<Region> contents = Region::create({.size = to_bytes(32)});
    Result<Region> only_pages = Region::create({.size = to_bytes(32), .tracking = Tracking::pages});
    VERSO_ASSERT_OK(contents);
    VERSO_ASSERT_OK(only_pages);
    const Result<Snapshot> moment = contents->snapshot();
    VERSO_ASSERT_OK(moment);
    const Result<Written> before = only_pages->written(Mark{});
    write_all(contents->bytes(), 1, 1);
    write_page(only_pages->bytes(), 1, 7, 1);
    EXPECT_EQ(contents->stats().pages_captured, 32U);
    EXPECT_EQ(only_pages->written(before->mark)->ranges, (std::vector<PageRange>{{7, 1}}));
    EXPECT_FALSE(only_pages->snapshot().has_value());
}

TEST(H12_FilesCannotBeProtected, AdoptingAFileIsATypedRefusalThatNamesTheAlternative) {
    VERSO_NEEDS_USERFAULTFD();
    Brought file(::open(VERSO_BINARY_DIR, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600), 16);
    if (file.at == MAP_FAILED) {
        GTEST_SKIP() << "the build folder's file system has no O_TMPFILE";
    }
    const Result<Region> region = file.adopt();  // which pages only: the kernel can, since 6.7
    if (region) {
        GTEST_SKIP() << "the build folder is on tmpfs, which can be protected";
    }
    EXPECT_EQ(region.error().kind, ErrorKind::invalid_argument);
    EXPECT_NE(region.error().message.find("memfd"), std::string::npos) << region.error().message;
}

TEST(H13_KernelsWithoutWriteProtection, TheOtherBackendServesAndTheRefusalNamesTheRelease) {
    Hooked lacking(host::Mask{.no_write_protect_shmem = true});
    Result<Region> region = lacking.create(16);
    VERSO_ASSERT_OK(region);
    EXPECT_EQ(region->backend(), Backend::mprotect_segv);
    write_all(region->bytes(), 1, 0);
    {
        const Result<Snapshot> moment = region->snapshot();
        write_all(region->bytes(), 1, 1);
        EXPECT_TRUE(holds(*moment->bytes(), 1, 0));
    }
    const Result<Region> refused = lacking.create(16, Tracking::contents, Backend::userfaultfd);
    ASSERT_FALSE(refused.has_value());
    EXPECT_EQ(refused.error().kind, ErrorKind::unsupported);
    EXPECT_NE(refused.error().message.find("5.19"), std::string::npos);
}

TEST(H14_FilteredCalls, WithoutPrivilegeAChildStoresPagesThatItNeverTouched) {
    VERSO_NEEDS_USERFAULTFD();
    Hooked unprivileged(host::Mask{.user_mode_only_uffd = true});
    Result<Region> source = unprivileged.create(512);
    VERSO_ASSERT_OK(source);
    write_all(source->bytes(), 1, 0);
    const Result<Snapshot> moment = source->snapshot();
    Result<Region> child = moment->fork();
    VERSO_ASSERT_OK(child);
    const Result<Snapshot> inner = child->snapshot();
    VERSO_ASSERT_OK(inner);
    // Sixteen pages of a word arrive and are written; the next fault releases the whole word.
    for (const u64 page : {192U, 193U, 194U, 195U, 196U, 230U}) {
        write_page(child->bytes(), 1, page, 1);
    }
    EXPECT_EQ(child->damage(), "");
    VERSO_ASSERT_OK(inner->detach());
    EXPECT_TRUE(holds(*inner->bytes(), 1, 0));
}

TEST(H14_FilteredCalls, EveryRefusedCallIsNamedAndLeavesTheMemoryWritable) {
    VERSO_NEEDS_USERFAULTFD();
    using kernel::Op;
    for (const Op op : {Op::uffd_open, Op::uffd_register, Op::uffd_write_protect}) {
        Hooked hooked;
        (void)hooked.kernel.abilities();
        hooked.kernel.fail({.nth = 1,
                            .outcome = {kernel::Verdict::denied, EPERM, 0, 0},
                            .only = op,
                            .times = 1'000'000});
        Result<Region> region = hooked.create(8);
        if (region) {
            const Result<Snapshot> moment = region->snapshot();
            ASSERT_FALSE(moment.has_value());
            EXPECT_NE(moment.error().message.find("denied"), std::string::npos);
            write_all(region->bytes(), 1, 1);  // would hang on a page that is half armed
            EXPECT_TRUE(holds(region->bytes(), 1, 1));
        } else {
            EXPECT_NE(region.error().message.find("denied"), std::string::npos);
        }
    }
}

}  // namespace
}  // namespace verso::test
