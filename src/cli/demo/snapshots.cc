// The pace of snapshots. See snapshots.h.
#include "cli/demo/snapshots.h"

#include <algorithm>
#include <thread>

#include <fmt/format.h>

#include "base/result.h"

namespace verso::cli {
namespace {

constexpr std::size_t alive_wanted = 6;
constexpr std::size_t slice_bytes = std::size_t{2} << 20;

void sleep_until_ns(u64 deadline) {
    const u64 now = now_ns();
    if (now < deadline) {
        std::this_thread::sleep_for(std::chrono::nanoseconds(deadline - now));
    }
}

}  // namespace

Result<void> SnapshotRun::run(const Work& work, const Progress& progress) {
    const u64 interval = u64{work.interval_ms} * 1'000'000;
    const u64 begin = now_ns();
    for (unsigned at = 0; at < work.snapshots; ++at) {
        if (at > 0) {
            if (auto hashed = hash_until(begin + at * interval); !hashed) {
                return hashed;
            }
            sleep_until_ns(begin + at * interval);
        }
        const u64 committed = writer_.committed();
        if (auto taken = take(); !taken) {
            return pass(taken, fmt::format("snapshot {}", at + 1));
        }
        const SnapshotFigures& figures = side_.snapshots.back();
        progress(fmt::format(
            "{}: snapshot {} of {}: {:.2f} ms; {} alive; the writer committed {}", side_.name,
            at + 1, work.snapshots, static_cast<double>(figures.arm_ns) / 1e6, alive_.size(),
            at == 0 ? committed : committed - side_.snapshots[at - 1].committed_after));
        release_one_if_many();
    }
    if (auto hashed = finish_hash(); !hashed) {
        return hashed;
    }
    side_.checks.push_back({fmt::format("{} snapshots, {} ms apart, released in mixed order",
                                        work.snapshots, work.interval_ms),
                            side_.alive_most >= std::min<std::size_t>(work.snapshots, 4),
                            fmt::format("up to {} alive at once", side_.alive_most)});
    return {};
}

Result<void> SnapshotRun::take() {
    const u64 before = writer_.committed();
    phases_.open_window();
    auto figures = contender_.take_snapshot();
    phases_.close_window();
    if (!figures) {
        return pass(figures);
    }
    figures->committed_before = before;
    figures->committed_after = writer_.committed();
    alive_.push_back(static_cast<unsigned>(side_.snapshots.size()));
    side_.snapshots.push_back(*figures);
    side_.alive_most = std::max(side_.alive_most, static_cast<unsigned>(alive_.size()));
    return {};
}

void SnapshotRun::release(std::size_t place) {
    const unsigned snapshot = alive_[place];
    SnapshotFigures& figures = side_.snapshots[snapshot];
    contender_.release(snapshot, figures);
    figures.released_after = side_.snapshots.size();
    alive_.erase(alive_.begin() + static_cast<std::ptrdiff_t>(place));
}

void SnapshotRun::release_one_if_many() {
    if (alive_.size() <= alive_wanted) {
        return;
    }
    // Place 0 is the first snapshot, which stays. In turn: the oldest other, the newest but one,
    // the middle.
    const std::size_t places[] = {1, alive_.size() - 2, alive_.size() / 2};
    release(places[side_.snapshots.size() % 3]);
}

void SnapshotRun::release_rest() {
    while (alive_.size() > 1) {
        release(1 + alive_.size() % (alive_.size() - 1));
    }
}

Result<void> SnapshotRun::hash_until(u64 deadline_ns) {
    // Not inside a snapshot's window: there the writer alone is to be looked at.
    sleep_until_ns(std::min(deadline_ns, now_ns() + window_after_ns));
    while (now_ns() + 2'000'000 < deadline_ns) {
        if (first_.empty()) {
            auto bytes = contender_.first_bytes();
            if (!bytes) {
                return pass(bytes, "reading the first snapshot");
            }
            first_ = *bytes;
        }
        if (first_.empty() || hashed_ == first_.size()) {
            return {};
        }
        const std::size_t count = std::min(slice_bytes, first_.size() - hashed_);
        hasher_.add(first_.subspan(hashed_, count));
        hashed_ += count;
    }
    return {};
}

Result<void> SnapshotRun::finish_hash() {
    while (first_.empty() || hashed_ < first_.size()) {
        if (auto hashed = hash_until(now_ns() + window_after_ns + 100'000'000); !hashed) {
            return hashed;
        }
    }
    return {};
}

}  // namespace verso::cli
