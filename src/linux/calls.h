// The calls of the seam, one function each, grouped in files by what they touch.
// LinuxKernel::perform is the switch over them. Each does one system call (or the shortest loop
// that makes the answer whole) and turns its errno into an Outcome; none decides anything.
#pragma once

#include <cerrno>

#include "kernel/kernel.h"

namespace verso::host {

using kernel::Call;
using kernel::Outcome;
using kernel::Payload;

using kernel::failure;
using kernel::fill_outcome;
using kernel::range_outcome;

/// The outcome of a system call that returns a value ≥ 0, or -1 with errno.
inline Outcome result_of(i64 returned) {
    return returned < 0 ? failure(errno) : Outcome::done(returned);
}

// file_calls.cc
Outcome memfd_create_call(const Call& call, const Payload& payload);
Outcome file_resize(const Call& call);
Outcome file_size(const Call& call);
Outcome file_next_data(const Call& call);
Outcome file_punch(const Call& call);
Outcome file_used(const Call& call);
Outcome file_read(const Call& call, const Payload& payload);
Outcome file_write(const Call& call, const Payload& payload);
Outcome duplicate(const Call& call);
Outcome close_call(const Call& call);
Outcome file_create(const Payload& payload);

// memory_calls.cc
Outcome map(const Call& call);
Outcome unmap(const Call& call);
Outcome protect(const Call& call);
Outcome advise(const Call& call);
Outcome check_mapped(const Call& call);
Outcome remap(const Call& call);
Outcome memory_read(const Call& call, const Payload& payload);
Outcome memory_write(const Call& call, const Payload& payload);

// uffd_calls.cc
/// Which of the three ways led to a userfaultfd.
enum class UffdWay { none, system_call, device, user_mode_only };
struct OpenedUffd {
    Fd fd;
    UffdWay way = UffdWay::none;
    u64 features = 0;  // all that the kernel has
    int error = 0;     // of the first way, if none worked
    int last_error = 0;
    bool refused_features = false;  // a descriptor was had, but not with these features
};
/// `unprivileged`: only the way that is open to anybody.
OpenedUffd open_uffd(u64 features, bool unprivileged = false);
Outcome uffd_open(const Call& call, bool unprivileged = false);
Outcome uffd_register(const Call& call);
Outcome uffd_unregister(const Call& call);
Outcome uffd_wake(const Call& call);
Outcome uffd_write_protect(const Call& call);
Outcome uffd_copy(const Call& call);
Outcome uffd_zeropage(const Call& call);
Outcome uffd_continue(const Call& call);
Outcome uffd_poison(const Call& call);
Outcome uffd_read(const Call& call, const Payload& payload);

/// The raw handshake: uffd_create without it, uffd_api alone.
Outcome uffd_create(const Call& call);
Outcome uffd_api(const Call& call);
Outcome uffd_move(const Call& call);

// pagemap_calls.cc
Outcome pagemap_scan(const Call& call, const Payload& payload);
Outcome pagemap_read(const Call& call, const Payload& payload);

Outcome scan_pages(const Call& call, const Payload& payload);
Outcome clear_refs();

// access_calls.cc
Outcome load(const Call& call);
Outcome store(const Call& call);
Outcome gup_read(const Call& call);
Outcome gup_write(const Call& call);
Outcome forced_write(const Call& call);
Outcome pin(const Call& call);
Outcome unpin(const Call& call);
Outcome lock(const Call& call);

// usage.cc
Outcome memory_usage(const Call& call, const Payload& payload);
/// The part of it that reads text: adds up the mappings of `smaps` that overlap [begin, end).
kernel::Usage sum_usage(std::string_view smaps, u64 begin, u64 end);

// segv_watch.cc
Outcome watch_segv(const Call& call, const Payload& payload);
Outcome unwatch_segv(const Call& call);

// wait_calls.cc
Outcome wait_call(const Call& call, const Payload& payload);
Outcome event_create();
Outcome event_signal(const Call& call);
Outcome event_drain(const Call& call);
Outcome end_process();
Outcome process_self();
Outcome bundle(const Payload& payload);

// socket_calls.cc
inline constexpr std::size_t message_fds_max = 250;  // Linux allows 253 (SCM_MAX_FD)
Outcome socket_send(const Call& call, const Payload& payload);
Outcome socket_receive(const Call& call, const Payload& payload);

}  // namespace verso::host
