// Accesses: what the processor allows, what get_user_pages() allows on the kernel's behalf
// (mm/gup.c), and the loop around the fault handler. One access is one step, through as many faults
// as it takes.
//
//   Op              who                                    faults as
//   gup_read        write(2) from it, process_vm_readv     load; `forced` is FOLL_FORCE
//   gup_write       read(2) into it, /proc/self/mem        store
//   gup_unshare     a long-term pin for reading            un-share (FA-18), then pinned
//   gup_pin         a long-term pin for writing            store, then pinned
//   gup_unpin       the device is done; flags bit 0: it wrote `value` through the pin (FG-6)
//
// As of 6.18; FOLL_HWPOISON answers for poisoned markers since those exist (6.6).
#include <cerrno>

#include "mm/fault.h"
#include "mm/folio.h"

namespace verso::mm {
namespace {

constexpr unsigned turns_max = 64;

/// can_follow_write_pte(): a forced write may go to a read-only entry, if the page is the process's
/// own copy and nobody wants to hear of it (FG-2).
bool can_follow_write_pte(const Machine& machine, const Vma& vma, const Entry& entry,
                          const Access& access) {
    if (entry.write) {
        return true;
    }
    if (!access.forced || vma.shared() || vma.has(VmFlag::write) || !entry.maps_page()) {
        return false;
    }
    const Page& page = machine.state.pages[entry.target];
    const bool tracked = soft_dirty_enabled(vma, machine.rules) && !entry.soft_dirty;
    return page.use == PageUse::anonymous && page.anon_exclusive && !tracked &&
           !userfaultfd_pte_wp(machine, vma, entry);
}

/// gup_must_unshare(): a pin must not be left behind by a copy on write.
bool gup_must_unshare(const State& state, const Vma& vma, const Entry& entry) {
    if (vma.shared()) {
        return false;
    }
    if (!entry.maps_page() || state.pages[entry.target].use != PageUse::anonymous) {
        return vma.has(VmFlag::may_write);
    }
    return !state.pages[entry.target].anon_exclusive;
}

/// The access itself, if what the address holds allows it. follow_page_pte().
std::optional<Outcome> follow_page(Machine& machine, const VmFault& vmf, const Entry& leaf,
                                   bool huge) {
    State& state = machine.state;
    const Access& access = vmf.access;
    Entry entry = leaf;
    if (!entry.present() || (entry.protnone && !access.forced)) {
        return std::nullopt;
    }
    if (vmf.write() && !can_follow_write_pte(machine, vmf.vma, entry, access)) {
        return std::nullopt;
    }
    if (vmf.unshare() && gup_must_unshare(state, vmf.vma, entry)) {
        return std::nullopt;
    }
    entry.young = true;  // FO-6
    // O7 as the processor does it: dirty, but soft-dirty only where a fault saw the store.
    entry.dirty = entry.dirty || (vmf.write() && entry.write);
    set_mapping(machine, {vmf.space, vmf.at, huge}, entry);
    if (entry.zero) {
        return Outcome::ok(zeroes);
    }
    const u32 inside = huge ? vmf.at - state.pmd_start(vmf.at) : 0;
    Page& page = state.pages[entry.target + inside];
    if (access.kind == AccessKind::store || access.kind == AccessKind::gup_write) {
        page.contents = machine.written(page.contents, access.value);
        page.dirty = page.dirty || !entry.write;  // forced: set_page_dirty_lock()
    } else if (access.kind == AccessKind::gup_pin || access.kind == AccessKind::gup_unshare) {
        ++page.pins;
    }
    return Outcome::ok(static_cast<i64>(page.contents));
}

/// __get_user_pages(), one page.
std::optional<Outcome> try_access(Machine& machine, u8 thread, const Access& access) {
    State& state = machine.state;
    const Thread& self = state.threads[thread];
    const u64 at = to_pages(access.address);
    const Vma* const vma =
        at < state.shape.space_pages ? state.find_vma(self.space, static_cast<Vpn>(at)) : nullptr;
    if (vma == nullptr) {
        return std::nullopt;
    }
    const VmFault vmf{thread, self.space, self.node, static_cast<Vpn>(at), access, *vma};
    const Pmd& pmd = pmd_of(state, vmf.space, vmf.at);
    const bool huge = pmd.kind == PmdKind::leaf;
    return follow_page(machine, vmf, huge ? pmd.leaf : entry_at(state, vmf.space, vmf.at), huge);
}

bool made_by_kernel(const Access& access) {
    return access.kernel || access.kind >= AccessKind::gup_read;
}

/// SR-7: the kernel's own accesses fail with an errno where a program gets a signal.
/// faultin_page(), do_user_addr_fault().
Outcome signal(const Access& access, Verdict verdict) {
    if (made_by_kernel(access)) {
        return Outcome::fail(access.forced ? EIO : EFAULT);
    }
    return {verdict, 0, 0, 0};
}

/// migration_entry_wait().
void wait_for_migration(State& state, u8 thread, const Access& access) {
    Thread& self = state.threads[thread];
    self.waiting = Waiting::migration;
    self.context = nobody;
    self.access = access;
}

/// check_vma_flags(), writable_file_mapping_allowed(), 6.5: a device that writes to a page whose
/// writers the file must hear of would go past it. Memory that is never written back may be pinned.
bool refuses_pin(const Machine& machine, u8 thread, u64 address) {
    const State& state = machine.state;
    const u64 at = to_pages(address);
    const Vma* const vma = at < state.shape.space_pages
                               ? state.find_vma(state.threads[thread].space, static_cast<Vpn>(at))
                               : nullptr;
    return vma != nullptr && machine.rules.has_pin_check && kind_of(state, *vma) == MemoryKind::FS;
}

}  // namespace

/// do_user_addr_fault(); __get_user_pages() for the kernel.
Outcome do_access(Machine& machine, u8 thread, const Access& access) {
    if (access.kind == AccessKind::gup_pin && refuses_pin(machine, thread, access.address)) {
        return Outcome::fail(EFAULT);
    }
    for (unsigned turn = 0; turn < turns_max; ++turn) {
        if (const std::optional<Outcome> outcome = try_access(machine, thread, access)) {
            return *outcome;
        }
        switch (handle_mm_fault(machine, thread, access)) {
            case Fault::done:
            case Fault::retry: continue;
            case Fault::message: return {Verdict::blocked, 0, 0, 0};
            case Fault::migration:  // E-MG2
                wait_for_migration(machine.state, thread, access);
                return {Verdict::blocked, 0, 0, 0};
            case Fault::sigbus: return signal(access, Verdict::sigbus);
            case Fault::sigsegv: return signal(access, Verdict::sigsegv);
            case Fault::no_memory: return Outcome::fail(ENOMEM);
            case Fault::for_ever: return never_returns(machine.state, thread);
        }
    }
    VERSO_CHECK(false, "an access to {:#x} faults for ever", access.address);
    return {};
}

/// The pin names a page, not an address: if the page was taken from the address meanwhile, it is
/// one of those that are pinned and mapped nowhere. unpin_user_folio().
Outcome do_unpin(Machine& machine, const Call& call) {
    State& state = machine.state;
    const Vpn at = static_cast<Vpn>(to_pages(call.address));
    if (to_pages(call.address) >= state.shape.space_pages) {
        return {Verdict::disabled, 0, 0, 0};
    }
    const Entry entry = entry_at(state, state.threads[call.thread].space, at);
    InlineVector<PageId, 8> candidates;
    if ((entry.maps_page() || entry.kind == EntryKind::migration) &&
        state.pages[entry.target].pins != 0) {
        candidates.push_back(entry.target);
    } else {
        for (PageId id = 0; id < state.pages.size(); ++id) {
            if (state.pages[id].pins != 0 && rmap_walk(state, id).empty()) {
                candidates.push_back(id);
            }
        }
    }
    if (candidates.empty()) {
        return {Verdict::disabled, 0, 0, 0};
    }
    const PageId id = candidates[machine.choice.choose(static_cast<u32>(candidates.size()))];
    Page& page = state.pages[id];
    if ((call.flags & 1) != 0) {  // unpin_user_pages_dirty_lock()
        page.contents = machine.written(page.contents, call.value);
        page.dirty = true;
    }
    --page.pins;
    put_page(machine, id);
    return Outcome::ok();
}

}  // namespace verso::mm
