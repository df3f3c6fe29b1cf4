// Whole runs, scaled down: one that holds, one that must find what was planted, one that is
// interrupted, two that are killed.
#include <csignal>
#include <cstring>
#include <filesystem>
#include <iostream>
#include <sstream>
#include <utility>

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check/torture/torture.h"
#include "linux/linux_kernel.h"
#include "linux/world/journal.h"
#include "linux/world/machine.h"
#include "linux/world/text_file.h"

namespace verso::check::torture {
namespace {
constexpr u64 mebibyte = u64{1} << 20;

/// Settings that a run changes, and what it makes. Used while nobody else changes them.
std::string machine_state() {
    std::string state;
    for (const char* path :
         {"/proc/sys/kernel/numa_balancing", "/sys/kernel/mm/ksm/run",
          "/sys/kernel/mm/ksm/pages_to_scan", "/sys/kernel/mm/ksm/sleep_millisecs",
          "/sys/kernel/mm/ksm/smart_scan"}) {
        state += std::string(path) + " " + host::read_text(path);
    }
    const std::string swaps = host::read_text("/proc/swaps");
    state += swaps.find("verso-torture") != std::string::npos ? "a swap file is on\n" : "";
    for (const char* folder : {"/var/tmp", "/tmp", "."}) {
        std::error_code error;
        for (const auto& entry : std::filesystem::directory_iterator(folder, error)) {
            const std::string name = entry.path().filename().string();
            state += name.starts_with("verso-torture-") ? name + " is there\n" : "";
        }
    }
    return state;
}

class RunTest : public testing::Test {
protected:
    void SetUp() override {
        const kernel::Abilities& can = host::linux_kernel().abilities();
        if (!can.userfaultfd || !can.write_protect_shmem || !can.minor_shmem) {
            GTEST_SKIP() << "no userfaultfd for shared memory here. " << can.why_no_userfaultfd;
        }
        options.instances = 4;
        options.bytes = 16 * mebibyte;
        options.ms = 8'000;
        options.seed = 1;
    }
    static void expect_state(const std::string& before) {
        const Result<std::shared_ptr<host::Machine>> alone = host::Machine::get();
        ASSERT_TRUE(alone.has_value()) << alone.error().message;
        EXPECT_EQ(machine_state(), before);
    }
    static std::string state_now() {
        const Result<std::shared_ptr<host::Machine>> alone = host::Machine::get();
        return machine_state();
    }
    Options options;
};

std::string told(const Report& report) {
    std::string text;
    for (const std::string& failure : report.failures) {
        text += failure + "\n";
    }
    return text;
}

TEST_F(RunTest, EveryByteIsRightWhileTheKernelDoesWhatItDoes) {
    const std::string before = state_now();
    const Result<Report> report = torture(options);
    ASSERT_TRUE(report.has_value()) << report.error().message;
    EXPECT_EQ(report->mismatches(), 0U) << told(*report);
    EXPECT_TRUE(report->held()) << told(*report);
    EXPECT_GT((*report)[Count::bytes_verified], options.bytes);
    EXPECT_GT((*report)[Count::snapshots], 0U);
    EXPECT_GT((*report)[Count::children_here] + (*report)[Count::children_elsewhere], 0U);
    EXPECT_GT((*report)[Count::write_faults], 0U);
    EXPECT_GT(report->stores_during.count, 0U);
    EXPECT_FALSE(report->interrupted);
    u64 acted = 0;
    for (const Acted& trigger : report->acted) {
        acted += trigger.acted ? 1 : 0;
        std::cout << trigger.name << ": " << (trigger.acted ? "acted" : trigger.why_not) << "\n";
    }
    EXPECT_TRUE(acted > 0 || ::geteuid() != 0) << "root, and nothing of all that was to be had";
    expect_state(before);
}

/// The region's memory file: what is written to it goes past the engine.
void write_past_the_engine(std::span<std::byte> live) {
    for (int number = 3; number < 256; ++number) {
        struct stat file {};
        const std::string link = "/proc/self/fd/" + std::to_string(number);
        std::error_code error;
        const std::string name = std::filesystem::read_symlink(link, error).string();
        if (error || ::fstat(number, &file) != 0 || !S_ISREG(file.st_mode) ||
            static_cast<u64>(file.st_size) != live.size() ||
            name.find("memfd:") == std::string::npos) {
            continue;
        }
        constexpr u64 page = 100;
        u64 held = 0;
        ASSERT_EQ(::pread(number, &held, sizeof held, to_bytes(page) + 800), 8);
        const u64 spoilt = held ^ 4;
        if (std::memcmp(&held, live.data() + to_bytes(page) + 800, sizeof held) == 0) {
            ASSERT_EQ(::pwrite(number, &spoilt, sizeof spoilt, to_bytes(page) + 800), 8);
            return;
        }
    }
}

TEST_F(RunTest, OneBitThatWasChangedBehindTheEnginesBackIsFoundAndNamed) {
    options.behind_the_back = [](std::span<std::byte> live) {
        static bool done = false;
        if (!std::exchange(done, true)) {
            write_past_the_engine(live);
        }
    };
    options.instances = 2;
    options.ms = 15'000;
    const Result<Report> report = torture(options);
    ASSERT_TRUE(report.has_value()) << report.error().message;
    EXPECT_GT(report->mismatches(), 0U);
    EXPECT_FALSE(report->held());
    ASSERT_FALSE(report->failures.empty());
    EXPECT_EQ(report->failures.front().rfind("instance 0, round ", 0), 0U) << told(*report);
    EXPECT_NE(report->failures.front().find("page 100 "), std::string::npos) << told(*report);
}

TEST_F(RunTest, AnInterruptedRunReportsWhatItHasAndPutsAllBack) {
    const std::string before = state_now();
    options.ms = 600'000;
    int asked = 0;
    options.interrupted = [&] { return ++asked > 60; };
    const Result<Report> report = torture(options);
    ASSERT_TRUE(report.has_value()) << report.error().message;
    EXPECT_TRUE(report->interrupted);
    EXPECT_EQ(report->mismatches(), 0U) << told(*report);
    expect_state(before);
}

/// Runs it in a process of its own until it has changed something, and kills that.
void run_and_kill(const Options& options, const std::string& before, bool keeper_too) {
    const pid_t driver = ::fork();
    if (driver == 0) {
        ::prctl(PR_SET_PDEATHSIG, SIGKILL);
        static_cast<void>(torture(options));
        ::_exit(0);
    }
    ASSERT_GT(driver, 0);
    for (int waits = 0; waits < 1000 && machine_state() == before; ++waits) {
        ::usleep(20'000);
    }
    EXPECT_NE(machine_state(), before);
    ::usleep(1'500'000);  // a spell has begun
    if (keeper_too) {     // a group of its own, begun by the driver: the only child that leads one
        const std::string task =
            "/proc/" + std::to_string(driver) + "/task/" + std::to_string(driver) + "/children";
        std::istringstream children(host::read_text(task));
        for (pid_t child = 0; children >> child;) {
            if (::getpgid(child) == child) {
                ::kill(child, SIGKILL);
            }
        }
    }
    ::kill(driver, SIGKILL);
    ::waitpid(driver, nullptr, 0);
}

class KilledRunTest : public RunTest {
protected:
    void SetUp() override {
        RunTest::SetUp();
        if (::geteuid() != 0) {
            GTEST_SKIP() << "settings and swap files are root's: there is nothing to put back";
        }
        options.ms = 600'000;
    }
};

TEST_F(KilledRunTest, ItsKeeperPutsAllBack) {
    const std::string before = state_now();
    run_and_kill(options, before, false);
    for (int waits = 0; waits < 1000 && machine_state() != before; ++waits) {
        ::usleep(20'000);
    }
    EXPECT_EQ(machine_state(), before);
}

TEST_F(KilledRunTest, TheNextRunPutsBackWhatOneLeftThatWasKilledWithItsKeeper) {
    const std::string before = state_now();
    run_and_kill(options, before, true);
    EXPECT_NE(machine_state(), before) << "nobody was left to do it";
    options.ms = 1000;
    const Result<Report> report = torture(options);
    ASSERT_TRUE(report.has_value()) << report.error().message;
    expect_state(before);
    EXPECT_NE(::access(host::journal_path, F_OK), 0);
}

}  // namespace
}  // namespace verso::check::torture
