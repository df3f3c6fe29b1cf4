// A region with a guest in it, and a guest that runs on a thread of its own.
#pragma once

#include <atomic>
#include <cstring>
#include <span>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "support/backends.h"
#include "support/needs.h"
#include "vm/guest_code.h"
#include "vm/kvm_guest.h"

namespace verso::test {

class GuestTest : public testing::TestWithParam<KvmGuest::Mode> {
protected:
    static constexpr u64 seed = 5;
    /// Memory, and who runs in it.
    struct Computer {
        Region region;
        KvmGuest guest;
    };
    static Result<KvmGuest> guest_in(const Region& region) {
        return KvmGuest::create(region.bytes(), GetParam());
    }
    void SetUp() override {
        VERSO_NEEDS_FAULTS_OF_THE_KERNEL();
        static std::byte nothing alignas(page_size)[page_size];
        const Result<KvmGuest> can = KvmGuest::create(nothing, GetParam());
        VERSO_ASSERT_OK_OR_UNSUPPORTED(can);
    }
    /// Every page has its bytes, the first one the program.
    static Result<Region> region_with(std::span<const u8> code, u64 pages,
                                      Tracking tracking = Tracking::contents) {
        Result<Region> region = Region::create({.size = to_bytes(pages), .tracking = tracking});
        if (region) {
            write_all(region->bytes(), seed, 0);
            load_code(region->bytes(), code);
        }
        return region;
    }
    static Result<Computer> computer_of(Result<Region> region) {
        if (!region) {
            return pass(region);
        }
        Result<KvmGuest> guest = guest_in(*region);
        if (!guest) {
            return pass(guest);
        }
        return Computer{std::move(*region), std::move(*guest)};
    }
    static Result<Computer> computer_with(std::span<const u8> code, u64 pages,
                                          Tracking tracking = Tracking::contents) {
        return computer_of(region_with(code, pages, tracking));
    }
    /// Runs a program to its end.
    static void finish(KvmGuest& guest, const kvm_regs& arguments) {
        guest.set_registers(arguments);
        const Result<KvmGuest::End> end = guest.run();
        VERSO_ASSERT_OK(end);
        ASSERT_EQ(*end, KvmGuest::End::finished);
    }
};

inline const auto each_mode =
    testing::Values(KvmGuest::Mode::protected_32, KvmGuest::Mode::long_64);
inline std::string mode_name(const testing::TestParamInfo<KvmGuest::Mode>& info) {
    return info.param == KvmGuest::Mode::protected_32 ? "ProtectedMode" : "LongMode";
}

/// A guest that goes on, beside whatever the test does, until it is stopped.
class RunningGuest {
public:
    explicit RunningGuest(KvmGuest& guest)
        : guest_(guest), thread_([this] {
              ended_ = guest_.run();
              over_.store(true);
          }) {}
    ~RunningGuest() { (void)stop(); }
    RunningGuest(const RunningGuest&) = delete;
    RunningGuest& operator=(const RunningGuest&) = delete;

    /// It has ended, which it should not: whoever waits for it would wait for ever.
    bool is_over() const { return over_.load(); }
    Result<KvmGuest::End> stop() {
        if (thread_.joinable()) {
            guest_.stop();
            thread_.join();
        }
        return ended_;
    }

private:
    KvmGuest& guest_;
    Result<KvmGuest::End> ended_ = KvmGuest::End::finished;  // the thread's, until it is joined
    std::atomic<bool> over_{false};
    std::thread thread_;
};

inline u32 word_at(std::span<const std::byte> bytes, u64 offset) {
    u32 word = 0;
    std::memcpy(&word, bytes.data() + offset, sizeof word);
    return word;
}

inline std::vector<std::byte> copy_of(std::span<const std::byte> bytes) {
    return {bytes.begin(), bytes.end()};
}

}  // namespace verso::test
