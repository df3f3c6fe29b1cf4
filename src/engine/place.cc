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
enum class Next { advance, skip_one, hole, without_continue, again, stop };

Next next_after(const Outcome& outcome) {
    switch (outcome.verdict) {
        case Verdict::done:
        case Verdict::partial: return Next::advance;
        case Verdict::exists:
            return Next::skip_one;  // it is there; who waits for it may still sleep (H1)
        case Verdict::no_page: return Next::hole;
        case Verdict::invalid: return Next::without_continue;  // CONTINUE learnt to protect in 6.4
        case Verdict::interrupted: return Next::again;
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
        case Verdict::other: return Next::stop;
    }
    return Next::stop;
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

void poison(kernel::Kernel& kernel, const FillTarget& target, u64 page) {
    const Outcome poisoned =
        kernel.perform(Call::uffd_poison(target.uffd, target.address(page), page_size));
    if (!poisoned.ok()) {
        wake(kernel, target, page, 1);
    }
}

u64 copies(kernel::Kernel& kernel, FillTarget& target, u64 first,
           std::span<const std::byte> bytes) {
    u64 placed = 0;
    const u64 end = first + to_pages(bytes.size());
    u64 at = first;
    while (at < end) {
        const u64 source = reinterpret_cast<u64>(bytes.data()) + to_bytes(at - first);  // NOLINT
        const Outcome outcome = kernel.perform(Call::uffd_copy(
            target.uffd, target.address(at), to_bytes(end - at), source, fill_flags(target)));
        switch (next_after(outcome)) {
            case Next::advance: {
                const u64 done =
                    outcome.ok() ? end - at : to_pages(static_cast<u64>(outcome.value));
                target.served->set_range(at, done);
                at += done;
                placed += done;
                break;
            }
            case Next::skip_one:
                wake(kernel, target, at, 1);
                target.served->set(at);
                ++at;
                break;
            case Next::again: break;
            case Next::hole:
            case Next::without_continue:
            case Next::stop: wake(kernel, target, at, 1); return placed;
        }
    }
    return placed;
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
    const u64 end = first + count;
    u64 at = first;
    u64 holes = 0;
    while (at < end) {
        const Outcome outcome = kernel.perform(Call::uffd_continue(
            target.uffd, target.address(at), to_bytes(end - at), fill_flags(target)));
        switch (next_after(outcome)) {
            case Next::advance: {
                const u64 done =
                    outcome.ok() ? end - at : to_pages(static_cast<u64>(outcome.value));
                target.served->set_range(at, done);
                mapped.pages += done;
                at += done;
                break;
            }
            case Next::skip_one:
                wake(kernel, target, at, 1);
                target.served->set(at);
                ++at;
                break;
            case Next::hole:  // never written, in a region that is sparse (H26)
                mapped.not_found = mapped.not_found || at == wanted;
                ++at;
                if (++holes > holes_max) {
                    return mapped;
                }
                break;
            case Next::without_continue: mapped.cannot_protect = true; return mapped;
            case Next::again: break;
            case Next::stop: wake(kernel, target, wanted, 1); return mapped;
        }
    }
    return mapped;
}

u64 zero_pages(kernel::Kernel& kernel, FillTarget& target, u64 first, u64 count) {
    u64 placed = 0;
    const u64 end = first + count;
    for (u64 at = first; at < end && fill_flags(target) == 0;) {
        const Outcome outcome = kernel.perform(
            Call::uffd_zeropage(target.uffd, target.address(at), to_bytes(end - at)));
        switch (next_after(outcome)) {
            case Next::advance: {
                const u64 done =
                    outcome.ok() ? end - at : to_pages(static_cast<u64>(outcome.value));
                target.served->set_range(at, done);
                placed += done;
                at += done;
                break;
            }
            case Next::skip_one:
                wake(kernel, target, at, 1);
                ++at;
                break;
            case Next::again: break;
            case Next::hole:
            case Next::without_continue:
            case Next::stop: return placed;  // the pages' own faults will be served one by one
        }
    }
    return placed;
}

}  // namespace verso::engine::place
