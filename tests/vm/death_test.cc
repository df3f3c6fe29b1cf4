// Who of a family of guests may be killed, and what the others do then.
#include <atomic>
#include <csignal>
#include <random>
#include <thread>

#include <fmt/core.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "vm/guest.h"
#include "vm/keeper.h"
#include "vm/process.h"
#include "vm/record.h"
#include "vm/socket.h"

namespace verso::vm::test {
namespace {

constexpr int end_timeout_ms = 60'000;

TEST_F(Guests, AChildAndItsChildOutliveTheirSources) {
    boot("one");
    expect_answer("one", "set before", "word before");
    expect_answer("one", "fill 4", "filled 4");
    const std::string sum = ask_guest("one", "sum", "sum ");
    vm_yes("fork one two");
    vm_yes("fork two three");
    kill_guest("one");
    EXPECT_EQ(ask_guest("two", "sum", "sum "), sum);
    expect_answer("two", "get", "word before");
    vm_yes("fork two four");
    kill_guest("two");
    for (const char* name : {"three", "four"}) {
        EXPECT_EQ(ask_guest(name, "sum", "sum "), sum) << name;
        expect_ticking(name);
    }
    vm_yes("fork three five");
    EXPECT_EQ(ask_guest("five", "sum", "sum "), sum);
}

TEST_F(Guests, ASourceOutlivesItsChildrenAndCanBeForkedAgain) {
    boot("one");
    vm_yes("fork one two --count 2");
    kill_guest("two-1");
    expect_ticking("one");
    expect_ticking("two-2");
    vm_yes("stop two-2");
    vm_yes("rm two-1");
    vm_yes("rm two-2");
    expect_ticking("one");
    vm_yes("fork one two --count 2");
    expect_ticking("two-1");
    expect_ticking("one");
}

ProcessId page_server(const RuntimeDir& dir) {
    const Result<Json> hello = ask(dir.server_socket(), Json{{"do", "hello"}});
    return hello ? identify(static_cast<pid_t>(number_at(*hello, "pid"))) : ProcessId{};
}

/// While it lives, the page server is killed, again and again, as soon as one serves.
class Killer {
public:
    Killer(const RuntimeDir& dir, unsigned times)
        : thread_([this, dir, times] {
              std::mt19937_64 random(times);
              for (; kills_.load() < times; kills_.fetch_add(1)) {
                  const ProcessId process = page_server(dir);
                  EXPECT_NE(process.pid, 0);
                  pause_ms(static_cast<unsigned>(random() % 120));
                  kill_process(process);
                  EXPECT_TRUE(wait_until_ended(process, end_timeout_ms));
              }
          }) {}
    ~Killer() { thread_.join(); }
    Killer(const Killer&) = delete;
    Killer& operator=(const Killer&) = delete;
    unsigned kills() const { return kills_.load(); }

private:
    std::atomic<unsigned> kills_{0};
    std::thread thread_;
};

TEST_F(Guests, NobodyLosesAnythingWhereThePageServerIsKilledAHundredTimes) {
    constexpr unsigned times = 100;
    boot("one");
    expect_answer("one", "set before", "word before");
    expect_answer("one", "fill 4", "filled 4");
    const std::string sum = ask_guest("one", "sum", "sum ");
    vm_yes("snapshot one s");
    vm_yes("fork one two");  // has read next to nothing when the first is killed
    expect_answer("one", "set after", "word after");
    {
        const Killer killer(dir(), times);
        unsigned rounds = 0;
        for (; killer.kills() < times && !HasFailure(); ++rounds) {
            EXPECT_EQ(ask_guest("two", "sum", "sum "), sum);
            vm_yes("fork one three --from s");
            EXPECT_EQ(ask_guest("three", "sum", "sum "), sum);
            expect_answer("three", "get", "word before");
            vm_yes("fork one four");
            expect_answer("four", "get", rounds == 0 ? "word after" : "word before");
            vm_yes("rewind one s");
            expect_answer("one", "get", "word before");
            for (const char* name : {"three", "four"}) {
                vm_yes(std::string("stop ") + name);
                vm_yes(std::string("rm ") + name);
            }
        }
        EXPECT_GT(rounds, 0U);
    }
    expect_ticking("one");
    expect_ticking("two");
    EXPECT_EQ(ask_guest("one", "sum", "sum "), sum);
}

/// What docs/vm.md says of the safe that is killed, and the page server with it.
TEST_F(Guests, ARootOutlivesTheSafeWithoutItsSnapshotsAndCanBeForkedAgain) {
    boot("one");
    expect_answer("one", "set before", "word before");
    expect_answer("one", "fill 4", "filled 4");
    const std::string sum = ask_guest("one", "sum", "sum ");
    vm_yes("snapshot one s");
    vm_yes("fork one two");  // has read next to nothing when its source's server dies
    const ProcessId server = page_server(dir());
    const Result<Json> hello = ask(dir().server_socket(), Json{{"do", "hello"}});
    ASSERT_TRUE(hello);
    kill_process(identify(static_cast<pid_t>(number_at(*hello, "safe"))));
    ASSERT_TRUE(wait_until_ended(server, end_timeout_ms));

    expect_ticking("one");
    expect_answer("one", "fill 4", "filled 4");
    expect_answer("one", "set after", "word after");
    vm_no("rewind one s", "has no snapshot 's'");
    const std::string sum_after = ask_guest("one", "sum", "sum ");
    vm_yes("fork one three");
    EXPECT_EQ(ask_guest("three", "sum", "sum "), sum_after);
    expect_answer("three", "get", "word after");
    expect_ticking("one");

    // The early child goes on with what it has, or its QEMU ends at a page that nobody has kept: it
    // is never shown the source's later bytes.
    const std::string seen = pid_of("two") == 0 ? "" : ask_guest("two", "sum", "sum ");
    if (pid_of("two") != 0) {
        EXPECT_EQ(seen, sum);
    } else {
        EXPECT_NE(seen, sum_after);
    }
}

TEST_F(Guests, AKilledMachineIsListedAsEndedAndRemoved) {
    boot("one");
    kill_guest("one");
    const Json listed = parse_json(vm_yes("ls --json"));
    ASSERT_EQ(listed.size(), 1U);
    EXPECT_EQ(text_at(listed[0], "state"), "ended");
    vm_no("fork one two", "'one' is not running");
    vm_no("console one", "'one' is not running");
    vm_yes("stop one");
    vm_yes("rm one");
    EXPECT_EQ(vm_yes("ls"), "");
    boot("one");
    expect_ticking("one");
}

}  // namespace
}  // namespace verso::vm::test
