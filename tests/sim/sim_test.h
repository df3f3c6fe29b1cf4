// A small simulated world for tests: one process, short verbs.
#pragma once

#include <gtest/gtest.h>

#include "abi/abi.h"
#include "mm/sim/sim_world.h"

namespace verso::mm::sim {

using kernel::Call;
using kernel::MapFlag;
using kernel::Payload;

constexpr u64 plain = MapFlag::read | MapFlag::write;
constexpr u64 shared = plain | MapFlag::shared;

inline Shape roomy() {
    Shape shape;
    shape.space_pages = 64;
    shape.huge_pages = 4;
    shape.pages = 96;
    shape.slots = 32;
    shape.nodes = 2;
    shape.spaces_max = 8;
    shape.contexts_max = 16;
    shape.threads_max = 32;
    return shape;
}

class Sim : public testing::Test {
protected:
    explicit Sim(const Rules& rules = mainline()) : world(rules, roomy(), choice) {}

    kernel::Kernel& kernel(int process = 0) { return world.process(process); }
    kernel::Outcome perform(const Call& call, const Payload& payload = {}) {
        return kernel().perform(call, payload);
    }
    /// The value of a call that must succeed.
    u64 must(const Call& call, const Payload& payload = {}) {
        const kernel::Outcome outcome = perform(call, payload);
        EXPECT_TRUE(outcome.ok()) << to_string(call) << ": " << to_string(outcome);
        return static_cast<u64>(outcome.value);
    }
    u64 load(u64 address, int process = 0) {
        const kernel::Outcome outcome = kernel(process).perform(Call::load(address));
        EXPECT_TRUE(outcome.ok()) << to_string(outcome);
        return static_cast<u64>(outcome.value);
    }
    void store(u64 address, u64 value, int process = 0) {
        const kernel::Outcome outcome = kernel(process).perform(Call::store(address, value));
        EXPECT_TRUE(outcome.ok()) << to_string(outcome);
    }
    u64 anonymous(u64 pages) { return must(Call::map(-1, 0, to_bytes(pages), plain)); }
    Fd memfd(u64 pages, u64 flags = 0) {
        Fd fd(static_cast<int>(must(Call::memfd_create(flags))));
        must(Call::file_resize(fd.get(), to_bytes(pages)));
        return fd;
    }
    Fd userfaultfd(u64 features = 0) {
        return Fd(static_cast<int>(must(Call::uffd_open(features))));
    }
    u64 pagemap(u64 address) {
        u64 word = 0;
        must(Call::pagemap_read(address, page_size),
             {.out = std::as_writable_bytes(std::span(&word, 1))});
        return word;
    }
    kernel::Provoked provoke(kernel::Trigger trigger, u64 address, u64 length = page_size) {
        return world.provoke(0, trigger, address, length);
    }

    FirstChoice choice;
    SimWorld world;
};

}  // namespace verso::mm::sim
