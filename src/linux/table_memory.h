// TableMemory: zeroed memory for a large table that is asked at random, on huge pages where the
// machine has them: with small ones every question would miss the TLB as well as the cache.
#pragma once

#include <utility>

#include "base/result.h"
#include "base/types.h"

namespace verso::host {

class TableMemory {
public:
    static Result<TableMemory> of(u64 bytes);

    TableMemory(TableMemory&& other) noexcept
        : memory_(std::exchange(other.memory_, nullptr)), bytes_(other.bytes_) {}
    TableMemory& operator=(TableMemory&& other) noexcept {
        std::swap(memory_, other.memory_);
        std::swap(bytes_, other.bytes_);
        return *this;
    }
    ~TableMemory();

    void* data() const { return memory_; }
    u64 bytes() const { return bytes_; }

private:
    TableMemory(void* memory, u64 bytes) : memory_(memory), bytes_(bytes) {}
    void* memory_;
    u64 bytes_;
};

}  // namespace verso::host
