// PAGEMAP_SCAN, section 9; fs/proc/task_mmu.c. One walk that says what pages are, and arms those
// that it reports as written: for one page that is a single step, so a store is in this report or
// in the next (SC-38).
//
//   page ─ categories ─ selected? ─▶ region ─▶ WP_MATCHING and WRITTEN: armed
//                                       └─ no room, max_pages: the walk stops here (walk_end)
//
// As of 6.18. There since 6.7; since 6.9 it finds the bit of an entry without a page (FX-10).
#include <algorithm>
#include <cerrno>

#include "abi/abi.h"
#include "mm/folio.h"
#include "mm/pagemap_scan.h"

namespace verso::mm {
namespace {

using abi::PageIs;

bool none_means_protected(const Rules& rules, const Vma& vma) {
    const NonePolicy policy = vma.anonymous() ? rules.none_policy_anon : rules.none_policy_file;
    return policy == NonePolicy::protected_ || policy == NonePolicy::protected_one;
}

/// One call on its way.
class Scan {
public:
    Scan(Machine& machine, u8 space, const ScanArg& arg)
        : machine_(machine), state_(machine.state), space_(space), arg_(arg) {}

    Outcome run() {
        const Vpn start = static_cast<Vpn>(to_pages(arg_.start));
        const Vpn end = static_cast<Vpn>(to_pages(round_up(arg_.end, page_size)));
        // Undone where it fails; on 6.18 what was armed before stays armed, and nobody is told.
        const bool undoes = machine_.rules.failed_scan_arms_nothing && may_fail();
        const std::optional<State> before = undoes ? std::optional<State>(state_) : std::nullopt;
        walk_end_ = end;
        for (const Vma& vma : vmas_between(state_, space_, start, end)) {
            const Vpn first = std::max(start, vma.start);
            if (!vma_allowed(vma)) {
                if ((arg_.flags & abi::PagemapScanFlag::check_wp_async) != 0) {  // SC-9, SC-11
                    if (before) {
                        state_ = *before;
                    }
                    return Outcome::fail(EPERM, to_bytes(first));
                }
                if ((arg_.flags & abi::PagemapScanFlag::wp_matching) != 0) {  // SC-12
                    continue;
                }
            }
            if (interesting_vma(vma)) {
                walk_vma(vma, first, std::min(end, vma.end));
            }
            if (stopped_) {
                break;
            }
        }
        Outcome outcome = Outcome::ok(static_cast<i64>(machine_.scanned.size()));  // SC-29
        outcome.progress = to_bytes(walk_end_);
        return outcome;
    }

private:
    bool may_fail() const {
        constexpr u64 both =
            abi::PagemapScanFlag::check_wp_async | abi::PagemapScanFlag::wp_matching;
        return (arg_.flags & both) == both;
    }

    bool vma_allowed(const Vma& vma) const {
        return is_async(state_, vma) && vma.has(VmFlag::uffd_wp) &&
               (uses_markers(machine_, vma) || none_means_protected(machine_.rules, vma));
    }

    u64 vma_categories(const Vma& vma) const {
        const bool new_mapping =
            vma.has(VmFlag::soft_dirty) && machine_.rules.softdirty_configured;  // SC-15
        return (vma_allowed(vma) ? PageIs::wp_allowed : 0) | (new_mapping ? PageIs::soft_dirty : 0);
    }

    /// SC-13, SC-14.
    bool interesting_vma(const Vma& vma) const {
        const u64 required = arg_.category_mask & PageIs::wp_allowed;
        const u64 seen = vma_categories(vma) ^ arg_.category_inverted;
        return (seen & required) == required;
    }

    bool interesting_page(u64 categories) const {
        const u64 seen = categories ^ arg_.category_inverted;
        return (seen & arg_.category_mask) == arg_.category_mask &&
               (arg_.category_anyof_mask == 0 || (seen & arg_.category_anyof_mask) != 0);
    }

