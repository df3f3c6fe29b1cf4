// The oracle of the cut. Threads write steps 1, 2, 3 … in one causal order: the thread whose turn
// it is has read the token that the thread before it stored. Step k goes to slot k mod S, and the
// slots lie scattered over the pages. So the whole content of the memory follows from one number,
// the last step that was performed, and a snapshot is right exactly if it is the content of some
// last step:
//
//   step   1   2   3   4   5     a copy that holds 5 but not 4 is torn: it holds a later
//   page   7   2   9   2   1     write without an earlier one that the writer had seen
#pragma once

#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include <sched.h>

#include "support/contents.h"

namespace verso::test {

class CausalWriters {
public:
    static constexpr u64 slots_per_page = 8;

    CausalWriters(std::span<std::byte> bytes, unsigned threads) : bytes_(bytes), threads_(threads) {
        for (unsigned id = 0; id < threads; ++id) {
            running_.emplace_back([this, id] { write(id); });
        }
    }
    ~CausalWriters() { stop(); }
    CausalWriters(const CausalWriters&) = delete;
    CausalWriters& operator=(const CausalWriters&) = delete;

    void stop() {
        ending_.store(true);
        for (std::thread& thread : running_) {
            thread.join();
        }
        running_.clear();
    }
    u64 steps() const { return token_.load(std::memory_order_acquire); }
    /// Returns once `more` further steps were performed.
    void let_run(u64 more) const {
        for (const u64 until = steps() + more; steps() < until;) {
            ::sched_yield();
        }
    }

    /// Empty if `copy` is the content after some last step; else what is wrong with it.
    static std::string judge(std::span<const std::byte> copy) {
        const u64 slots = slots_of(copy.size());
        u64 last = 0;
        for (u64 slot = 0; slot < slots; ++slot) {
            last = std::max(last, load(copy, slot, slots));
        }
        for (u64 slot = 0; slot < slots; ++slot) {
            const u64 expected = last < slot ? 0 : last - (last - slot) % slots;
            const u64 held = load(copy, slot, slots);
            if (held != expected) {
                return "holds step " + std::to_string(last) + " but slot " + std::to_string(slot) +
                       " has step " + std::to_string(held) + " instead of " +
                       std::to_string(expected);
            }
        }
        return {};
    }

private:
    static u64 slots_of(u64 bytes) { return to_pages(bytes) * slots_per_page; }
    static u64 offset_of(u64 slot, u64 slots) {
        constexpr u64 prime = 1'000'003;  // no divisor of any slot count here: a permutation
        return slot * prime % slots * (page_size / slots_per_page);
    }
    static u64 load(std::span<const std::byte> copy, u64 slot, u64 slots) {
        u64 value = 0;
        std::memcpy(&value, copy.data() + offset_of(slot, slots), sizeof value);
        return value;
    }

    void write(unsigned id) {
        const u64 slots = slots_of(bytes_.size());
        while (!ending_.load(std::memory_order_relaxed)) {
            const u64 step = token_.load(std::memory_order_acquire) + 1;
            if (mix(step / 8) % threads_ != id) {
                ::sched_yield();
                continue;
            }
            auto* const at = reinterpret_cast<u64*>(bytes_.data() + offset_of(step % slots, slots));
            std::atomic_ref<u64>(*at).store(step, std::memory_order_relaxed);
            token_.store(step, std::memory_order_release);
        }
    }

    std::span<std::byte> bytes_;
    unsigned threads_;
    std::atomic<u64> token_{0};
    std::atomic<bool> ending_{false};
    std::vector<std::thread> running_;
};

}  // namespace verso::test
