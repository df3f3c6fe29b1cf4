// Zapping: section 8.2. What an entry maps goes; what stays behind says whether a tracker is told.
// mm/memory.c zap_pte_range(), mm/huge_memory.c, mm/hugetlb.c; truncation and holes: mm/truncate.c.
//
//   MADV_DONTNEED   everything, protection of shared bytes kept as a marker
//   hole punch      the file's own pages only, in every mapping of the file (file_only); hugetlb:
//                   private copies, too
//   truncation      private copies, too (even_cows)
//   munmap, exit    everything, markers and guards included (drop_markers)
//
// As of 6.18. What stays behind are markers, of files since 5.19 (none_policy, markers_exist).
#include <algorithm>
#include <cerrno>

#include "mm/folio.h"

namespace verso::mm {
namespace {

Outcome not_now() { return {Verdict::disabled, 0, 0, 0}; }

/// What is there instead of an entry that has to go, or nothing: the entry stays.
/// zap_install_uffd_wp_if_needed().
std::optional<Entry> zapped_pte(const Machine& machine, const Vma& vma, const Entry& entry,
                                u8 flags) {
    const bool drop_markers = (flags & ZapFlags::drop_markers) != 0;
    const bool file_only = (flags & ZapFlags::file_only) != 0;
    if (drop_markers) {  // E-ZP13
        return Entry{};
    }
    switch (entry.kind) {
        case EntryKind::none: return std::nullopt;
        case EntryKind::marker:
            if ((entry.markers & Marker::guard) != 0) {  // E-ZP7
                return std::nullopt;
            }
            if ((entry.markers & Marker::poisoned) != 0) {  // E-ZP1, E-ZP8
                if (file_only) {
                    return std::nullopt;
                }
                // Armed besides (6.18: marker_takes_u()): pte_install_uffd_wp_if_needed() sees the
                // bit and not what it stood upon.
                const bool armed = entry.uffd_wp && !vma.anonymous() && vma.has(VmFlag::uffd_wp);
                return armed ? make_marker(Marker::uffd_wp) : Entry{};
            }
            if (!vma.has(VmFlag::uffd_wp) && !vma.anonymous()) {
                return std::nullopt;  // left over (I4): a file's goes only if that is asked for
            }
            // A marker stands for bytes that are not mapped: those of the file come back as they
            // were; an anonymous address becomes zeroes, whatever it was.
            return left_behind(machine, vma, entry, !vma.anonymous());
        case EntryKind::hwpoison: return file_only ? std::nullopt : std::optional<Entry>(Entry{});
        case EntryKind::present:
        case EntryKind::swap:
        case EntryKind::migration: {
            const bool own = is_files_own(machine.state, entry);
            if (file_only && !own && !entry.zero) {  // E-ZP10
                return std::nullopt;
            }
            // E-ZP1 to E-ZP6. On 6.18 the marker of a private copy says that nothing changed.
            const bool survives =
                own || (!vma.anonymous() && !machine.rules.dropped_copy_is_written);
            return left_behind(machine, vma, entry, survives);
        }
    }
    return std::nullopt;
}

/// What the processor noted in the entry is the file's from now on. zap_present_folio_ptes().
void keep_dirty(State& state, const Entry& entry) {
    if (entry.dirty && is_files_own(state, entry)) {
        state.pages[entry.target].dirty = true;
    }
}

/// zap_present_ptes(), zap_nonpresent_ptes().
void zap_pte(Machine& machine, u8 space, const Vma& vma, Vpn at, u8 flags) {
    const Entry entry = entry_at(machine.state, space, at);
    const std::optional<Entry> after = zapped_pte(machine, vma, entry, flags);
    if (!after || *after == entry) {
        return;
    }
    keep_dirty(machine.state, entry);
    set_pte(machine, space, at, *after);
}

/// zap_huge_pmd(), __unmap_hugepage_range().
void zap_leaf(Machine& machine, u8 space, const Vma& vma, Vpn at, u8 flags) {
    const Entry entry = pmd_of(machine.state, space, at).leaf;
    const std::optional<Entry> after = zapped_pte(machine, vma, entry, flags);
    if (after) {
        keep_dirty(machine.state, entry);
        set_leaf(machine, space, at, *after);
    }
}

/// A leaf. False: what is there now is a page table, or nothing, and its entries are to be looked
/// at. zap_pmd_range().
bool zap_huge(Machine& machine, u8 space, const Vma& vma, Vpn start, bool whole, u8 flags) {
    State& state = machine.state;
    if (pmd_of(state, space, start).kind != PmdKind::leaf) {
        return false;
    }
    if (is_hugetlb(state, vma)) {
        if (whole) {
            zap_leaf(machine, space, vma, start, flags);
        }
        return true;
    }
    const Entry entry = pmd_of(state, space, start).leaf;
    const bool leaves_nothing = zapped_pte(machine, vma, entry, flags) == Entry{};
    if (whole && leaves_nothing) {
        zap_leaf(machine, space, vma, start, flags);
        return true;
    }
    if (whole && !zapped_pte(machine, vma, entry, flags)) {
        return true;
    }
    split_huge_pmd(machine, space, vma, start);  // E-TH9
    return false;
}

/// Every mapping of these pages of the file, unmap_mapping_range().
void unmap_mapping_range(Machine& machine, u8 file, u32 first, u32 last, u8 flags) {
    const State& state = machine.state;
    for (u8 space = 0; space < state.spaces.size(); ++space) {
        const Vmas vmas = state.spaces[space].vmas;
        for (const Vma& vma : vmas) {
            const u32 begin = std::max(first, vma.offset);
            const u32 end = std::min(last, vma.offset + (vma.end - vma.start));
            if (vma.file == file && begin < end) {
                zap_range(machine, space, vma, vma.start + (begin - vma.offset),
                          vma.start + (end - vma.offset), flags);
            }
        }
    }
}

/// Is something under way with one of the pages, so that the caller would have to wait?
bool busy(const State& state, const File& file, u32 first, u32 last) {
    for (u32 index = first; index < last; ++index) {
        const PageId page = file.cache[index].page;
        if (page != no_page) {
            const Page& head = state.pages[head_of(state, page)];
            if (head.locked || head.writeback) {
                return true;
            }
        }
    }
    return false;
}

/// truncate_inode_pages_range(): large folios that lie across an edge are split; hugetlb ones are
/// cleared, as are those under a hole that somebody holds (seen on 6.18).
void drop_pages(Machine& machine, u8 file, u32 first, u32 last, bool hole) {
    State& state = machine.state;
    for (u32 index = first; index < last; ++index) {
        const PageId page = state.files[file].cache[index].page;
        if (page == no_page) {
            remove_from_cache(machine, file, index);
            state.files[file].cache[index].disk = zeroes;
            continue;
        }
        const PageId head = head_of(state, page);
        // Of the page at hand: the head may have lost its place a turn ago.
        const u32 begin = state.pages[page].index - (page - head);
        const bool inside = begin >= first && begin + folio_pages(state, head) <= last;
        const bool stays = state.pages[head].hugetlb || (hole && folio_pinned(state, head));
        if (!inside && stays) {
            state.pages[page].contents = zeroes;
            continue;
        }
        if (!inside) {
            split_folio(machine, head);
        }
        remove_from_cache(machine, file, index);
        state.files[file].cache[index].disk = zeroes;
    }
}

}  // namespace

/// unmap_vmas(), zap_page_range_single().
void zap_range(Machine& machine, u8 space, const Vma& vma, Vpn start, Vpn end, u8 flags) {
    State& state = machine.state;
    for (Vpn at = start; at < end;) {
        const Vpn first = state.pmd_start(at);
        const Vpn next = std::min(end, first + state.shape.huge_pages);
        const bool whole = at == first && next == first + state.shape.huge_pages;
        const bool done = zap_huge(machine, space, vma, first, whole, flags);
        const bool table = pmd_of(state, space, first).kind == PmdKind::table;
        for (Vpn page = at; !done && table && page < next; ++page) {
            zap_pte(machine, space, vma, page, flags);
        }
        at = next;
    }
}

/// shmem_setattr(), hugetlbfs_setattr(), truncate_setsize().
Outcome do_truncate(Machine& machine, const Call& call) {
    State& state = machine.state;
    if (call.fd >= state.files.size()) {
        return Outcome::fail(EBADF);
    }
    File& file = state.files[call.fd];
    const u32 pages = static_cast<u32>(to_pages(call.length + page_size - 1));
    const bool huge = file.kind == FileKind::hugetlb;
    if (!file.writable || (huge && pages % state.shape.huge_pages != 0)) {
        return Outcome::fail(EINVAL);
    }
    if (pages < file.size) {
        if (busy(state, file, pages, file.size)) {
            return not_now();
        }
        const u32 old_size = file.size;
        file.size = pages;
        // E-ZP11: first the entries, so that nobody has a page that the file has not.
        u8 flags = ZapFlags::even_cows;
        if (huge && !machine.rules.hugetlb_truncation_keeps_u) {
            flags |= ZapFlags::drop_markers;  // hugetlb_vmtruncate(), no E-ZP12
        }
        unmap_mapping_range(machine, call.fd, pages, old_size, flags);
        drop_pages(machine, call.fd, pages, old_size, false);
        return Outcome::ok();
    }
    file.size = pages;
    file.cache.resize(std::max<std::size_t>(file.cache.size(), pages));
    return Outcome::ok();
}

/// shmem_fallocate(), hugetlbfs_punch_hole(): FALLOC_FL_PUNCH_HOLE.
Outcome do_punch_hole(Machine& machine, u8 file, u32 first, u32 count) {
    State& state = machine.state;
    if (file >= state.files.size() || !state.files[file].writable) {
        return Outcome::fail(EBADF);
    }
    if (count == 0) {
        return Outcome::fail(EINVAL);
    }
    const u32 last = std::min(state.files[file].size, first + count);
    if (first >= last) {
        return Outcome::ok();
    }
    if (busy(state, state.files[file], first, last)) {
        return not_now();
    }
    // E-ZP10. hugetlbfs_punch_hole() unmaps private copies, too (seen on 6.18).
    const bool hugetlb = state.files[file].kind == FileKind::hugetlb;
    unmap_mapping_range(machine, file, first, last,
                        hugetlb ? ZapFlags::even_cows : ZapFlags::file_only);
    drop_pages(machine, file, first, last, true);
    return Outcome::ok();
}

}  // namespace verso::mm
