// Visited: see the header.
#include "check/explore/visited.h"

#include <utility>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/check.h"

namespace verso::check::explore {

Fingerprint fingerprint_of(std::span<const u64> words) {
    if (words.size() == 1) {  // a whole state in one word: mixed, and nothing is lost
        u64 mixed = words[0] + 0x9e3779b97f4a7c15;
        mixed = (mixed ^ (mixed >> 32)) * 0xd6e8feb86659fd93;
        mixed ^= mixed >> 32;
        return {mixed == 0 ? 1 : mixed, words[0] == 0 ? 1 : words[0] + 1};
    }
    const XXH128_hash_t hash = XXH3_128bits(words.data(), words.size_bytes());
    return {hash.low64 == 0 ? 1 : hash.low64, hash.high64 == 0 ? 1 : hash.high64};
}

/// Fresh memory is zero: every slot is free.
host::TableMemory Visited::allocate(u64 capacity) {
    static_assert(sizeof(Slot) == slot_bytes && std::atomic<u64>::is_always_lock_free);
    VERSO_CHECK(capacity >= capacity_min && (capacity & (capacity - 1)) == 0, "capacity {}",
                capacity);
    Result<host::TableMemory> memory = host::TableMemory::of(capacity * slot_bytes);
    VERSO_CHECK(memory.has_value(), "{}", memory.error().message);
    return std::move(*memory);
}

Visited::Visited(u64 capacity)
    : mask_(capacity - 1), memory_(allocate(capacity)), slots_(slots_in(memory_)) {}

bool Visited::add(const Fingerprint& state, bool alone) {
    for (u64 at = state.key & mask_;; at = (at + 1) & mask_) {
        Slot& slot = slots_[at];
        u64 found = slot.key.load(std::memory_order_relaxed);
        if (found == 0) {
            if (alone) {
                slot.key.store(state.key, std::memory_order_relaxed);
                slot.rest.store(state.rest, std::memory_order_relaxed);
                return true;
            }
            if (slot.key.compare_exchange_strong(found, state.key, std::memory_order_relaxed)) {
                slot.rest.store(state.rest, std::memory_order_relaxed);
                return true;
            }
        }
        if (found == state.key) {
            u64 rest = slot.rest.load(std::memory_order_relaxed);
            while (rest == 0) {  // whoever took the slot is about to write it
                rest = slot.rest.load(std::memory_order_relaxed);
            }
            if (rest == state.rest) {
                return false;
            }
        }
    }
}

void Visited::grow(u64 capacity) {
    Visited larger(capacity);
    constexpr u64 ahead = 16;
    for (u64 i = 0; i <= mask_; ++i) {
        if (i + ahead <= mask_) {
            larger.prefetch({slots_[i + ahead].key.load(std::memory_order_relaxed), 0});
        }
        const u64 key = slots_[i].key.load(std::memory_order_relaxed);
        if (key != 0) {
            larger.add({key, slots_[i].rest.load(std::memory_order_relaxed)}, true);
        }
    }
    std::swap(mask_, larger.mask_);
    std::swap(memory_, larger.memory_);
    std::swap(slots_, larger.slots_);
}

}  // namespace verso::check::explore
