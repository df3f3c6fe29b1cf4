// Calls as text and as hash keys.
#include "kernel/call.h"

#include <fmt/format.h>

#include "base/check.h"

namespace verso::kernel {

std::string_view name_of(Op op) {
    switch (op) {
        case Op::memfd_create: return "memfd_create";
        case Op::file_resize: return "file_resize";
        case Op::file_size: return "file_size";
        case Op::file_next_data: return "file_next_data";
        case Op::file_punch: return "file_punch";
        case Op::file_used: return "file_used";
        case Op::file_read: return "file_read";
        case Op::file_write: return "file_write";
        case Op::map: return "map";
        case Op::unmap: return "unmap";
        case Op::protect: return "protect";
        case Op::advise: return "advise";
        case Op::check_mapped: return "check_mapped";
        case Op::uffd_open: return "uffd_open";
        case Op::uffd_register: return "uffd_register";
        case Op::uffd_unregister: return "uffd_unregister";
        case Op::uffd_wake: return "uffd_wake";
        case Op::uffd_write_protect: return "uffd_write_protect";
        case Op::uffd_copy: return "uffd_copy";
        case Op::uffd_zeropage: return "uffd_zeropage";
        case Op::uffd_continue: return "uffd_continue";
        case Op::uffd_poison: return "uffd_poison";
        case Op::uffd_read: return "uffd_read";
        case Op::pagemap_scan: return "pagemap_scan";
        case Op::pagemap_read: return "pagemap_read";
        case Op::memory_read: return "memory_read";
        case Op::memory_write: return "memory_write";
        case Op::memory_usage: return "memory_usage";
        case Op::watch_segv: return "watch_segv";
        case Op::unwatch_segv: return "unwatch_segv";
        case Op::wait: return "wait";
        case Op::event_create: return "event_create";
        case Op::event_signal: return "event_signal";
        case Op::event_drain: return "event_drain";
        case Op::socket_send: return "socket_send";
        case Op::socket_receive: return "socket_receive";
        case Op::duplicate: return "duplicate";
        case Op::end_process: return "end_process";
        case Op::process_self: return "process_self";
        case Op::bundle: return "bundle";
        case Op::close: return "close";
        case Op::file_create: return "file_create";
        case Op::remap: return "remap";
        case Op::load: return "load";
        case Op::store: return "store";
        case Op::gup_read: return "gup_read";
        case Op::gup_write: return "gup_write";
        case Op::forced_write: return "forced_write";
        case Op::pin: return "pin";
        case Op::unpin: return "unpin";
        case Op::lock: return "lock";
        case Op::uffd_create: return "uffd_create";
        case Op::uffd_api: return "uffd_api";
        case Op::uffd_move: return "uffd_move";
        case Op::clear_refs: return "clear_refs";
        case Op::scan: return "scan";
    }
    VERSO_CHECK(false, "no such op: {}", static_cast<unsigned>(op));
    return {};
}

std::string to_string(const Call& call) {
    std::string text{name_of(call.op)};
    const char* separator = "(";
    const auto add = [&](const std::string& part) {
        text += separator;
        text += part;
        separator = ", ";
    };
    if (call.fd >= 0) {
        add(fmt::format("fd {}", call.fd));
    }
    if (call.address != 0 || call.length != 0) {
        add(fmt::format("{:#x}+{:#x}", call.address, call.length));
    }
    if (call.offset != 0) {
        add(fmt::format("at {:#x}", call.offset));
    }
    if (call.aux != 0) {
        add(fmt::format("aux {:#x}", call.aux));
    }
    if (call.target != 0) {
        add(fmt::format("target {:#x}", call.target));
    }
    text += *separator == '(' ? "()" : ")";
    return text;
}

}  // namespace verso::kernel

std::size_t std::hash<verso::kernel::Call>::operator()(
    const verso::kernel::Call& call) const noexcept {
    // Multiply and fold, one word at a time: an odd constant near 2^64 / golden ratio spreads the
    // low bits (addresses are page aligned, so theirs are all zero) over the whole word.
    verso::u64 state = static_cast<verso::u64>(call.op) + 1;
    const auto mix = [&](verso::u64 word) {
        state = (state ^ word) * 0x9E3779B97F4A7C15U;
        state ^= state >> 29;
    };
    mix(static_cast<verso::u64>(static_cast<verso::i64>(call.fd)));
    mix(call.address);
    mix(call.length);
    mix(call.offset);
    mix(call.aux);
    mix(call.target);
    return static_cast<std::size_t>(state);
}
