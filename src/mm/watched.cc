// A machine under all oracles: see the header.
#include "mm/watched.h"

#include <algorithm>

#include <fmt/core.h>

namespace verso::mm {

std::string Watched::step(const Call& call, Choice& choice) {
    Machine machine{state_, rules_, choice};
    history_.before(state_, call);
    outcome_ = mm::step(machine, call);
    std::string broken = broken_invariant(state_, rules_);
    return broken.empty() ? history_.after(machine, call, outcome_) : broken;
}

/// As a process would that is not part of the program.
std::string Watched::finish(Choice& choice) {
    const u8 closing = static_cast<u8>(state_.threads.size());
    const auto alive = std::ranges::find_if(state_.threads, &Thread::alive);
    if (alive == state_.threads.end()) {
        return {};
    }
    Thread closer;
    closer.alive = true;
    closer.space = alive->space;
    state_.threads.push_back(closer);
    std::string broken;
    for (bool ended = true; ended && broken.empty();) {
        ended = false;
        for (u8 id = 0; id < closing && broken.empty(); ++id) {
            for (Vpn at = 0; at < state_.shape.space_pages && broken.empty(); ++at) {
                Call end{.op = Op::migrate_end, .thread = id};
                end.address = to_bytes(at);
                broken = step(end, choice);
                ended = ended || outcome_.verdict == Verdict::done;
            }
        }
    }
    // Disks answer. No step: the page may have no mapping left to name it by.
    Machine machine{state_, rules_, choice, {}, {}, {}};
    for (PageId page = 0; page < state_.pages.size(); ++page) {
        if (state_.pages[page].writeback && !state_.pages[page].tail) {
            folio_end_writeback(machine, page);
        }
    }
    for (u8 fd = 0; fd < state_.contexts.size() && broken.empty(); ++fd) {
        broken = step({.op = Op::uffd_close, .thread = closing, .fd = fd}, choice);
    }
    for (u8 id = 0; id < closing && broken.empty(); ++id) {
        broken = step({.op = Op::retry, .thread = id}, choice);
        if (broken.empty() && state_.threads[id].waiting != Waiting::no) {
            broken = fmt::format("progress: thread {} waits although nothing is in its way", id);
        }
    }
    for (PageId page = 0; page < state_.pages.size() && broken.empty(); ++page) {
        if (state_.pages[page].locked) {
            broken = fmt::format("progress: page {} stays locked for ever", page);
        }
    }
    return broken;
}

}  // namespace verso::mm
