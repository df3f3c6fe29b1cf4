// Mappings: what linux/memory_calls.cc does, and what /proc/self/smaps says.
#include <algorithm>
#include <cerrno>

#include "mm/sim/sim_world.h"

namespace verso::mm::sim {
namespace {

u32 map_flags(u64 asked) {
    using kernel::MapFlag;
    static_assert(MapFlag::read == MapFlags::read && MapFlag::write == MapFlags::write &&
                  MapFlag::shared == MapFlags::shared && MapFlag::fixed == MapFlags::fixed);
    constexpr u64 same = MapFlag::read | MapFlag::write | MapFlag::shared | MapFlag::fixed;
    return static_cast<u32>(asked & same) |
           ((asked & MapFlag::no_fork) != 0 ? MapFlags::dont_fork : 0) |
           ((asked & MapFlag::droppable) != 0 ? MapFlags::droppable : 0);
}

u32 advice_of(u64 advice) {
    switch (static_cast<kernel::Advice>(advice)) {
        case kernel::Advice::drop: return static_cast<u32>(Advice::dontneed);
        case kernel::Advice::remove: return static_cast<u32>(Advice::remove);
        case kernel::Advice::no_huge_page: return static_cast<u32>(Advice::nohugepage);
        case kernel::Advice::make_writable: return static_cast<u32>(Advice::populate_write);
        case kernel::Advice::free: return static_cast<u32>(Advice::free);
        case kernel::Advice::cold: return static_cast<u32>(Advice::cold);
        case kernel::Advice::pageout: return static_cast<u32>(Advice::pageout);
        case kernel::Advice::collapse: return static_cast<u32>(Advice::collapse);
        case kernel::Advice::huge_page: return static_cast<u32>(Advice::hugepage);
        case kernel::Advice::mergeable: return static_cast<u32>(Advice::mergeable);
        case kernel::Advice::unmergeable: return static_cast<u32>(Advice::unmergeable);
        case kernel::Advice::populate_read: return static_cast<u32>(Advice::populate_read);
        case kernel::Advice::guard_install: return static_cast<u32>(Advice::guard_install);
        case kernel::Advice::guard_remove: return static_cast<u32>(Advice::guard_remove);
    }
    VERSO_CHECK(false, "no such advice: {}", advice);
    return 0;
}

/// How many entries map the page: its share in smaps' Pss.
u64 sharers(const State& state, PageId page) {
    return std::max<u64>(1, rmap_walk(state, page).size());
}

void add_page(const State& state, const Vma& vma, Vpn at, u8 space, kernel::Usage& usage) {
    const Entry entry = entry_at(state, space, at);
    // shmem's own slots count too (5.0: also those of private mappings).
    const bool file_slot = entry.none() && vma.file != nobody &&
                           vma.index(at) < state.files[vma.file].size &&
                           state.files[vma.file].cache[vma.index(at)].slot != no_slot;
    if (entry.maps_page()) {
        usage.rss += page_size;
        usage.pss += page_size / sharers(state, entry.target);
        usage.anonymous += state.pages[entry.target].use == PageUse::anonymous ? page_size : 0;
    } else if (entry.kind == EntryKind::swap || file_slot) {
        usage.swap += page_size;
    }
}

}  // namespace

bool SimKernel::is_free(u64 model, u64 length) {
    const Vpn start = static_cast<Vpn>(to_pages(model));
    const Vpn end = static_cast<Vpn>(to_pages(round_up(model + length, page_size)));
    return vmas_between(state(), space(), start, end).empty();
}

/// The model's file behind a mapping, nobody for anonymous memory; `error` says why there is none.
u8 SimKernel::backing_of(const kernel::Call& call, int& error) {
    if (call.fd >= 0) {
        const auto file = object<FileObject>(call.fd, ObjectKind::file);
        error = file == nullptr ? EBADF : 0;
        return file == nullptr ? nobody : file->file;
    }
    if ((call.aux & kernel::MapFlag::huge) == 0 || call.length == 0) {
        return nobody;
    }
    const u64 unit = state().shape.huge_pages;  // hugetlb_file_setup() rounds up
    const u64 pages = round_up(to_pages(call.length + page_size - 1), unit);
    if (pages > state().shape.space_pages) {
        error = ENOMEM;
        return nobody;
    }
    const u8 file = memory().make_file(FileKind::hugetlb, static_cast<u32>(pages));
    error = file == nobody ? ENFILE : 0;
    return file;
}

kernel::Outcome SimKernel::map(const kernel::Call& call) {
    using kernel::MapFlag;
    int error = 0;
    const u8 file = backing_of(call, error);
    if (error != 0) {
        return kernel::failure(error);
    }
    Call mmap{.op = Op::mmap, .fd = file, .flags = map_flags(call.aux)};
    mmap.length = call.length;
    mmap.extra = call.offset;
    const bool fixed = (call.aux & MapFlag::fixed) != 0;
    const bool demanded = call.address != 0 && !fixed;  // MAP_FIXED_NOREPLACE
    if (fixed || demanded) {
        mmap.address = model(call.address);
        mmap.flags |= MapFlags::fixed;
    }
    const bool taken =
        demanded && mmap.address < memory().limit() && !is_free(mmap.address, call.length);
    const Outcome outcome = taken ? Outcome::fail(EEXIST) : run(mmap);
    if (call.fd < 0 && file != nobody) {
        memory().orphan(file);  // it lives as long as its mapping
    } else if (call.fd < 0 && outcome.verdict == Verdict::done &&
               (call.aux & MapFlag::shared) != 0) {  // shared anonymous memory is a file, too
        const auto at = static_cast<Vpn>(to_pages(static_cast<u64>(outcome.value)));
        memory().orphan(state().find_vma(space(), at)->file);
    } else if (fixed) {
        memory().end_orphans();
    }
    if (outcome.verdict != Verdict::done) {
        return kernel::failure(outcome.error);
    }
    const u64 at = static_cast<u64>(outcome.value);
    memory().show(space(), at, call.length);
    return kernel::Outcome::done(static_cast<i64>(address_of(at)));
}

kernel::Outcome SimKernel::unmap(const kernel::Call& call) {
    Call munmap{.op = Op::munmap};
    munmap.address = model(call.address);
    munmap.length = call.length;
    const Outcome outcome = run(munmap);
    memory().show(space(), munmap.address, call.length);
    memory().end_orphans();
    return answer(outcome);
}

kernel::Outcome SimKernel::protect(const kernel::Call& call) {
    Call mprotect{.op = Op::mprotect, .flags = map_flags(call.aux)};
    mprotect.address = model(call.address);
    mprotect.length = call.length;
    const Outcome outcome = run(mprotect);
    memory().show(space(), mprotect.address, call.length);
    return answer(outcome);
}

kernel::Outcome SimKernel::advise(const kernel::Call& call) {
    Call madvise{.op = Op::madvise, .flags = advice_of(call.aux)};
    madvise.address = model(call.address);
    madvise.length = call.length;
    return answer(run(madvise, madvise.address, call.length));
}

kernel::Outcome SimKernel::remap(const kernel::Call& call) {
    Call mremap{.op = Op::mremap, .flags = static_cast<u32>(call.aux)};
    mremap.address = model(call.address);
    mremap.length = call.length;
    mremap.extra = call.offset;
    if ((call.aux & kernel::RemapFlag::fixed) != 0) {
        mremap.source = model(call.target);
    }
    const Outcome outcome = run(mremap);
    memory().show(space(), 0, memory().limit());
    memory().end_orphans();
    return outcome.verdict != Verdict::done ? kernel::failure(outcome.error)
                                            : kernel::Outcome::done(static_cast<i64>(
                                                  address_of(static_cast<u64>(outcome.value))));
}

/// msync(MS_ASYNC): a walk over the mappings.
kernel::Outcome SimKernel::check_mapped(const kernel::Call& call) {
    if (!is_page_aligned(call.address)) {
        return kernel::failure(EINVAL);
    }
    const u64 start = model(call.address);
    const u64 end = round_up(start + call.length, page_size);
    if (end > memory().limit()) {
        return kernel::failure(ENOMEM);
    }
    u64 reached = to_pages(start);
    for (const Vma& vma : vmas_between(state(), space(), static_cast<Vpn>(to_pages(start)),
                                       static_cast<Vpn>(to_pages(end)))) {
        if (vma.start > reached) {
            break;
        }
        reached = vma.end;
    }
    return reached < to_pages(end) ? kernel::failure(ENOMEM) : kernel::Outcome::done();
}

/// populate_vma_page_range(): for writing what is private and may be written; which may change
/// while it sleeps in a fault.
Outcome SimKernel::populate_locked(const Vma& part) {
    const auto wanted = [&] {
        const Vma* const now = state().find_vma(space(), part.start);
        const bool write = now != nullptr && now->has(VmFlag::write) && !now->shared();
        return static_cast<u32>(write ? Advice::populate_write : Advice::populate_read);
    };
    Call populate{.op = Op::madvise};
    populate.address = to_bytes(part.start);
    populate.length = to_bytes(part.end - part.start);
    Outcome outcome;
    do {
        populate.flags = wanted();
        outcome = run(populate, populate.address, populate.length);
    } while (outcome.verdict != Verdict::done && populate.flags != wanted());
    return outcome;
}

/// mlock(): the mapping's flag, up to the first hole (apply_vma_lock_flags()); then, if there was
/// none, every page is brought in, as for writing where that makes private pages the process' own
/// (populate_vma_page_range()).
kernel::Outcome SimKernel::lock(const kernel::Call& call) {
    const u64 start = round_down(model(call.address), page_size);
    const u64 end = round_up(model(call.address) + call.length, page_size);
    if (end > memory().limit()) {
        return kernel::failure(ENOMEM);
    }
    const auto first = static_cast<Vpn>(to_pages(start));
    const auto last = static_cast<Vpn>(to_pages(end));
    split_vma(memory().machine(), space(), first);
    split_vma(memory().machine(), space(), last);
    const auto parts = vmas_between(state(), space(), first, last);
    Vpn reached = first;
    for (const Vma& part : parts) {
        if (part.start > reached) {
            break;
        }
        const bool hugetlb = is_hugetlb(state(), part);  // never swapped: the flag stays away
        state().find_vma(space(), part.start)->flags |= hugetlb ? 0 : VmFlag::locked;
        reached = part.end;
    }
    merge_vmas(memory().machine(), space());
    if (reached < last) {
        return kernel::failure(ENOMEM);
    }
    return populate_mapped(first, last);
}

/// __mm_populate(): page after page, in mappings as they are when its turn comes: what somebody
/// unmapped while this call slept in a fault is left out without a word, and what was cut then is
/// read or written as its own flags say.
kernel::Outcome SimKernel::populate_mapped(Vpn first, Vpn last) {
    for (Vpn at = first; at < last;) {
        const auto rest = vmas_between(state(), space(), at, last);
        if (rest.empty()) {
            break;
        }
        Vma part = rest.front();
        part.start = std::max(part.start, at);
        const u32 unit = is_hugetlb(state(), part) ? state().shape.huge_pages : 1;
        part.end = std::min({part.end, last, part.start + unit});
        at = part.end;
        const Outcome outcome = populate_locked(part);
        if (outcome.verdict == Verdict::hangs) {
            return answer(outcome);
        }
        if (outcome.verdict == Verdict::done || state().find_vma(space(), part.start) == nullptr) {
            continue;
        }
        const bool no_access =
            outcome.error == EFAULT || outcome.error == EINVAL || outcome.error == EHWPOISON;
        return kernel::failure(no_access ? ENOMEM : outcome.error);
    }
    return kernel::Outcome::done();
}

/// Whole mappings are counted, also those that the range only touches (linux/usage.cc).
kernel::Outcome SimKernel::memory_usage(const kernel::Call& call, const kernel::Payload& payload) {
    VERSO_CHECK(payload.usage != nullptr, "nowhere to put the usage");
    *payload.usage = {};
    const u64 start = model(call.address);
    const u64 end = std::min(start + call.length, memory().limit());
    if (start >= end) {
        return kernel::Outcome::done();
    }
    for (const Vma& vma : vmas_between(state(), space(), static_cast<Vpn>(to_pages(start)),
                                       static_cast<Vpn>(to_pages(end + page_size - 1)))) {
        for (Vpn at = vma.start; at < vma.end; ++at) {
            add_page(state(), vma, at, space(), *payload.usage);
        }
    }
    return kernel::Outcome::done();
}

}  // namespace verso::mm::sim
