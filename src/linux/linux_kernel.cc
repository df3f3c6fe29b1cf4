// The switch from calls to functions, and the mask that hides some of them from tests.
#include "linux/linux_kernel.h"

#include "abi/abi.h"
#include "base/check.h"
#include "linux/calls.h"

namespace verso::host {

using kernel::Op;
using kernel::RegisterMode;

u64 Mask::hidden_features() const {
    using abi::Feature;
    u64 hidden = 0;
    hidden |= no_userfaultfd ? ~u64{0} : 0;
    hidden |= no_write_protect_shmem ? Feature::wp_hugetlbfs_shmem : 0;
    hidden |= no_wp_unpopulated ? Feature::wp_unpopulated : 0;
    hidden |= no_wp_async ? Feature::wp_async : 0;
    hidden |= no_minor ? Feature::minor_shmem | Feature::minor_hugetlbfs : 0;
    hidden |= no_poison ? Feature::poison : 0;
    hidden |= no_layout_events ? Feature::layout_events : 0;
    return hidden;
}

bool LinuxKernel::masked(const Call& call) const {
    if (call.op == Op::uffd_open) {
        return mask_.no_userfaultfd || (call.aux & mask_.hidden_features()) != 0;
    }
    if (call.op == Op::uffd_register) {
        return ((call.aux & RegisterMode::minor) != 0 && mask_.no_minor) ||
               ((call.aux & RegisterMode::write_protect) != 0 && mask_.no_write_protect_shmem);
    }
    return (call.op == Op::uffd_continue && mask_.no_minor) ||
           (call.op == Op::uffd_poison && mask_.no_poison) ||
           (call.op == Op::uffd_write_protect && mask_.no_write_protect_shmem) ||
           (call.op == Op::pagemap_scan && mask_.no_pagemap_scan);
}

Outcome LinuxKernel::perform(const Call& call, const Payload& payload) {
    if (masked(call)) {
        return {kernel::Verdict::unsupported, ENOTTY, 0, 0};
    }
    switch (call.op) {
        case Op::memfd_create: return memfd_create_call(call, payload);
        case Op::file_resize: return file_resize(call);
        case Op::file_size: return file_size(call);
        case Op::file_next_data: return file_next_data(call);
        case Op::file_punch: return file_punch(call);
        case Op::file_used: return file_used(call);
        case Op::file_read: return file_read(call, payload);
        case Op::file_write: return file_write(call, payload);
        case Op::map: return map(call);
        case Op::unmap: return unmap(call);
        case Op::protect: return protect(call);
        case Op::advise: return advise(call);
        case Op::check_mapped: return check_mapped(call);
        case Op::uffd_open: return uffd_open(call, mask_.user_mode_only_uffd);
        case Op::uffd_register: return uffd_register(call);
        case Op::uffd_unregister: return uffd_unregister(call);
        case Op::uffd_wake: return uffd_wake(call);
        case Op::uffd_write_protect: return uffd_write_protect(call);
        case Op::uffd_copy: return uffd_copy(call);
        case Op::uffd_zeropage: return uffd_zeropage(call);
        case Op::uffd_continue: return uffd_continue(call);
        case Op::uffd_poison: return uffd_poison(call);
        case Op::uffd_read: return uffd_read(call, payload);
        case Op::pagemap_scan: return pagemap_scan(call, payload);
        case Op::pagemap_read: return pagemap_read(call, payload);
        case Op::memory_read: return memory_read(call, payload);
        case Op::memory_write: return memory_write(call, payload);
        case Op::memory_usage: return memory_usage(call, payload);
        case Op::watch_segv: return watch_segv(call, payload);
        case Op::unwatch_segv: return unwatch_segv(call);
        case Op::wait: return wait_call(call, payload);
        case Op::event_create: return event_create();
        case Op::event_signal: return event_signal(call);
        case Op::event_drain: return event_drain(call);
        case Op::socket_send: return socket_send(call, payload);
        case Op::socket_receive: return socket_receive(call, payload);
        case Op::duplicate: return duplicate(call);
        case Op::end_process: return end_process();
        case Op::process_self: return process_self();
        case Op::bundle: return bundle(payload);
        case Op::close: return close_call(call);
        case Op::file_create: return file_create(payload);
        case Op::remap: return remap(call);
        case Op::load: return load(call);
        case Op::store: return store(call);
        case Op::gup_read: return gup_read(call);
        case Op::gup_write: return gup_write(call);
        case Op::forced_write: return forced_write(call);
        case Op::pin: return pin(call);
        case Op::unpin: return unpin(call);
        case Op::lock: return lock(call);
        case Op::uffd_create: return uffd_create(call);
        case Op::uffd_api: return uffd_api(call);
        case Op::uffd_move: return uffd_move(call);
        case Op::clear_refs: return clear_refs();
        case Op::scan: return scan_pages(call, payload);
    }
    VERSO_CHECK(false, "no such op: {}", static_cast<unsigned>(call.op));
    return {};
}

const kernel::Abilities& LinuxKernel::abilities() {
    std::call_once(probed_, [this] { abilities_ = apply(mask_, probe()); });
    return abilities_;
}

kernel::Kernel& linux_kernel() {
    static LinuxKernel* const instance = new LinuxKernel;  // deliberately never deleted
    return *instance;
}

}  // namespace verso::host
