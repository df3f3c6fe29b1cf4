// The mprotect backend shares one SIGSEGV handler among all regions. An access fault may be on its
// way to the handler while its region ends; it must neither end the program nor take the handler
// away from the regions that remain.
#include <atomic>
#include <csignal>

#include <sys/mman.h>
#include <unistd.h>

#include "hazards/brought.h"
#include "hazards/hooked.h"

namespace verso::test {
namespace {

/// Regions over the same memory come and go while two threads write it. Returns only if every
/// access was served.
void regions_come_and_go(u64 rounds) {
    constexpr u64 pages = 4;
    Brought memory(::memfd_create("app", MFD_CLOEXEC), pages);
    AdoptOptions options;
    options.memfd = memory.fd.get();
    options.address = memory.at;
    options.size = memory.bytes;
    options.backend = Backend::mprotect_segv;
    std::atomic<bool> ending{false};
    std::vector<std::thread> writers;
    for (u64 id = 0; id < 2; ++id) {
        writers.emplace_back([&, id] {
            auto* const word = reinterpret_cast<u64*>(memory.memory().data() + to_bytes(2 * id));
            while (!ending.load()) {
                // Relaxed: an access of any other order ThreadSanitizer makes with a lock of its
                // own held, and the handler that the access enters would wait for it for ever.
                std::atomic_ref<u64>(*word).fetch_add(1, std::memory_order_relaxed);
            }
        });
    }
    for (u64 round = 0; round < rounds; ++round) {
        Result<Region> region = Region::adopt(options);
        VERSO_CHECK(region.has_value() && region->snapshot().has_value(), "round {}", round);
    }
    ending.store(true);
    for (std::thread& writer : writers) {
        writer.join();
    }
}

TEST(MprotectBackend, AnAccessOnItsWayToTheHandlerSurvivesTheEndOfItsRegion) {
    GTEST_FLAG_SET(death_test_style, "threadsafe");
    EXPECT_EXIT(
        {
            regions_come_and_go(5'000);
            std::_Exit(0);
        },
        testing::ExitedWithCode(0), "");
}

TEST(MprotectBackend, AnAccessThatCannotSucceedStillEndsTheProgramAfterItsRegionHasEnded) {
    GTEST_FLAG_SET(death_test_style, "threadsafe");
    EXPECT_EXIT(
        {
            (void)std::signal(SIGSEGV, SIG_DFL);  // a sanitizer's own handler would abort instead
            Brought memory(::memfd_create("app", MFD_CLOEXEC), 4);
            AdoptOptions options;
            options.memfd = memory.fd.get();
            options.address = memory.at;
            options.size = memory.bytes;
            options.backend = Backend::mprotect_segv;
            { const Result<Region> region = Region::adopt(options); }
            (void)::mprotect(memory.at, memory.bytes, PROT_NONE);
            write_page(memory.memory(), 1, 0, 1);
            std::_Exit(0);
        },
        testing::KilledBySignal(SIGSEGV), "");
}

}  // namespace
}  // namespace verso::test
