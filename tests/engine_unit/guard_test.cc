// Which call the guard makes for what, with either backend.
#include <gtest/gtest.h>

#include "engine/guard.h"
#include "kernel/failing_kernel.h"
#include "linux/linux_kernel.h"

namespace verso::engine {
namespace {

using kernel::Call;
using kernel::MapFlag;
using kernel::Op;
using kernel::Outcome;
using kernel::Payload;

/// Notes calls and does nothing.
class Listener final : public kernel::Kernel {
public:
    using Kernel::perform;
    Outcome perform(const Call& call, const Payload&) override {
        calls.push_back(call);
        return calls.size() <= refusals ? Outcome{kernel::Verdict::no_memory, ENOMEM, 0, 0}
                                        : Outcome::done();
    }
    const kernel::Abilities& abilities() override { return host::linux_kernel().abilities(); }
    std::unique_ptr<kernel::Thread> spawn(const std::string&, std::function<void()>) override {
        return nullptr;
    }
    std::unique_ptr<kernel::Mutex> make_mutex() override { return nullptr; }
    std::unique_ptr<kernel::Condition> make_condition() override { return nullptr; }
    u64 now_ns() override { return 0; }
    void relax() override {}

    std::vector<Call> calls;
    std::size_t refusals = 0;
};

constexpr u64 base = u64{1} << 40;

TEST(Guard, UserfaultfdProtectsAndReleasesTheRange) {
    Listener kernel;
    Guard guard(kernel, Backend::userfaultfd, 7, base);
    EXPECT_TRUE(guard.protect(2, 3).ok());
    EXPECT_TRUE(guard.release(2, 3).ok());
    const u64 at = base + to_bytes(2);
    EXPECT_EQ(kernel.calls,
              (std::vector<Call>{Call::uffd_write_protect(7, at, to_bytes(3), true),
                                 Call::uffd_write_protect(7, at, to_bytes(3), false)}));
}

TEST(Guard, MprotectTakesAndGivesOnlyTheRightToWrite) {
    Listener kernel;
    Guard guard(kernel, Backend::mprotect_segv, -1, base);
    EXPECT_TRUE(guard.protect(0, 1).ok());
    EXPECT_TRUE(guard.release(0, 1).ok());
    EXPECT_EQ(kernel.calls,
              (std::vector<Call>{Call::protect(base, page_size, MapFlag::read),
                                 Call::protect(base, page_size, MapFlag::read | MapFlag::write)}));
}

TEST(Guard, WithMprotectNobodyWaitsToBeWoken) {
    Listener kernel;
    Guard guard(kernel, Backend::mprotect_segv, -1, base);
    EXPECT_TRUE(guard.wake(0, 1).ok());
    EXPECT_TRUE(kernel.calls.empty());
}

TEST(Guard, AWakeUpThatIsRefusedIsAskedForAgain) {
    Listener kernel;
    kernel.refusals = 2;
    Guard guard(kernel, Backend::userfaultfd, 7, base);
    EXPECT_TRUE(guard.wake(4, 1).ok());
    EXPECT_EQ(kernel.calls.size(), 3U);
}

}  // namespace
}  // namespace verso::engine
