// Loads, stores, and the ways in which the kernel reads, writes and pins for a program: what
// linux/access_calls.cc and segv_watch.cc do.
//
//   Op               made by      where it fails
//   load, store      the program  `signal`, after the sink of a watched range was asked
//   memory_write     the program  likewise; on Linux the program would end there
//   memory_read      the kernel   EFAULT (process_vm_readv)
//   gup_*            the kernel   EFAULT;  forced_write: EIO (/proc/self/mem)
#include <algorithm>
#include <array>
#include <bit>
#include <cerrno>
#include <csignal>
#include <cstring>

#include "mm/sim/sim_world.h"

namespace verso::mm::sim {
namespace {

bool is_write(Op op) { return op == Op::store || op == Op::gup_write; }

}  // namespace

/// The sink that watches the address, if there is one. It may call this kernel, and waits do.
bool SimKernel::offer_fault(u64 address, bool write) {
    for (const Watch& watch : watches_) {
        if (address >= watch.begin && address < watch.end) {
            return watch.sink->on_access_fault(address, write);
        }
    }
    return false;
}

std::optional<kernel::Outcome> SimKernel::touch(Op op, u64 address, std::byte* bytes, u64 length,
                                                bool forced) {
    const u64 offset = address % page_size;
    const Versions::Write write(
        memory().versions(), offset,
        is_write(op) ? std::span<const std::byte>(bytes, length) : std::span<const std::byte>{});
    Call call{.op = op, .flags = forced ? 1U : 0U};
    call.value = write.number();
    for (;;) {
        call.address = model(address);
        const Outcome outcome = run(call, call.address, length);
        switch (outcome.verdict) {
            case Verdict::done:
                if (!is_write(op)) {
                    const auto version = static_cast<Contents>(outcome.value);
                    std::memcpy(bytes, memory().versions().bytes(version).data() + offset, length);
                }
                return std::nullopt;
            case Verdict::sigsegv:
                if (offer_fault(address, is_write(op))) {
                    continue;
                }
                return kernel::Outcome{kernel::Verdict::signal, 0, SIGSEGV, 0};
            case Verdict::sigbus: return kernel::Outcome{kernel::Verdict::signal, 0, SIGBUS, 0};
            case Verdict::failed: return kernel::failure(outcome.error);
            case Verdict::hangs: return answer(outcome);
            case Verdict::blocked:
            case Verdict::disabled: break;
        }
        VERSO_CHECK(false, "an access that still waits: {}", to_string(call));
    }
}

std::optional<kernel::Outcome> SimKernel::touch_all(Op op, u64 address, std::span<std::byte> bytes,
                                                    bool forced, u64& through) {
    for (through = 0; through < bytes.size();) {
        const u64 at = address + through;
        const u64 part = std::min(bytes.size() - through, page_size - at % page_size);
        if (const auto failed = touch(op, at, bytes.data() + through, part, forced)) {
            return failed;
        }
        through += part;
    }
    return std::nullopt;
}

kernel::Outcome SimKernel::access(const kernel::Call& call) {
    const bool reads = call.op == kernel::Op::load || call.op == kernel::Op::gup_read;
    const bool by_program = call.op == kernel::Op::load || call.op == kernel::Op::store;
    const Op op =
        reads ? (by_program ? Op::load : Op::gup_read) : (by_program ? Op::store : Op::gup_write);
    auto bytes = std::bit_cast<std::array<std::byte, 8>>(call.aux);
    u64 through = 0;
    const bool forced = call.op == kernel::Op::forced_write;
    if (const auto failed = touch_all(op, call.address, bytes, forced, through)) {
        return *failed;
    }
    const auto value = std::bit_cast<i64>(bytes);
    return kernel::Outcome::done(reads ? value : by_program ? 0 : 8);
}

kernel::Outcome SimKernel::memory_read(const kernel::Call& call, const kernel::Payload& payload) {
    VERSO_CHECK(call.length <= payload.out.size(), "{} bytes into {}", call.length,
                payload.out.size());
    u64 through = 0;
    const auto failed =
        touch_all(Op::gup_read, call.address, payload.out.first(call.length), false, through);
    return failed ? *failed : kernel::Outcome::done(static_cast<i64>(call.length));
}

kernel::Outcome SimKernel::memory_write(const kernel::Call& call, const kernel::Payload& payload) {
    VERSO_CHECK(call.length <= payload.in.size(), "{} bytes from {}", call.length,
                payload.in.size());
    u64 through = 0;
    // touch() reads and writes through one pointer; a store only reads.
    auto* const bytes = const_cast<std::byte*>(payload.in.data());  // NOLINT
    const auto failed = touch_all(Op::store, call.address, {bytes, call.length}, false, through);
    return failed ? *failed : kernel::Outcome::done(static_cast<i64>(call.length));
}

kernel::Outcome SimKernel::pin(const kernel::Call& call) {
    // Kept by the kernel, not on this stack: a fiber that is never woken gives that up as it is.
    const auto pinned = pins_under_way_.insert(pins_under_way_.end(),
                                               std::make_shared<PinObject>(memory(), space()));
    const u64 end = call.address + call.length;
    for (u64 at = round_down(call.address, page_size); at < end; at += page_size) {
        Call pin{.op = Op::gup_pin};
        pin.address = model(at);
        const Outcome outcome = run(pin, pin.address, page_size);
        if (outcome.verdict != Verdict::done) {
            pins_under_way_.erase(pinned);
            return answer(outcome);
        }
        (*pinned)->pages.push_back(pin.address);
    }
    const ObjectRef whole = *pinned;
    pins_under_way_.erase(pinned);
    return number_for(whole);
}

kernel::Outcome SimKernel::watch_segv(const kernel::Call& call, const kernel::Payload& payload) {
    VERSO_CHECK(payload.sink != nullptr, "nobody to tell");
    VERSO_CHECK(call.address != 0 && call.length != 0, "empty range at {:#x}", call.address);
    watches_.push_back({call.address, call.address + call.length, payload.sink});
    return kernel::Outcome::done();
}

kernel::Outcome SimKernel::unwatch_segv(const kernel::Call& call) {
    const auto removed = std::erase_if(watches_, [&](const Watch& watch) {
        return watch.begin == call.address && watch.end == call.address + call.length;
    });
    return removed != 0 ? kernel::Outcome::done() : kernel::failure(ENOENT);
}

}  // namespace verso::mm::sim
