// Bursts of steps.
#include "check/torture/writers.h"

#include <algorithm>
#include <chrono>
#include <cstring>

#include <unistd.h>

namespace verso::check::torture {
namespace {
constexpr u64 burst_steps_max = 128;
constexpr u64 rest_us_max = 200'000;
constexpr unsigned glance_us = 500;
}  // namespace

u64 now_ns() {
    return static_cast<u64>(std::chrono::duration_cast<std::chrono::nanoseconds>(
                                std::chrono::steady_clock::now().time_since_epoch())
                                .count());
}

void write_beginning(std::span<std::byte> memory, const Layout& layout) {
    for (u64 page = 0; page < layout.pages; ++page) {
        const Words words = words_of(layout.seed, page, 0, 0);
        std::memcpy(memory.data() + to_bytes(page), words.data(), page_size);
    }
}

Writers::Writers(std::span<std::byte> memory, const Layout& layout, const Shared::Header& header,
                 Slot& slot, u64 rest)
    : memory_(memory), layout_(layout), header_(header), slot_(slot), rest_(rest) {
    for (unsigned writer = 0; writer < writers_per_instance; ++writer) {
        threads_[writer] = std::thread([this, writer] { work(writer); });
    }
}

void Writers::stop() {
    ending_.store(true);
    for (std::thread& thread : threads_) {
        if (thread.joinable()) {
            thread.join();
        }
    }
}

Progress Writers::progress() const {
    Progress progress{};
    for (unsigned writer = 0; writer < writers_per_instance; ++writer) {
        progress[writer] = done_[writer].load(std::memory_order_acquire);
    }
    return progress;
}

void Writers::pause() {
    paused_.store(true);
    for (const std::atomic<bool>& standing : standing_) {
        while (!standing.load(std::memory_order_acquire)) {
            ::usleep(glance_us);
        }
    }
}

/// Not before both know it, or the next pause could take the old standing for the new.
void Writers::resume() {
    paused_.store(false);
    for (const std::atomic<bool>& standing : standing_) {
        while (standing.load(std::memory_order_acquire) && !ending_.load()) {
            ::usleep(glance_us);
        }
    }
}

void Writers::rewound_to(const Progress& moment) {
    for (unsigned writer = 0; writer < writers_per_instance; ++writer) {
        done_[writer].store(moment[writer], std::memory_order_release);
    }
}

void Writers::work(unsigned writer) {
    Dice dice(layout_.seed ^ (writer + 1));
    while (!ending_.load(std::memory_order_relaxed)) {
        const u64 begin = now_ns();
        for (u64 left = 1 + dice.below(burst_steps_max); left > 0 && may_write(writer); --left) {
            const u64 number = done_[writer].load(std::memory_order_relaxed) + 1;
            step(writer, number);
            done_[writer].store(number, std::memory_order_release);
            slot_.add(Count::steps);
        }
        const u64 rest_us = (now_ns() - begin) / 1000 * rest_;
        ::usleep(static_cast<unsigned>(std::clamp<u64>(rest_us, 50, rest_us_max)));
    }
    standing_[writer].store(true, std::memory_order_release);
}

/// False where the burst ends early. Stands still while it is paused.
bool Writers::may_write(unsigned writer) {
    if (paused_.load(std::memory_order_acquire)) {
        standing_[writer].store(true, std::memory_order_release);
        while (paused_.load(std::memory_order_acquire) && !ending_.load()) {
            ::usleep(glance_us);
        }
        standing_[writer].store(false, std::memory_order_release);
    }
    return !ending_.load(std::memory_order_relaxed) &&
           header_.brake.load(std::memory_order_relaxed) == 0;
}

void Writers::step(unsigned writer, u64 number) {
    const u64 page = layout_.courses[writer].page_at(number);
    const u64 saw = done_[1 - writer].load(std::memory_order_acquire);
    const u64 root = root_of(layout_.seed, page, number);
    u64* const words = reinterpret_cast<u64*>(memory_.data() + to_bytes(page));
    store(writer, words, number, true);
    for (u64 i = 1; i < saw_word; ++i) {
        store(writer, words + i, root + i, false);
    }
    store(writer, words + saw_word, saw, false);
    store(writer, words + seal_word, seal_of(root, saw), false);
}

/// Release: what a later store shows, earlier ones show, too.
void Writers::store(unsigned writer, u64* at, u64 value, bool first) {
    const bool watched = watches_.load(std::memory_order_relaxed) != 0;
    const std::atomic_ref<u64> word(*at);
    if (!watched && !first) {
        word.store(value, std::memory_order_release);
        return;
    }
    const u64 begin = now_ns();
    word.store(value, std::memory_order_release);
    const u64 took = now_ns() - begin;
    (watched ? slot_.stores_during : slot_.stores_between)[writer].add(took);
}

}  // namespace verso::check::torture
