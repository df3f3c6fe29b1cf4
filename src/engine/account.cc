// What a region says about itself: counters, memory by the kernel's own figures, damage, a
// description.
#include <algorithm>
#include <array>

#include "abi/abi.h"
#include "engine/region.h"

namespace verso::engine {

using kernel::Call;
using kernel::Outcome;
using kernel::Payload;

RegionStats Region::stats() const {
    RegionStats stats;
    stats.write_faults = count_.write_faults.load();
    stats.pages_captured = count_.captured.load();
    stats.pages_revoked = count_.revoked.load();
    stats.fill_faults = count_.fills.load();
    stats.pages_mapped = count_.mapped.load();
    stats.pages_copied = count_.copied.load();
    stats.faults_retried = count_.retried.load();
    stats.granule_bytes = to_bytes(granule_);
    return stats;
}

/// Once, when it asks for its first page. Those that have gone make room.
void Region::list_child(const FillTarget& target) {
    if (target.counts->listed.load(std::memory_order_relaxed) ||
        target.counts->listed.exchange(true)) {
        return;
    }
    Locked lock(*damage_mutex_);
    std::erase_if(fed_, [](const std::weak_ptr<FillCounts>& one) { return one.expired(); });
    fed_.push_back(target.counts);
}

std::vector<ChildStats> Region::children() const {
    std::vector<ChildStats> all;
    const auto add = [&all](const FillCounts& counts) {
        all.push_back({counts.name, counts.faults.load(), counts.mapped.load(),
                       counts.copied.load(), counts.empty.load()});
    };
    if (filler_ != nullptr) {
        add(*target_.counts);
    }
    Locked lock(*damage_mutex_);
    for (const std::weak_ptr<FillCounts>& one : fed_) {
        if (const std::shared_ptr<FillCounts> counts = one.lock()) {
            add(*counts);
        }
    }
    return all;
}

Result<MemoryReport> Region::memory() const {
    MemoryReport report;
    if (alias_.valid()) {
        const Outcome used = kernel_.perform(Call::file_used(live_.get()));
        if (!used.ok()) {
            return refuse(used, "asking how much memory the region holds");
        }
        report.live_bytes = static_cast<u64>(used.value);
    }
    report.frozen_bytes = frozen_.used_bytes();
    if (local_) {
        kernel::Usage usage;
        const Outcome read =
            kernel_.perform(Call::memory_usage(base_, to_bytes(pages_)), Payload{.usage = &usage});
        if (!read.ok()) {
            return refuse(read, "reading the mapping's memory figures");
        }
        report.private_bytes = usage.anonymous;
        report.shared_bytes = usage.rss - usage.anonymous;
        report.pss_bytes = usage.pss;
    }
    report.metadata_bytes = frozen_.ledger().used_bytes() + open_.bytes() + exposed_.bytes() +
                            rewound_.bytes() + target_.served.bytes() + filled_.bytes() +
                            marks_.bytes();
    return report;
}

std::string Region::damage() const {
    Locked lock(*damage_mutex_);
    return damage_;
}

std::string Region::describe() const {
    if (backend() == Backend::mprotect_segv) {
        return "mprotect + SIGSEGV: works without privilege, in this process only; system calls "
               "that write "
               "into protected pages fail with EFAULT, and every island of written pages takes a "
               "VMA";
    }
    if (tracking_ == Tracking::pages) {
        return "userfaultfd async write-protection with PAGEMAP_SCAN: pages only, no thread, about "
               "1 µs a "
               "first write";
    }
    if (kernel_.abilities().user_mode_only) {
        return "userfaultfd write-protection, user mode only (vm.unprivileged_userfaultfd=0 and no "
               "privilege): system calls that write into protected pages fail with EFAULT; see "
               "`verso doctor`";
    }
    return "userfaultfd write-protection: contents kept, served by a thread, about 10 µs a first "
           "write";
}

/// Pages that were lost to a snapshot are that snapshot's loss; the next one is whole again.
Result<void> Region::still_tracked() const {
    wait_for_layout();
    {
        Locked lock(*damage_mutex_);
        if (mapping_gone_) {
            return fail(ErrorKind::damaged, 0, "{}", damage_);
        }
    }
    return still_lent();
}

/// Whoever pushes a layer or overwrites pages asks this after doing so, or under the stripe: the
/// end of a loan (attach.cc) sets the flag first and goes through all pages afterwards, so either
/// sees the other.
Result<void> Region::still_lent() const {
    Locked lock(*damage_mutex_);
    if (loan_ended_) {
        return fail(ErrorKind::damaged, 0,
                    "region '{}': the lender took its memory back; lend and attach it again to "
                    "track it",
                    name_);
    }
    return {};
}

/// Goes through a layer's pages that are not stored yet, 64 at a time, so that no writer waits
/// long (H8). Without `everything`, only a child's own pages matter: they exist nowhere but in its
/// memory, and a page that is protected cannot change between being classified and being stored
/// (H20).
Result<void> Region::settle_layer(Layer& layer, bool everything) {
    constexpr u64 batch = 64;
    if (origin_ != Origin::child && !everything) {
        return {};
    }
    std::vector<u64> entries(batch);
    for (u64 first = 0; first < pages_; first += batch) {
        const u64 count = std::min(batch, pages_ - first);
        const Stripes::One held(stripes_, first);
        if (!everything) {
            const Outcome read = kernel_.perform(
                Call::pagemap_read(base_ + to_bytes(first), to_bytes(count)),
                Payload{.out = std::as_writable_bytes(std::span(entries).first(count))});
            if (!read.ok()) {
                return refuse(read, fmt::format("reading the page map of region '{}'", name_));
            }
            wait_for_reader();  // a page may look inherited because it was discarded just now
            lose_going_held(first, count);
        }
        for (u64 at = 0; at < count; ++at) {
            const bool wanted = everything || abi::is_private_copy(entries[at]);
            if (wanted && frozen_.holder(layer, first + at) == nullptr) {
                const Outcome stored = store_own(layer, first + at, 1);
                if (!stored.ok()) {
                    return refuse(stored,
                                  fmt::format("storing page {} of a snapshot of region '{}'",
                                              first + at, name_));
                }
                count_.captured.fetch_add(1, std::memory_order_relaxed);
            }
        }
    }
    const u64 lost = layer.lost.next_set(0);
    if (lost < pages_) {
        return fail(ErrorKind::damaged, 0, "page {} of the snapshot could not be stored", lost);
    }
    return {};
}

std::vector<Level> Region::levels_of(const Layer& layer) {
    std::vector<Level> levels{Level{layer.seq, layer.slot, frozen_.fd(), frozen_.ledger().fd(),
                                    origin_ == Origin::child ? -1 : live_.get(), -1}};
    if (filler_ != nullptr) {
        const std::vector<Level> above = filler_->levels();
        levels.insert(levels.end(), above.begin(), above.end());
    }
    return levels;
}

}  // namespace verso::engine