    /// The walk that only looks for written pages has a shorter way of its own. Until 2c7ad9a590d1
    /// (6.9) that one took u of an entry without a page from the wrong place (FX-10).
    bool quick_path() const {
        return arg_.category_anyof_mask == 0 && arg_.category_inverted == 0 &&
               arg_.category_mask == PageIs::written && (arg_.return_mask & ~PageIs::written) == 0;
    }

    u64 of_page(PageId page) const {
        return state_.pages[page].use == PageUse::cache ? PageIs::file : 0;
    }

    /// SC-21 to SC-23, SC-26; S3-18.
    u64 of_none(const Vma& vma, bool table, bool hugetlb) const {
        if (none_means_protected(machine_.rules, vma) && vma.has(VmFlag::uffd_wp)) {
            return hugetlb ? PageIs::huge : 0;
        }
        if (vma.has(VmFlag::uffd_wp)) {
            if (hugetlb && !machine_.rules.empty_hugetlb_is_written) {
                return has_page_table() ? PageIs::huge : 0;  // pagemap_scan_pte_hole()
            }
            return PageIs::written | (hugetlb ? PageIs::huge : 0);
        }
        return table && !hugetlb ? PageIs::written : 0;
    }

    /// pagemap_page_category(): SC-16 to SC-20.
    u64 of_entry(const Entry& entry) const {
        const bool misread = !machine_.rules.scan_reads_swap_u && quick_path() && !entry.present();
        const bool is_protected = entry.uffd_wp || entry.is_marker(Marker::uffd_wp);
        u64 categories = is_protected && !misread ? 0 : PageIs::written;
        const bool tracked = machine_.rules.softdirty_configured;  // else 6.18 never reports it
        categories |= tracked && entry.soft_dirty ? PageIs::soft_dirty : 0;
        switch (entry.kind) {
            case EntryKind::none: return 0;
            case EntryKind::present:
                return categories | PageIs::present |
                       (entry.zero ? PageIs::pfn_zero : of_page(entry.target));
            case EntryKind::migration:
            case EntryKind::hwpoison: return categories | PageIs::swapped | of_page(entry.target);
            case EntryKind::swap: return categories | PageIs::swapped;
            case EntryKind::marker: {
                const bool guard = entry.is_marker(Marker::guard) && machine_.rules.has_guard_file;
                return categories | PageIs::swapped | (guard ? PageIs::guard : 0);
            }
        }
        return 0;
    }

    /// Of every page of a unit: a small page, a leaf's range, a range without a page table.
    u64 categories_of(const Vma& vma, Vpn at) const {
        const PmdKind level = state_.spaces[space_].pmds[state_.pmd_index(at)].kind;
        const bool hugetlb = is_hugetlb(state_, vma);
        const Entry entry = entry_at(state_, space_, at);
        u64 categories = vma_categories(vma);
        if (entry.none()) {
            return categories | of_none(vma, level == PmdKind::table, hugetlb);
        }
        categories |= of_entry(entry);
        if (level == PmdKind::leaf) {  // SC-24, SC-25
            categories |= PageIs::huge;
        }
        if (hugetlb && !vma.has(VmFlag::soft_dirty)) {  // E-SD7
            categories &= ~PageIs::soft_dirty;
        }
        return categories;
    }

    /// How many of `count` pages at `at` fit the limits. Reports those (SC-27, SC-28, SC-30).
    /// Without a vector 6.18 counts nothing, so that max_pages is never reached.
    u32 output(u64 categories, Vpn at, u32 count) {
        if (arg_.vec_len == 0 && !machine_.rules.blind_scan_selects) {
            return count;
        }
        u32 room = arg_.max_pages == 0 ? count : std::min(count, arg_.max_pages - selected_);
        if (arg_.vec_len != 0 && room != 0 && !extend(categories, at) &&
            machine_.scanned.size() == arg_.vec_len) {
            room = 0;
        }
        return room;
    }

    bool extend(u64 categories, Vpn at) const {
        return !machine_.scanned.empty() && machine_.scanned.back().end == to_bytes(at) &&
               machine_.scanned.back().categories == (categories & arg_.return_mask);
    }

