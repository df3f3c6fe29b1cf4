// DisturbedKernel: see the header.
#include "check/swarm/disturbed_kernel.h"

#include <cerrno>

namespace verso::check::swarm {

using kernel::Call;
using kernel::Op;
using kernel::Outcome;
using kernel::Payload;
using kernel::Verdict;

namespace {

constexpr u64 stall_ms_max = 20;

bool sets_up(Op op) {
    return op == Op::memfd_create || op == Op::file_resize || op == Op::map ||
           op == Op::uffd_open || op == Op::uffd_register || op == Op::event_create ||
           op == Op::duplicate || op == Op::bundle;
}

bool may_be_interrupted(Op op) {
    return op == Op::wait || op == Op::uffd_read || op == Op::pagemap_scan || op == Op::file_punch;
}

}  // namespace

/// The last of all answers means yes, so that a tape of zeroes is a calm run.
bool DisturbedKernel::strikes(Fault fault) {
    const u32 one_in = knobs_.faults[static_cast<std::size_t>(fault)];
    if (one_in == 0 || done_.calm || choice_.choose(one_in) != one_in - 1) {
        return false;
    }
    ++done_.faults;
    return true;
}

Outcome DisturbedKernel::fill(const Call& call, const Payload& payload) {
    if (strikes(Fault::layout_changing)) {
        return {Verdict::layout_changing, EAGAIN, 0, 0};
    }
    if (strikes(Fault::exists)) {
        return {Verdict::exists, EEXIST, 0, 0};
    }
    if (strikes(Fault::no_room)) {
        ++done_.lost;
        return {Verdict::no_memory, ENOMEM, 0, 0};
    }
    if (call.length > page_size && strikes(Fault::partial)) {
        Call shorter = call;
        shorter.length = to_bytes(1 + choice_.choose(static_cast<u32>(to_pages(call.length) - 1)));
        const Outcome outcome = inner_.perform(shorter, payload);
        return outcome.ok() ? Outcome{Verdict::partial, EAGAIN, outcome.value, 0} : outcome;
    }
    return inner_.perform(call, payload);
}

Outcome DisturbedKernel::perform(const Call& call, const Payload& payload) {
    const bool dies = death_ && strikes(Fault::death);
    const bool before = dies && choice_.coin();
    if (before) {
        death_();
    }
    const Outcome outcome = answer(call, payload);
    if (call.op == Op::file_punch && strikes(Fault::linger)) {
        (void)inner_.perform(Call::wait(1));  // until nobody else can go on
    }
    if (dies && !before) {
        death_();
    }
    if (witness_) {
        witness_(call, outcome);
    }
    return outcome;
}

Outcome DisturbedKernel::answer(const Call& call, const Payload& payload) {
    if (strikes(Fault::stall)) {
        (void)inner_.perform(Call::wait(1 + choice_.choose(stall_ms_max)));
    }
    if (may_be_interrupted(call.op) && strikes(Fault::interrupted)) {
        return {Verdict::interrupted, EINTR, 0, 0};
    }
    const bool fills =
        call.op == Op::uffd_copy || call.op == Op::uffd_zeropage || call.op == Op::uffd_continue;
    if (fills) {
        return fill(call, payload);
    }
    if (call.op == Op::uffd_write_protect && strikes(Fault::layout_changing)) {
        return {Verdict::layout_changing, EAGAIN, 0, 0};
    }
    if (call.op == Op::uffd_read && strikes(Fault::nothing_yet)) {
        return {Verdict::would_block, EAGAIN, 0, 0};
    }
    if (call.op == Op::file_write && strikes(Fault::no_room)) {
        ++done_.lost;
        return {Verdict::no_memory, ENOSPC, 0, 0};
    }
    if (sets_up(call.op) && strikes(Fault::refusal)) {
        ++done_.refused;
        return call.op == Op::map || call.op == Op::file_resize || call.op == Op::uffd_register
                   ? Outcome{Verdict::no_memory, ENOMEM, 0, 0}
                   : Outcome{Verdict::no_descriptors, EMFILE, 0, 0};
    }
    return inner_.perform(call, payload);
}

}  // namespace verso::check::swarm
