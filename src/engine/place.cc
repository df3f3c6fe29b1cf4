// Putting pages into a child's mapping: see the header.
#include "engine/place.h"

#include <algorithm>
#include <array>

namespace verso::engine::place {

using kernel::Call;
using kernel::FillFlag;
using kernel::Outcome;
using kernel::Verdict;

namespace {
constexpr unsigned wakes_max = 3;  // a range that has gone will not come back
constexpr u64 holes_max = 4;       // give up reading ahead in a sparse region
alignas(page_size) constexpr std::array<std::byte, page_size> zeroes{};

u64 fill_flags(const FillTarget& target) {
    return target.protect.load(std::memory_order_acquire) ? u64{FillFlag::write_protect} : 0;
}

/// What a filling call's answer means for the loop around it.
enum class Next { go_on, hole, without_continue, stop };

/// A run of pages that is being filled, call by call.
struct Progress {
    u64 at = 0;
    u64 end = 0;
    u64 placed = 0;
    u64 bytes_left() const { return to_bytes(end - at); }
};

void put(FillTarget& target, Progress& progress, u64 count) {
    target.served->set_range(progress.at, count);
    progress.at += count;
    progress.placed += count;
}

/// Books what a call for [at, end) has done, and says how to go on.
Next take_in(kernel::Kernel& kernel, FillTarget& target, const Outcome& outcome,
             Progress& progress) {
    switch (outcome.verdict) {
        case Verdict::done: put(target, progress, progress.end - progress.at); return Next::go_on;
        case Verdict::partial:
            put(target, progress, to_pages(static_cast<u64>(outcome.value)));
            return Next::go_on;
        case Verdict::exists:  // it is there; who waits for it may still sleep (H1)
            wake(kernel, target, progress.at, 1);
            target.served->set(progress.at);
            ++progress.at;
            return Next::go_on;
        case Verdict::interrupted: return Next::go_on;
        case Verdict::no_page: return Next::hole;
        case Verdict::invalid: return Next::without_continue;  // CONTINUE learnt to protect in 6.4
        case Verdict::layout_changing:  // the fault comes again once the event is read (H2)
        case Verdict::no_memory:        // likewise; the kernel's own fault path would retry too
        case Verdict::no_such_range:    // the child unmapped it
        case Verdict::target_gone:
        case Verdict::would_block:
        case Verdict::no_descriptors:
        case Verdict::denied:
        case Verdict::busy:
        case Verdict::unsupported:
        case Verdict::closed:
        case Verdict::timed_out:
        case Verdict::signal:
        case Verdict::other: return Next::stop;
    }
    return Next::stop;
}

/// Where the child is protected, an absent page has a mark that says so, and poison does not
/// replace it ("exists"), as filling does. The mark can go: nobody will ever write here.
Outcome poison_one(kernel::Kernel& kernel, const FillTarget& target, u64 page) {
    const Call poisoning = Call::uffd_poison(target.uffd, target.address(page), page_size);
    const Outcome poisoned = kernel.perform(poisoning);
    if (poisoned.verdict != Verdict::exists || !target.protect.load(std::memory_order_acquire)) {
        return poisoned;
    }
    const Outcome cleared = kernel.perform(
        Call::uffd_write_protect(target.uffd, target.address(page), page_size, false));
    return cleared.ok() ? kernel.perform(poisoning) : cleared;
}

}  // namespace

void wake(kernel::Kernel& kernel, const FillTarget& target, u64 first, u64 count) {
    for (unsigned tries = 0; tries < wakes_max; ++tries) {
        const Outcome outcome =
            kernel.perform(Call::uffd_wake(target.uffd, target.address(first), to_bytes(count)));
        if (outcome.ok()) {
            return;
        }
    }
}

/// Without UFFDIO_POISON whoever reads would only be woken to ask again, for ever. Taking the
/// page's access away is what can be done in one step and from the reader's own thread: mapping
/// something else over it would be an event that this very thread has to read, and unregistering
/// it first would show the base file's page for a moment.
void poison(kernel::Kernel& kernel, const FillTarget& target, u64 page) {
    if (kernel.abilities().poison) {
        if (!poison_one(kernel, target, page).ok()) {
            wake(kernel, target, page, 1);  // it will ask again, or find that it is done
        }
        return;
    }
    if (target.tell_lost) {
        target.tell_lost(page);  // mappings are the business of the process that has them
        return;
    }
    (void)kernel.perform(Call::protect(target.address(page), page_size, 0));
    wake(kernel, target, page, 1);
}

u64 copies(kernel::Kernel& kernel, FillTarget& target, u64 first,
           std::span<const std::byte> bytes) {
    const u64 from = reinterpret_cast<u64>(bytes.data());  // NOLINT
    Progress progress{.at = first, .end = first + to_pages(bytes.size())};
    while (progress.at < progress.end) {
        const Outcome outcome = kernel.perform(
            Call::uffd_copy(target.uffd, target.address(progress.at), progress.bytes_left(),
                            from + to_bytes(progress.at - first), fill_flags(target)));
        if (take_in(kernel, target, outcome, progress) != Next::go_on) {
            wake(kernel, target, progress.at, 1);
            break;
        }
    }
    target.counts->copied.fetch_add(progress.placed, std::memory_order_relaxed);
    return progress.placed;
}

u64 contents(kernel::Kernel& kernel, FillTarget& target, u64 first,
             std::span<const std::byte> bytes) {
    const auto is_zero = [&](u64 page) {
        return std::ranges::equal(bytes.subspan(to_bytes(page), page_size), zeroes);
    };
    const u64 count = to_pages(bytes.size());
    u64 placed = 0;
    for (u64 at = 0; at < count;) {
        const bool zero = fill_flags(target) == 0 && is_zero(at);
        u64 end = at + 1;
        while (end < count && zero == (fill_flags(target) == 0 && is_zero(end))) {
            ++end;
        }
        const u64 done = zero ? zero_pages(kernel, target, first + at, end - at) : 0;
        placed += done;
        if (done < end - at) {  // what is there already is woken, what zeroes cannot do is copied
            placed +=
                copies(kernel, target, first + at, bytes.subspan(to_bytes(at), to_bytes(end - at)));
        }
        at = end;
    }
    return placed;
}

Mapped base_pages(kernel::Kernel& kernel, FillTarget& target, u64 first, u64 count, u64 wanted) {
    Mapped mapped;
    Progress progress{.at = first, .end = first + count};
    u64 holes = 0;
    while (progress.at < progress.end) {
        const Outcome outcome = kernel.perform(Call::uffd_continue(
            target.uffd, target.address(progress.at), progress.bytes_left(), fill_flags(target)));
        const Next next = take_in(kernel, target, outcome, progress);
        if (next == Next::go_on) {
            continue;
        }
        if (next == Next::hole) {  // never written, in a region that is sparse (H26)
            mapped.not_found = mapped.not_found || progress.at == wanted;
            ++progress.at;
            if (++holes <= holes_max) {
                continue;
            }
        } else if (next == Next::without_continue) {
            mapped.cannot_protect = true;
        } else {
            wake(kernel, target, wanted, 1);
        }
        break;
    }
    mapped.pages = progress.placed;
    target.counts->mapped.fetch_add(progress.placed, std::memory_order_relaxed);
    return mapped;
}

u64 zero_pages(kernel::Kernel& kernel, FillTarget& target, u64 first, u64 count) {
    Progress progress{.at = first, .end = first + count};
    while (progress.at < progress.end && fill_flags(target) == 0) {
        const Outcome outcome = kernel.perform(
            Call::uffd_zeropage(target.uffd, target.address(progress.at), progress.bytes_left()));
        if (take_in(kernel, target, outcome, progress) != Next::go_on) {
            break;  // the pages' own faults will be served one by one
        }
    }
    target.counts->empty.fetch_add(progress.placed, std::memory_order_relaxed);
    return progress.placed;
}

}  // namespace verso::engine::place
