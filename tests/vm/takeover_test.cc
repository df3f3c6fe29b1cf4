// A page server that is killed: another takes over, and nobody notices but by waiting. Without
// QEMU: this process lends its memory to a page server, writes to it on two threads all the time,
// takes snapshots (while the writers pause, as a guest does) and imports children of them, which
// it looks through and writes to, while the server is killed at random moments.
#include <array>
#include <atomic>
#include <cstring>
#include <map>
#include <mutex>
#include <optional>
#include <random>
#include <thread>

#include <fmt/core.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <sys/mman.h>
#include <unistd.h>

#include "support/needs.h"
#include "support/shell.h"
#include "verso/verso.hpp"
#include "vm/keeper.h"
#include "vm/process.h"
#include "vm/runtime_dir.h"
#include "vm/socket.h"

namespace verso::vm::test {
namespace {

constexpr std::size_t pages = 2048;
constexpr std::size_t words = pages * page_bytes / sizeof(u64);
constexpr int timeout_ms = 60'000;
constexpr unsigned kills = 100;
using Words = std::vector<u64>;

/// Memory that is written to all the time, and what must be in it.
class Lender {
public:
    Lender() : memfd_(::memfd_create("lent", MFD_CLOEXEC)), expected_(words) {
        EXPECT_EQ(::ftruncate(memfd_.get(), words * sizeof(u64)), 0);
        memory_ = static_cast<u64*>(::mmap(nullptr, words * sizeof(u64), PROT_READ | PROT_WRITE,
                                           MAP_SHARED, memfd_.get(), 0));
    }
    ~Lender() {
        stop();
        loan_.reset();
        ::munmap(memory_, words * sizeof(u64));
    }
    Lender(const Lender&) = delete;
    Lender& operator=(const Lender&) = delete;

    Result<void> lend_to(const std::string& server);
    void start();
    void stop();
    /// The writers stand still while `action` runs.
    template <class Action>
    void paused(Action action) {
        std::array<std::unique_lock<std::mutex>, 2> still{std::unique_lock(mutexes_[0]),
                                                          std::unique_lock(mutexes_[1])};
        action();
    }
    Words& expected() { return expected_; }
    bool is_as_expected() const {
        return std::memcmp(memory_, expected_.data(), words * sizeof(u64)) == 0;
    }
    u64 stores() const { return stores_.load(); }

private:
    void write(unsigned which);

    Fd memfd_;
    u64* memory_ = nullptr;
    Words expected_;  // each writer has every other page
    std::array<std::mutex, 2> mutexes_;
    std::atomic<bool> over_{false};
    std::atomic<u64> stores_{0};
    std::vector<std::thread> writers_;
    std::optional<Loan> loan_;
};

Result<void> Lender::lend_to(const std::string& server) {
    Result<std::pair<Fd, Fd>> pair = packet_pair();
    const std::array<int, 1> its{pair->first.get()};
    Result<Json> attached;
    std::thread attaching([&] {
        attached = ask(server, Json{{"do", "attach"}, {"region", "lent"}}, its);
    });
    AdoptOptions memory;
    memory.memfd = memfd_.get();
    memory.address = memory_;
    memory.size = words * sizeof(u64);
    memory.name = "lent";
    Result<Loan> made = lend(pair->second.get(), memory);
    attaching.join();
    if (!made || !attached) {
        return tl::unexpected<Error>(!made ? made.error() : attached.error());
    }
    loan_.emplace(std::move(*made));
    return {};
}

void Lender::start() {
    for (unsigned which = 0; which < 2; ++which) {
        writers_.emplace_back([this, which] { write(which); });
    }
}

void Lender::stop() {
    over_.store(true);
    for (std::thread& writer : writers_) {
        writer.join();
    }
    writers_.clear();
}

void Lender::write(unsigned which) {
    std::mt19937_64 random(which);
    while (!over_.load()) {
        const std::scoped_lock busy(mutexes_[which]);
        constexpr unsigned burst = 64;
        for (unsigned i = 0; i < burst; ++i) {
            const u64 page = 2 * (random() % (pages / 2)) + which;
            const u64 at = page * (page_bytes / sizeof(u64)) + random() % 512;
            const u64 value = random();
            memory_[at] = value;
            expected_[at] = value;
            stores_.fetch_add(1);
        }
    }
}

struct Child {
    Region region;
    Words expected;
    bool is_as_expected() const {
        return std::memcmp(region.bytes().data(), expected.data(), words * sizeof(u64)) == 0;
    }
    bool page_is_as_expected(u64 page) const {
        return std::memcmp(region.bytes().data() + page * page_bytes, expected.data() + page * 512,
                           page_bytes) == 0;
    }
    void store(u64 at, u64 value) {
        std::memcpy(region.bytes().data() + at * sizeof(u64), &value, sizeof(value));
        expected[at] = value;
    }
};

class TakeOver : public testing::Test {
protected:
    void SetUp() override {
        VERSO_NEEDS_USERFAULTFD();
        Result<RuntimeDir> made = RuntimeDir::open_at(folder_.path() + "/run");
        ASSERT_TRUE(made) << made.error().message;
        dir_.emplace(std::move(*made));
        Launch what;
        what.command = {VERSO_BINARY_DIR "/verso", "vm-safe", dir_->path()};
        what.log = dir_->server_log();
        Result<ProcessId> started = launch(what);
        ASSERT_TRUE(started) << started.error().message;
        safe_ = *started;
        ASSERT_TRUE(connect_within(server(), SocketKind::packets, timeout_ms));
        const Result<void> lent = lender_.lend_to(server());
        ASSERT_TRUE(lent) << lent.error().message;
    }
    void TearDown() override {
        lender_.stop();
        children_.clear();
        kill_process(safe_);  // and its server with it
    }

