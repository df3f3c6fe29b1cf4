// What the parts of the fault handler share: one turn of it as a value (Linux's struct vm_fault),
// and the questions that every path asks.
#pragma once

#include <optional>

#include "mm/model.h"

namespace verso::mm {

struct VmFault {
    u8 thread;
    u8 space;
    u8 node;
    Vpn at;
    Access access;
    Vma vma;  // a copy: the handler never changes it

    /// FAULT_FLAG_WRITE
    bool write() const {
        return access.kind == AccessKind::store || access.kind == AccessKind::gup_write ||
               access.kind == AccessKind::gup_pin || access.kind == AccessKind::populate_write;
    }
    /// FAULT_FLAG_UNSHARE
    bool unshare() const { return access.kind == AccessKind::gup_unshare; }
};

inline bool is_write_access(const Access& access) {
    return VmFault{0, 0, 0, 0, access, {}}.write();
}

/// userfaultfd_pte_wp(): is a store to this present entry somebody's business?
bool userfaultfd_pte_wp(const Machine& machine, const Vma& vma, const Entry& entry);
/// vmf_orig_pte_uffd_wp(): does the page that takes this entry's place have to be protected?
bool orig_pte_uffd_wp(const Machine& machine, const Vma& vma, const Entry& entry);
/// The bit onto an entry that is rebuilt where protection was found, with the site's own removal of
/// write permission where design (2) is done by hand (S0-06).
Entry mkuffd_wp_at(const Machine& machine, Entry entry, u8 site);
/// What do_numa_page() and do_huge_pmd_numa_page() leave of an entry whose hint has done its work:
/// FA-16, VP18.
Entry after_hint(const Machine& machine, const Vma& vma, const Entry& entry);

Fault missing_message(Machine& machine, const VmFault& vmf);
Fault wp_message(Machine& machine, const VmFault& vmf);

Fault do_anonymous_page(Machine& machine, const VmFault& vmf, const Entry& orig);
Fault do_swap_page(Machine& machine, const VmFault& vmf, const Entry& orig);
Fault do_wp_page(Machine& machine, const VmFault& vmf, Entry entry);
Fault do_fault(Machine& machine, const VmFault& vmf, const Entry& orig);
/// FA-3; nothing: an ordinary page will do.
std::optional<Fault> create_huge_pmd(Machine& machine, const VmFault& vmf);

/// VP3: the file hears of a first write, and its page is dirty from now on.
void do_page_mkwrite(State& state, PageId page);
/// "ae or only user": wp_can_reuse_anon_folio(). Leaves the swap cache if that is all that is in
/// the way.
bool can_reuse_anon(Machine& machine, PageId page, bool pmd);

}  // namespace verso::mm
