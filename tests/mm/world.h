// A machine of the model with short verbs, for tests: addresses are page numbers, the one process
// is thread 0, every verb is one step() and hands back its Outcome.
#pragma once

#include <gtest/gtest.h>

#include <string>

#include "abi/abi.h"
#include "mm/model.h"

namespace verso::mm {

struct Feature {
    static constexpr u32 pagefault_flag_wp = 1 << 0, event_fork = 1 << 1, event_remap = 1 << 2;
    static constexpr u32 event_remove = 1 << 3, event_unmap = 1 << 6, sigbus = 1 << 7;
    static constexpr u32 wp_hugetlbfs_shmem = 1 << 12, wp_unpopulated = 1 << 13;
    static constexpr u32 poison = 1 << 14, wp_async = 1 << 15, move = 1 << 16;
};
struct Mode {
    static constexpr u32 missing = 1, wp = 2, minor = 4;
};

class World {
public:
    explicit World(Rules rules = mainline(), Shape shape = Shape{})
        : rules_(rules), state_(boot(shape)) {}

    State& state() { return state_; }
    const Rules& rules() const { return rules_; }
    Machine machine() { return Machine{state_, rules_, choice_}; }
    Outcome step(const Call& call) {
        Machine one = machine();
        const Outcome outcome = mm::step(one, call);
        scanned = one.scanned;
        pagemap = one.pagemap;
        delivered = one.delivered;
        return outcome;
    }

    /// Maps `pages` pages of a kind at page `at`, readable and writable; returns `at`. File kinds
    /// get a file of their own, of that size: `file`.
    Vpn map(MemoryKind kind, u32 pages, Vpn at = 0) {
        const bool shared =
            kind == MemoryKind::SS || kind == MemoryKind::HS || kind == MemoryKind::FS;
        u8 backing = nobody;
        if (kind != MemoryKind::A) {
            FileKind of = FileKind::shmem;
            if (kind == MemoryKind::HS || kind == MemoryKind::HP) {
                of = FileKind::hugetlb;
            } else if (kind == MemoryKind::FS || kind == MemoryKind::FP) {
                of = FileKind::ordinary;
            }
            Call create{.op = Op::file_create, .flags = static_cast<u32>(of)};
            create.length = to_bytes(pages);
            backing = static_cast<u8>(step(create).value);
            file = backing;
        }
        Call call{.op = Op::mmap, .fd = backing};
        call.flags =
            MapFlags::read | MapFlags::write | MapFlags::fixed | (shared ? MapFlags::shared : 0U);
        call.address = to_bytes(at);
        call.length = to_bytes(pages);
        EXPECT_EQ(step(call).verdict, Verdict::done) << "mmap";
        return at;
    }

    Outcome load(Vpn at, u8 thread = 0) { return access(Op::load, at, zeroes, thread); }
    Outcome store(Vpn at, Contents value, u8 thread = 0) {
        return access(Op::store, at, value, thread);
    }
    Outcome retry(u8 thread = 0) { return step({.op = Op::retry, .thread = thread}); }

    /// A userfaultfd with these features; returns it.
    u8 open(u32 features, bool user_mode_only = false) {
        const Outcome opened = step({.op = Op::uffd_open, .flags = user_mode_only ? 1U : 0U});
        EXPECT_EQ(opened.verdict, Verdict::done) << "userfaultfd";
        fd = static_cast<u8>(opened.value);
        Call api{.op = Op::uffd_api, .fd = fd};
        api.address = 0xaa;
        api.extra = features;
        EXPECT_EQ(step(api).verdict, Verdict::done) << "UFFDIO_API";
        return fd;
    }
    Outcome range(Op op, Vpn first, u32 count, u32 flags) {
        Call call{.op = op, .fd = fd, .flags = flags};
        call.address = to_bytes(first);
        call.length = to_bytes(count);
        return step(call);
    }
    Outcome register_(Vpn first, u32 count, u32 mode) {
        return range(Op::uffd_register, first, count, mode);
    }
    Outcome unregister(Vpn first, u32 count) { return range(Op::uffd_unregister, first, count, 0); }
    Outcome protect(Vpn first, u32 count) { return range(Op::uffd_writeprotect, first, count, 1); }
    Outcome clear(Vpn first, u32 count) { return range(Op::uffd_writeprotect, first, count, 0); }
    Outcome copy(Vpn at, Contents value, u32 mode = 0) {
        Call call{.op = Op::uffd_copy, .fd = fd, .flags = mode, .value = value};
        call.address = to_bytes(at);
        call.length = page_size;
        return step(call);
    }
    Outcome mprotect(Vpn first, u32 count, u32 protection) {
        Call call{.op = Op::mprotect, .flags = protection};
        call.address = to_bytes(first);
        call.length = to_bytes(count);
        return step(call);
    }
    Outcome madvise(Vpn first, u32 count, Advice advice) {
        Call call{.op = Op::madvise, .flags = static_cast<u32>(advice)};
        call.address = to_bytes(first);
        call.length = to_bytes(count);
        return step(call);
    }
    /// Steps of the kernel's own, at one page.
    Outcome kernel(Op op, Vpn at) {
        Call call{.op = op};
        call.address = to_bytes(at);
        return step(call);
    }
    Outcome migrate(Vpn at) {
        const Outcome begun = kernel(Op::migrate_begin, at);
        return begun.verdict == Verdict::done ? kernel(Op::migrate_end, at) : begun;
    }

    Entry entry(Vpn at, u8 space = 0) const { return entry_at(state_, space, at); }
    const Vma& vma(Vpn at, u8 space = 0) const { return *state_.find_vma(space, at); }
    std::string broken() const { return broken_invariant(state_, rules_); }

    u8 file = nobody;  // of the last map()
    u8 fd = nobody;    // of the last open()
    std::vector<Machine::Region> scanned;
    std::vector<u64> pagemap;
    std::vector<Message> delivered;

private:
    Outcome access(Op op, Vpn at, Contents value, u8 thread) {
        Call call{.op = op, .thread = thread, .value = value};
        call.address = to_bytes(at);
        return step(call);
    }

    Rules rules_;
    State state_;
    FirstChoice choice_;
};

}  // namespace verso::mm