    std::string server() const { return dir_->server_socket(); }
    ProcessId server_process() const {
        const Result<Json> hello = ask(server(), Json{{"do", "hello"}}, {}, timeout_ms);
        return hello ? identify(static_cast<pid_t>(number_at(*hello, "pid"))) : ProcessId{};
    }
    void kill_server() const {
        const ProcessId process = server_process();
        ASSERT_NE(process.pid, 0);
        kill_process(process);
        ASSERT_TRUE(wait_until_ended(process, timeout_ms));
    }
    Result<Json> of(const char* verb, const std::string& snapshot) const {
        return ask(server(), Json{{"do", verb}, {"region", "lent"}, {"snapshot", snapshot}}, {},
                   timeout_ms);
    }
    void snapshot(const std::string& name) {
        lender_.paused([&] {
            const Result<Json> taken = of("snapshot", name);
            ASSERT_TRUE(taken) << taken.error().message;
            moments_[name] = lender_.expected();
        });
    }
    void rewind(const std::string& name) {
        lender_.paused([&] {
            const Result<Json> done = of("rewind", name);
            ASSERT_TRUE(done) << done.error().message;
            lender_.expected() = moments_.at(name);
            EXPECT_TRUE(lender_.is_as_expected());
        });
    }
    /// False: the server was killed while it was at it.
    bool import(const std::string& name) {
        Result<std::pair<Fd, Fd>> pair = packet_pair();
        const std::array<int, 1> its{pair->first.get()};
        Result<Json> sent;
        std::thread exporting([&] {
            sent =
                ask(server(), Json{{"do", "export"}, {"region", "lent"}, {"snapshot", name}}, its);
            pair->first.reset();
        });
        ImportOptions options;
        options.name = "child";
        options.timeout_ms = timeout_ms;
        Result<Region> child = Region::import(pair->second.get(), options);
        exporting.join();
        if (child && sent) {
            children_.push_back({std::move(*child), moments_.at(name)});
        }
        return child && sent;
    }
    /// Looks at some pages of each child, and stores to one.
    void use_children(std::mt19937_64& random) {
        constexpr unsigned looks = 20;
        for (Child& child : children_) {
            for (unsigned i = 0; i < looks; ++i) {
                const u64 page = random() % pages;
                ASSERT_TRUE(child.page_is_as_expected(page)) << page;
            }
            child.store(random() % words, random());
        }
    }

