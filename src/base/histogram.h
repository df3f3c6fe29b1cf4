// Times in logarithmic buckets, 32 to each doubling (3 % wide): fixed size, no allocation in the
// hot path, and the maximum exact. One thread fills it; others read it when that thread has ended.
#pragma once

#include <algorithm>
#include <array>
#include <bit>

#include "base/types.h"

namespace verso {

struct Latency {
    u64 count = 0;
    u64 total_ns = 0;
    u64 p50_ns = 0;
    u64 p99_ns = 0;
    u64 p999_ns = 0;
    u64 max_ns = 0;
};

class Histogram {
public:
    void add(u64 ns) {
        ++buckets_[bucket(ns)];
        ++count_;
        total_ += ns;
        max_ = std::max(max_, ns);
    }
    void add(const Histogram& other) {
        for (unsigned at = 0; at < bucket_count; ++at) {
            buckets_[at] += other.buckets_[at];
        }
        count_ += other.count_;
        total_ += other.total_;
        max_ = std::max(max_, other.max_);
    }
    Latency figures() const {
        return {count_, total_, quantile(0.5), quantile(0.99), quantile(0.999), max_};
    }
    /// The least bucket boundary that a share `q` of the samples does not exceed.
    u64 quantile(double q) const {
        const auto rank = static_cast<u64>(static_cast<double>(count_) * q);
        u64 seen = 0;
        for (unsigned at = 0; at < bucket_count; ++at) {
            seen += buckets_[at];
            if (seen > rank) {
                return std::min(upper(at), max_);
            }
        }
        return max_;
    }

private:
    static constexpr unsigned fine_bits = 5;
    static constexpr unsigned fine = 1U << fine_bits;
    static constexpr unsigned bucket_count = (64 - fine_bits + 1) * fine;

    static unsigned bucket(u64 ns) {
        if (ns < fine) {
            return static_cast<unsigned>(ns);
        }
        const auto shift = static_cast<unsigned>(std::bit_width(ns)) - fine_bits - 1;
        return (shift + 1) * fine + static_cast<unsigned>(ns >> shift) - fine;
    }
    static u64 upper(unsigned at) {
        if (at < 2 * fine) {
            return at;
        }
        const unsigned shift = at / fine - 1;
        return ((u64{at % fine} + fine + 1) << shift) - 1;
    }

    std::array<u64, bucket_count> buckets_{};
    u64 count_ = 0;
    u64 total_ = 0;
    u64 max_ = 0;
};

}  // namespace verso
