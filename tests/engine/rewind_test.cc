// A rewind or a discard that the kernel refuses has changed nothing, however far it had come: tried
// with the n-th call refused, for every n, on memory of several chunks.
#include "hazards/hooked.h"

namespace verso::test {
namespace {

using kernel::FailurePlan;
using kernel::Op;
using kernel::Outcome;
using kernel::Verdict;

constexpr u64 pages = 1'600;  // four chunks, the last one cut off

constexpr Outcome no_memory{Verdict::no_memory, ENOMEM, 0, 0};
constexpr Outcome forbidden{Verdict::denied, EPERM, 0, 0};

/// Pages 0, 40, 80, … are `version`, all others `rest`.
void write_some(std::span<std::byte> bytes, u64 version) {
    for (u64 page = 0; page < pages; page += 40) {
        write_page(bytes, 1, page, version);
    }
}
bool holds_some(std::span<const std::byte> bytes, u64 version, u64 rest) {
    for (u64 page = 0; page < pages; ++page) {
        const Page wanted = page_of(1, page, page % 40 == 0 ? version : rest);
        if (!std::ranges::equal(bytes.subspan(to_bytes(page), page_size),
                                std::as_bytes(std::span(wanted)))) {
            return false;
        }
    }
    return true;
}

/// Runs `act` with the n-th `op` refused, n = 1, 2, …, until nothing is refused any more.
template <class Act, class Unchanged>
void refuse_each(kernel::FailingKernel& kernel, Op op, const Outcome& answer, Act act,
                 Unchanged unchanged) {
    u64 nth = 1;
    for (; nth < 1'000; ++nth) {
        kernel.fail(FailurePlan{.nth = nth, .outcome = answer, .only = op});
        const auto done = act();
        const bool refused = kernel.delivered() > 0;
        kernel.stop_failing();
        ASSERT_EQ(done.has_value(), !refused) << "refusal " << nth;
        if (!refused) {
            break;
        }
        ASSERT_TRUE(unchanged()) << "refusal " << nth;
    }
    EXPECT_GT(nth, 1U) << "nothing was ever refused";
}

TEST(Rewind, OfAChildThatIsRefusedHasChangedNothing) {
    VERSO_NEEDS_USERFAULTFD();
    Hooked hooked;
    Result<Region> source = hooked.create(pages);
    VERSO_ASSERT_OK(source);
    write_all(source->bytes(), 1, 0);
    const Result<Snapshot> origin = source->snapshot();
    Result<Region> child = origin->fork();
    VERSO_ASSERT_OK(child);
    write_some(child->bytes(), 1);
    const Result<Snapshot> past = child->snapshot();
    write_some(child->bytes(), 2);
    const Result<Snapshot> later = child->snapshot();  // so that its pages are to be released
    refuse_each(
        hooked.kernel, Op::uffd_write_protect, no_memory, [&] { return child->rewind(*past); },
        [&] { return holds_some(child->bytes(), 2, 0); });
    EXPECT_TRUE(holds_some(child->bytes(), 1, 0));
    EXPECT_TRUE(holds_some(*later->bytes(), 2, 0));
}

TEST(Discard, InAChildThatIsRefusedHasChangedNothing) {
    VERSO_NEEDS_USERFAULTFD();
    Hooked hooked;
    Result<Region> source = hooked.create(pages);
    VERSO_ASSERT_OK(source);
    write_all(source->bytes(), 1, 0);
    const Result<Snapshot> origin = source->snapshot();
    Result<Region> child = origin->fork();
    VERSO_ASSERT_OK(child);
    write_some(child->bytes(), 1);
    const Result<Snapshot> past = child->snapshot();
    VERSO_ASSERT_OK(past);
    refuse_each(
        hooked.kernel, Op::uffd_write_protect, no_memory,
        [&] {
            return child->discard({10, pages - 10});
        },
        [&] { return holds_some(child->bytes(), 1, 0); });
    const auto gone = child->bytes().subspan(to_bytes(10));
    EXPECT_EQ(static_cast<std::size_t>(std::ranges::count(gone, std::byte{})), gone.size());
    EXPECT_TRUE(holds_some(*past->bytes(), 1, 0));
}

TEST(Discard, ThatIsRefusedHasChangedNothingWhateverTheBackend) {
    for (const Backend backend : {Backend::automatic, Backend::mprotect_segv}) {
        Hooked hooked;
        Result<Region> source = hooked.create(pages, Tracking::contents, backend);
        VERSO_ASSERT_OK(source);
        write_all(source->bytes(), 1, 0);
        const Result<Snapshot> moment = source->snapshot();
        VERSO_ASSERT_OK(moment);
        refuse_each(
            hooked.kernel, Op::file_punch, forbidden,
            [&] {
                return source->discard({10, pages - 10});
            },
            [&] { return holds(source->bytes(), 1, 0); });
        const auto gone = source->bytes().subspan(to_bytes(10));
        EXPECT_EQ(static_cast<std::size_t>(std::ranges::count(gone, std::byte{})), gone.size());
        EXPECT_TRUE(holds(*moment->bytes(), 1, 0));
    }
}

/// With mprotect a child fills its pages as they are touched: one that was to be discarded, and was
/// not, must still arrive.
TEST(Discard, ThatIsRefusedInACopyingChildLeavesItsUntouchedPages) {
    Hooked hooked;
    Result<Region> source = hooked.create(pages, Tracking::contents, Backend::mprotect_segv);
    VERSO_ASSERT_OK(source);
    write_all(source->bytes(), 1, 0);
    const Result<Snapshot> moment = source->snapshot();
    Result<Region> child = moment->fork();
    VERSO_ASSERT_OK(child);
    refuse_each(
        hooked.kernel, Op::file_punch, forbidden,
        [&] {
            return child->discard({0, 1'000});
        },
        [&] { return holds(child->bytes(), 1, 0); });
    const auto gone = child->bytes().first(to_bytes(1'000));
    EXPECT_EQ(static_cast<std::size_t>(std::ranges::count(gone, std::byte{})), gone.size());
    EXPECT_EQ(tally(child->bytes(), 1, 0).right, pages - 1'000);
}

}  // namespace
}  // namespace verso::test