    verso::test::TemporaryFolder folder_;
    std::optional<RuntimeDir> dir_;
    ProcessId safe_;
    Lender lender_;
    std::map<std::string, Words> moments_;
    std::vector<Child> children_;
};

TEST_F(TakeOver, AChildAndASnapshotGoOnWhereTheServerIsKilled) {
    lender_.start();
    snapshot("s");
    ASSERT_TRUE(import("s"));
    kill_server();
    EXPECT_TRUE(children_[0].is_as_expected());
    rewind("s");
    ASSERT_TRUE(import("s"));
    EXPECT_TRUE(children_[1].is_as_expected());
}

TEST_F(TakeOver, WhoWaitsForAPageWhileThereIsNoServerIsServedByTheNext) {
    snapshot("s");
    ASSERT_TRUE(import("s"));
    const ProcessId process = server_process();
    // Stopped, it takes nothing any more: who asks now, waits.
    ASSERT_EQ(::kill(process.pid, SIGSTOP), 0);
    std::atomic<bool> stored{false};
    std::atomic<bool> loaded{false};
    lender_.start();
    std::thread reader([&] {
        EXPECT_TRUE(children_[0].is_as_expected());
        loaded.store(true);
    });
    const u64 before = lender_.stores();
    pause_ms(50);
    EXPECT_FALSE(loaded.load());
    kill_process(process);
    reader.join();
    while (lender_.stores() < before + 10'000) {
        pause_ms(1);
    }
    lender_.paused([&] { EXPECT_TRUE(lender_.is_as_expected()); });
}

TEST_F(TakeOver, ASnapshotThatWasReleasedDoesNotComeBack) {
    snapshot("s");
    ASSERT_TRUE(of("release", "s"));
    kill_server();
    const Result<Json> rewound = of("rewind", "s");
    ASSERT_FALSE(rewound);
    EXPECT_NE(rewound.error().message.find("no snapshot 's'"), std::string::npos);
    for (unsigned i = 0; i < 2 * Limits::snapshots_max; ++i) {  // its slot is free as well
        ASSERT_TRUE(of("snapshot", "t"));
    }
}

TEST_F(TakeOver, AChildOutlivesTheMachineThatWasForgottenBeforeTheServerWasKilled) {
    snapshot("s");
    ASSERT_TRUE(import("s"));
    ASSERT_TRUE(ask(server(), Json{{"do", "forget"}, {"region", "lent"}}, {}, timeout_ms));
    kill_server();
    EXPECT_TRUE(children_[0].is_as_expected());
    const Result<Json> figures = ask(server(), Json{{"do", "figures"}, {"region", "lent"}});
    EXPECT_FALSE(figures);
}

TEST_F(TakeOver, AGrandchildReadsWhatItNeedsWhenItsSourceAndTheServerHaveGone) {
    snapshot("s");
    ASSERT_TRUE(import("s"));
    lender_.start();
    Result<Snapshot> taken = children_[0].region.snapshot();
    ASSERT_TRUE(taken) << taken.error().message;
    Result<Region> grandchild = taken->fork("grandchild");
    ASSERT_TRUE(grandchild) << grandchild.error().message;
    kill_server();
    EXPECT_EQ(std::memcmp(grandchild->bytes().data(), moments_.at("s").data(), words * sizeof(u64)),
              0);
}

TEST_F(TakeOver, TheSafesEndIsTheServersEndAndTheLenderGoesOn) {
    snapshot("s");
    lender_.start();
    const ProcessId process = server_process();
    kill_process(safe_);
    EXPECT_TRUE(wait_until_ended(process, timeout_ms));
    const u64 before = lender_.stores();
    while (lender_.stores() < before + 10'000) {
        pause_ms(1);
    }
    lender_.paused([&] { EXPECT_TRUE(lender_.is_as_expected()); });
}

TEST_F(TakeOver, NothingIsLostWhereTheServerIsKilledAHundredTimesAtRandomMomentsUnderLoad) {
    const u64 seed = std::random_device{}();
    SCOPED_TRACE(fmt::format("seed {}", seed));
    std::mt19937_64 random(seed);
    std::atomic<bool> over{false};
    lender_.start();
    std::thread killer([&, delays = std::mt19937_64(seed + 1)]() mutable {
        for (unsigned i = 0; i < kills; ++i) {
            const ProcessId process = server_process();  // it has taken over when it answers
            EXPECT_NE(process.pid, 0);
            std::this_thread::sleep_for(std::chrono::microseconds(delays() % 30'000));
            kill_process(process);
            EXPECT_TRUE(wait_until_ended(process, timeout_ms));
        }
        over.store(true);
    });
    snapshot("s0");
    unsigned imported = 0;
    unsigned interrupted = 0;
    while (!over.load() && !HasFatalFailure()) {
        const std::string name = fmt::format("s{}", random() % 4);
        const u64 what = random() % 8;
        const bool there = moments_.contains(name);
        if (what == 0 || !there) {
            snapshot(name);
        } else if (what == 1) {
            rewind(name);
        } else if (what == 2) {
            EXPECT_TRUE(of("release", name));
            moments_.erase(name);
        } else if (what == 3) {
            ++(import(name) ? imported : interrupted);
        } else if (what == 4 && children_.size() > 4) {
            EXPECT_TRUE(children_[0].is_as_expected());
            children_.erase(children_.begin());
        }
        use_children(random);
    }
    killer.join();
    for (const Child& child : children_) {
        EXPECT_TRUE(child.is_as_expected());
    }
    lender_.paused([&] { EXPECT_TRUE(lender_.is_as_expected()); });
    fmt::print("{} children, {} forks cut short, {} stores\n", imported, interrupted,
               lender_.stores());
    EXPECT_GT(imported, 0U);
}

}  // namespace
}  // namespace verso::vm::test
