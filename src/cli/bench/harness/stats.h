// Arithmetic over samples: medians, percentiles, tails. No sample is ever dropped as an outlier;
// where noise matters the median is used for the verdict and the tail is printed beside it.
#pragma once

#include <array>
#include <cstddef>
#include <vector>

#include "base/types.h"

namespace verso::cli::bench {

/// The q-th quantile (0 ≤ q ≤ 1) by linear interpolation between neighbours; 0 for no samples.
double quantile(std::vector<double> samples, double q);
inline double median(const std::vector<double>& samples) { return quantile(samples, 0.5); }

/// a / b; 0 if b is not positive, so that a row without a measurement can never look good or bad.
double ratio_of(double a, double b);

/// What is said of a distribution with a tail. Times in nanoseconds.
struct Tail {
    double p50 = 0;
    double p99 = 0;
    double p999 = 0;
    double max = 0;
    u64 count = 0;
};
Tail tail_of(const std::vector<double>& samples);

/// Counts durations from 1 ns to 18 minutes in buckets 1/16 of an octave wide (error ≤ 6.25 %),
/// with the exact maximum beside them. A writer adds to it ten million times a second, so there is
/// no allocation and no lock: one thread adds, others read once it has stopped.
class Histogram {
public:
    void add(u64 ns) {
        ++buckets_[bucket_of(ns)];
        ++count_;
        if (ns > max_)
            max_ = ns;
    }
    void merge(const Histogram& other);
    u64 count() const { return count_; }
    u64 max() const { return max_; }
    /// Upper edge of the bucket that holds the q-th quantile, never above max().
    u64 quantile(double q) const;
    Tail tail() const;

    static constexpr unsigned sub_bits = 4;
    static constexpr unsigned octaves = 40;
    static constexpr std::size_t bucket_count = (octaves + 1) << sub_bits;
    static std::size_t bucket_of(u64 ns);
    static u64 upper_edge(std::size_t bucket);

private:
    std::array<u64, bucket_count> buckets_{};
    u64 count_ = 0;
    u64 max_ = 0;
};

}  // namespace verso::cli::bench
