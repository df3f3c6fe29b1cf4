// XXH3 with 128 bits over memory, a slice at a time, so that hashing a whole snapshot need not hold
// up what else is to happen at its time.
#pragma once

#include <memory>
#include <span>

#include "base/types.h"

namespace verso::cli {

struct Hash {
    u64 high = 0;
    u64 low = 0;
    friend bool operator==(const Hash&, const Hash&) = default;
};

class Hasher {
public:
    Hasher();
    ~Hasher();
    void add(std::span<const std::byte> bytes);
    Hash result() const;

private:
    struct State;
    std::unique_ptr<State> state_;
};

Hash hash_of(std::span<const std::byte> bytes);

}  // namespace verso::cli