    void report(u64 categories, Vpn at, u32 count) {
        selected_ += count;
        if (arg_.vec_len == 0) {
            return;
        }
        if (extend(categories, at)) {
            machine_.scanned.back().end = to_bytes(at + count);
        } else {
            machine_.scanned.push_back(
                {to_bytes(at), to_bytes(at + count), categories & arg_.return_mask});
        }
    }

    void stop(Vpn at) {
        walk_end_ = at;
        stopped_ = true;
    }

    /// SC-31 to SC-34; S3-04. Setting the bit takes write away here, whatever the design.
    Entry armed(const Vma& vma, Entry entry) const {
        const NonePolicy policy =
            vma.anonymous() ? machine_.rules.none_policy_anon : machine_.rules.none_policy_file;
        switch (entry.kind) {
            case EntryKind::hwpoison: return entry;
            case EntryKind::none: return make_marker(Marker::uffd_wp);
            case EntryKind::marker:
                if (entry.is_marker(Marker::written)) {
                    const bool one = policy == NonePolicy::protected_one;
                    return make_marker(one ? u8{0} : Marker::uffd_wp);
                }
                entry.uffd_wp = entry.uffd_wp || marker_takes_u(vma, entry);
                return entry;
            case EntryKind::migration:
                if (entry.migration == MigrationKind::write) {  // I2, as W-7, W-8
                    entry.migration = is_files_own(state_, entry) ? MigrationKind::read
                                                                  : MigrationKind::read_exclusive;
                }
                entry.uffd_wp = true;
                return entry;
            case EntryKind::swap: entry.uffd_wp = true; return entry;
            case EntryKind::present: return pte_wrprotect(pte_mkuffd_wp(entry, machine_.rules));
        }
        return entry;
    }

    /// make_uffd_wp_pte() of 6.18 sets the bit on whatever is no page; that of hugetlb does not.
    bool marker_takes_u(const Vma& vma, const Entry& entry) const {
        const bool guard = entry.is_marker(Marker::guard) && !machine_.rules.scan_leaves_guards;
        const bool poison = entry.is_marker(Marker::poisoned) && !machine_.rules.scan_leaves_poison;
        return (guard || poison) && !is_hugetlb(state_, vma);
    }

    /// One page table of Linux' spans 512 entries: what the model has one for has made it for all.
    bool has_page_table(PmdKind besides = PmdKind::none) const {
        return std::ranges::any_of(state_.spaces[space_].pmds, [besides](const Pmd& pmd) {
            return pmd.kind != PmdKind::none && pmd.kind != besides;
        });
    }

    /// Without a vector 6.18 takes a short way through a page table, which looks at nothing:
    /// neither at what is asked for nor at how much.
    bool arms_blindly(const Vma& vma, Vpn at) const {
        return !machine_.rules.blind_scan_selects && arg_.vec_len == 0 && vma_allowed(vma) &&
               (arg_.flags & abi::PagemapScanFlag::wp_matching) != 0 &&
               pmd_of(state_, space_, at).kind != PmdKind::leaf && has_page_table(PmdKind::leaf);
    }

    void arm_blindly(const Vma& vma, Vpn start, Vpn end) {
        for (Vpn at = start; at < end; ++at) {
            const Entry entry = entry_at(state_, space_, at);
            if (!entry.uffd_wp && !entry.is_marker(Marker::uffd_wp)) {
                set_pte(machine_, space_, at, armed(vma, entry));
            }
        }
    }

    bool arms(u64 categories) const {
        return (arg_.flags & abi::PagemapScanFlag::wp_matching) != 0 &&
               (categories & PageIs::written) != 0;
    }

