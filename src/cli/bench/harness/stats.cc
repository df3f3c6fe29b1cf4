// Quantiles by sorting for the few samples of a row, by buckets for the millions of a writer.
#include "cli/bench/harness/stats.h"

#include <algorithm>
#include <bit>
#include <cmath>

namespace verso::cli::bench {

namespace {

double quantile_of_sorted(const std::vector<double>& sorted, double q) {
    if (sorted.empty())
        return 0;
    const double place = std::clamp(q, 0.0, 1.0) * static_cast<double>(sorted.size() - 1);
    const auto below = static_cast<std::size_t>(place);
    const std::size_t above = std::min(below + 1, sorted.size() - 1);
    const double share = place - static_cast<double>(below);
    return sorted[below] + (sorted[above] - sorted[below]) * share;
}

}  // namespace

double quantile(std::vector<double> samples, double q) {
    std::sort(samples.begin(), samples.end());
    return quantile_of_sorted(samples, q);
}

double ratio_of(double a, double b) { return b > 0 ? a / b : 0; }

Tail tail_of(const std::vector<double>& samples) {
    std::vector<double> sorted = samples;
    std::sort(sorted.begin(), sorted.end());
    return {quantile_of_sorted(sorted, 0.5), quantile_of_sorted(sorted, 0.99),
            quantile_of_sorted(sorted, 0.999), sorted.empty() ? 0 : sorted.back(), sorted.size()};
}

// Bucket numbers: values below 16 have a bucket each; above, the octave and the next four bits.
//      value 0b1'0110'xxxx  →  octave 8, sub-bucket 0110
std::size_t Histogram::bucket_of(u64 ns) {
    constexpr u64 subs = u64{1} << sub_bits;
    if (ns < subs)
        return ns;
    const unsigned top = static_cast<unsigned>(std::bit_width(ns)) - 1;
    const u64 octave = top - sub_bits + 1;
    const u64 sub = (ns >> (top - sub_bits)) & (subs - 1);
    return std::min<std::size_t>((octave << sub_bits) + sub, bucket_count - 1);
}

u64 Histogram::upper_edge(std::size_t bucket) {
    constexpr u64 subs = u64{1} << sub_bits;
    if (bucket < subs)
        return bucket;
    const u64 octave = bucket >> sub_bits;
    const u64 sub = bucket & (subs - 1);
    return ((subs + sub + 1) << (octave - 1)) - 1;
}

void Histogram::merge(const Histogram& other) {
    for (std::size_t i = 0; i < bucket_count; ++i)
        buckets_[i] += other.buckets_[i];
    count_ += other.count_;
    max_ = std::max(max_, other.max_);
}

u64 Histogram::quantile(double q) const {
    if (count_ == 0)
        return 0;
    const auto wanted =
        static_cast<u64>(std::ceil(std::clamp(q, 0.0, 1.0) * static_cast<double>(count_)));
    u64 seen = 0;
    for (std::size_t i = 0; i < bucket_count; ++i) {
        seen += buckets_[i];
        if (seen < std::max<u64>(wanted, 1))
            continue;
        // The last bucket also holds whatever is longer than all buckets.
        return i + 1 < bucket_count ? std::min(upper_edge(i), max_) : max_;
    }
    return max_;
}

Tail Histogram::tail() const {
    const auto at = [this](double q) { return static_cast<double>(quantile(q)); };
    return {at(0.5), at(0.99), at(0.999), static_cast<double>(max_), count_};
}

}  // namespace verso::cli::bench
