// Sums over the workers of a search: see the header.
#include "check/explore/tally.h"

#include <algorithm>
#include <tuple>

namespace verso::check::explore {
namespace {

bool before(const Finding& one, const Finding& two) {
    const auto key = [](const Finding& f) {
        return std::tuple(f.depth, f.origin.parent, f.origin.label.act, f.origin.label.variant);
    };
    return key(one) < key(two);
}

}  // namespace

Tally::Tally() {
    mattered.times.resize(mm::switches().size());
    mattered.first_depth.resize(mm::switches().size());
}

void Tally::add(const ModelWorker& worker) {
    outside += worker.outside();
    tried += worker.tried();
    const Mattered& more = worker.mattered();
    mattered.asked += more.asked;
    for (std::size_t i = 0; i < more.times.size(); ++i) {
        unsigned& first = mattered.first_depth[i];
        mattered.times[i] += more.times[i];
        if (more.times[i] != 0 && (first == 0 || more.first_depth[i] < first)) {
            first = more.first_depth[i];
        }
    }
    // The same kind of finding by two workers is one.
    for (const auto& [kind, finding] : worker.found()) {
        const auto [at, is_new] = found.try_emplace(kind, finding);
        if (is_new) {
            continue;
        }
        const u64 times = at->second.times + finding.times;
        if (before(finding, at->second)) {
            at->second = finding;
        }
        at->second.times = times;
    }
}

std::vector<Finding> Tally::in_order() const {
    std::vector<Finding> all;
    all.reserve(found.size());
    for (const auto& [kind, finding] : found) {
        all.push_back(finding);
    }
    std::ranges::stable_sort(all, before);
    return all;
}

}  // namespace verso::check::explore