    void walk_vma(const Vma& vma, Vpn start, Vpn end) {
        const u32 size = state_.shape.huge_pages;
        for (Vpn at = start; at < end && !stopped_;) {
            const Vpn next = std::min(end, state_.pmd_start(at) + size);
            const bool leaf = pmd_of(state_, space_, at).kind == PmdKind::leaf;
            if (is_hugetlb(state_, vma) || leaf) {
                if (!huge_range(vma, at, next)) {
                    continue;  // split: the small entries are looked at now
                }
            } else if (arms_blindly(vma, at)) {
                arm_blindly(vma, at, next);
            } else {
                for (Vpn page = at; page < next && !stopped_; ++page) {
                    small_page(vma, page);
                }
            }
            at = next;
        }
    }

    /// pagemap_scan_pmd_entry(), pagemap_scan_pte_hole(): one small page, or one page of a gap.
    void small_page(const Vma& vma, Vpn at) {
        const u64 categories = categories_of(vma, at);
        if (!interesting_page(categories)) {
            return;
        }
        if (output(categories, at, 1) == 0) {
            stop(at);
            return;
        }
        report(categories, at, 1);
        if (arms(categories)) {
            set_pte(machine_, space_, at, armed(vma, entry_at(state_, space_, at)));
        }
        stop_when_enough(at + 1);
    }

    void stop_when_enough(Vpn after) {
        const bool counts = arg_.vec_len != 0 || machine_.rules.blind_scan_selects;
        if (counts && arg_.max_pages != 0 && selected_ == arg_.max_pages) {  // SC-28
            stop(after);
        }
    }

    /// pagemap_scan_thp_entry(), pagemap_scan_hugetlb_entry(): SC-35 to SC-37. False: it was split.
    bool huge_range(const Vma& vma, Vpn at, Vpn next) {
        const u64 categories = categories_of(vma, at);
        if (!interesting_page(categories)) {
            return true;
        }
        const u32 count = next - at;
        const u32 room = output(categories, at, count);
        const bool cut = room != state_.shape.huge_pages;
        if (cut && arms(categories)) {
            if (is_hugetlb(state_, vma)) {
                stop(at);
                return true;
            }
            split_huge_pmd(machine_, space_, vma, at);
            return pmd_of(state_, space_, at).kind == PmdKind::leaf;
        }
        if (room != 0) {
            report(categories, at, room);
        }
        if (arms(categories)) {
            const Entry entry = pmd_of(state_, space_, at).leaf;
            set_leaf(machine_, space_, at, armed(vma, entry));
        }
        if (room < count) {
            stop(at + room);
        } else {
            stop_when_enough(next);
        }
        return true;
    }

    Machine& machine_;
    State& state_;
    u8 space_;
    ScanArg arg_;
    u32 selected_ = 0;
    Vpn walk_end_ = 0;
    bool stopped_ = false;
};

/// SC-4 to SC-6: 0 or an errno. What needs the caller's memory (SC-2, SC-3, SC-7, SC-8) is the
/// seam's. pagemap_scan_get_args().
int scan_error(const Machine& machine, const Call& call) {
    if (!machine.rules.has_wp_async) {
        return ENOTTY;
    }
    const ScanArg arg = to_scan_arg(call);
    const u64 known = machine.rules.has_guard_file ? PageIs::guard * 2 - 1 : PageIs::guard - 1;
    const u64 asked =
        arg.category_inverted | arg.category_mask | arg.category_anyof_mask | arg.return_mask;
    const u64 known_flags =
        abi::PagemapScanFlag::wp_matching | abi::PagemapScanFlag::check_wp_async;
    if ((arg.flags & ~known_flags) != 0 || (asked & ~known) != 0 || !is_page_aligned(arg.start)) {
        return EINVAL;
    }
    const u64 limit = to_bytes(machine.state.shape.space_pages);
    return arg.start > limit || call.length > limit - arg.start ? EFAULT : 0;
}

}  // namespace

/// do_pagemap_scan() (6.7).
Outcome pagemap_scan(Machine& machine, const Call& call) {
    machine.scanned.clear();
    if (const int error = scan_error(machine, call); error != 0) {
        return Outcome::fail(error);
    }
    const u8 space = machine.state.threads[call.thread].space;
    return Scan(machine, space, to_scan_arg(call)).run();
}

}  // namespace verso::mm
