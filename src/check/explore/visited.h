// Visited: the set of states that were met, as 128-bit fingerprints in an open table. Several
// threads add to it at once.
//
//   slot   ┌ key ┬ rest ┐   16 bytes; key 0: free. key also says where the search for it begins
//   a line of the cache holds four slots; the table is at most half full when a level begins
//
// Two different states with one fingerprint would make the second one invisible. With n states the
// odds are n² / 2¹²⁹: 10⁻²¹ for a billion; the report says the number. SPIN's hash-compact mode,
// with 32 to 64 bits, was seen to lose a third of a space of three million states.
//
// A table that outgrows the caches answers after one miss. The caller asks in batches and calls
// prefetch() for each state first, so that the misses of a batch overlap.
#pragma once

#include <atomic>
#include <span>

#include "base/types.h"
#include "linux/table_memory.h"

namespace verso::check::explore {

struct Fingerprint {
    u64 key = 0;   ///< never 0
    u64 rest = 0;  ///< never 0
    friend bool operator==(const Fingerprint&, const Fingerprint&) = default;
};
Fingerprint fingerprint_of(std::span<const u64> words);

class Visited {
public:
    static constexpr u64 slot_bytes = 16;
    static constexpr u64 capacity_min = u64{1} << 18;

    explicit Visited(u64 capacity = capacity_min);

    void prefetch(const Fingerprint& state) const {
        __builtin_prefetch(&slots_[state.key & mask_], 1);
    }
    /// True: it was not there. `alone`: no other thread adds at the same time.
    bool add(const Fingerprint& state, bool alone);

    u64 capacity() const { return mask_ + 1; }
    u64 bytes() const { return capacity() * slot_bytes; }
    /// All that is in it, in a table of twice the size or more.
    void grow(u64 capacity);
    /// Of every slot, for a checkpoint.
    template <class Visit>
    void for_each(Visit visit) const {
        for (u64 i = 0; i <= mask_; ++i) {
            const u64 key = slots_[i].key.load(std::memory_order_relaxed);
            if (key != 0) {
                visit(Fingerprint{key, slots_[i].rest.load(std::memory_order_relaxed)});
            }
        }
    }

private:
    struct Slot {
        std::atomic<u64> key;
        std::atomic<u64> rest;  // written after the key
    };
    static Slot* slots_in(const host::TableMemory& memory) {
        return static_cast<Slot*>(memory.data());
    }
    static host::TableMemory allocate(u64 capacity);

    u64 mask_;
    host::TableMemory memory_;
    Slot* slots_;  // in it
};

}  // namespace verso::check::explore
