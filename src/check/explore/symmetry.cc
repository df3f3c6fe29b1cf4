// The canonical form: see the header.
#include "check/explore/symmetry.h"

#include <algorithm>
#include <numeric>

namespace verso::check::explore {
namespace {

using mm::Context;
using mm::Message;
using mm::State;
using mm::Thread;

template <class Visit>
void for_each_message(State& state, Visit visit) {
    for (Context& context : state.contexts) {
        for (mm::Messages* const queue : {&context.faults, &context.pending, &context.events}) {
            for (Message& message : *queue) {
                visit(message);
            }
        }
    }
}

/// Threads in the order of their bytes; of two that are alike, first whose message comes first.
void sort_threads(Node& node, u32 count, Names& names) {
    State& state = node.state;
    std::array<u32, Limits::threads_max> mentioned{};
    mentioned.fill(~u32{0});
    u32 at = 0;
    for_each_message(state, [&](const Message& message) {
        if (message.thread < mentioned.size()) {
            mentioned[message.thread] = std::min(mentioned[message.thread], at);
        }
        ++at;
    });
    std::array<u8, Limits::threads_max> order{};
    std::iota(order.begin(), order.end(), u8{0});
    std::sort(order.begin(), order.begin() + count, [&](u8 a, u8 b) {
        const int bytes = std::memcmp(&state.threads[a], &state.threads[b], sizeof(Thread));
        return bytes != 0 ? bytes < 0 : mentioned[a] < mentioned[b];
    });
    if (std::is_sorted(order.begin(), order.begin() + count)) {
        return;
    }
    std::array<u8, Limits::threads_max> to{};
    const auto threads = state.threads;
    const Names before = names;
    u32 moved = node.past.waiters_moved & ~((1U << count) - 1);
    for (u8 i = 0; i < count; ++i) {
        to[order[i]] = i;
        state.threads[i] = threads[order[i]];
        names.thread[i] = before.thread[order[i]];
        moved |= (node.past.waiters_moved >> order[i] & 1U) << i;
    }
    node.past.waiters_moved = moved;
    for_each_message(state, [&](Message& message) {
        if (message.thread < count) {
            message.thread = to[message.thread];
        }
    });
    for (mm::Advising& half : state.advising) {
        half.thread = half.thread < count ? to[half.thread] : half.thread;
    }
    std::ranges::sort(state.advising, {}, &mm::Advising::thread);
}

template <class Visit>
void for_each_value(Node& node, Visit visit) {
    for (mm::Page& page : node.state.pages) {
        visit(page.contents);
    }
    for (mm::Slot& slot : node.state.slots) {
        visit(slot.contents);
    }
    for (mm::File& file : node.state.files) {
        for (mm::Cached& cached : file.cache) {
            visit(cached.disk);
        }
    }
    for (Thread& thread : node.state.threads) {
        visit(thread.access.value);
    }
    for (mm::Place& place : node.past.places) {
        visit(place.value);
    }
    for (mm::FilePlace& place : node.past.files) {
        visit(place.value);
    }
}

/// Values in the order in which they are met.
void renumber_values(Node& node, u32 count, Names& names) {
    std::array<u32, Limits::values_max + 1> to{};
    u32 next = 1;
    for_each_value(node, [&](mm::Contents& value) {
        if (value != mm::zeroes && value <= count && to[value] == 0) {
            to[value] = next++;
        }
    });
    for (u32 value = 1; value <= count; ++value) {
        to[value] = to[value] != 0 ? to[value] : next++;
    }
    const Names before = names;
    for (u32 value = 1; value <= count; ++value) {
        names.value[to[value]] = before.value[value];
    }
    for_each_value(node, [&](mm::Contents& value) { value = value <= count ? to[value] : value; });
}

}  // namespace

void make_canonical(Node& node, const Scope& scope, Names& names) {
    mm::canonicalise(node.state);
    if (scope.threads > 1) {
        sort_threads(node, scope.threads, names);
    }
    if (scope.values > 1) {
        renumber_values(node, scope.values, names);
    }
}

}  // namespace verso::check::explore
