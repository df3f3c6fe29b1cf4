// The filling ioctls: COPY, ZEROPAGE, CONTINUE, POISON (section 5.4 of the specification;
// mm/userfaultfd.c mfill_atomic(), mm/shmem.c, mm/hugetlb.c). All four are one walk that stops at
// the first page that cannot be filled and says how far it came; what they put there differs.
//
//   COPY       a new page with these contents       CONTINUE   the page that the cache has already
//   ZEROPAGE   zeroes                               POISON     a marker that kills who touches it
//
// As of 6.18. CONTINUE since 5.13 (hugetlb) and 5.14, protecting since 6.4; COPY protects whatever
// VM_WRITE says since 5.18 (FX-4); POISON since 6.6.
#include <cerrno>

#include "abi/abi.h"
#include "mm/fault.h"

namespace verso::mm {
namespace {

/// One call, past its checks. `wp`: MODE_WP.
struct Fill {
    Op op;
    u8 space;
    u8 node;
    bool wp;
    Contents value;
    Vpn start;
    Vma vma;
};

/// FL-27: nothing is there, or a marker that a fill may replace. pte_none_mostly() of 6.18 takes a
/// guard for one.
bool none_mostly(const Rules& rules, const Entry& entry) {
    const bool guard = entry.is_marker(Marker::guard) && rules.fills_leave_guards;
    return entry.none() || (entry.kind == EntryKind::marker && !guard);
}

/// Is the address beyond the end of the file (FL-15)? Anonymous memory has none.
/// mfill_atomic_install_pte(), mfill_file_over_size().
bool beyond_end(const State& state, const Vma& vma, Vpn at) {
    return vma.file != nobody && vma.index(at) >= state.files[vma.file].size;
}

bool in_cache(const State& state, const Vma& vma, Vpn at) {
    const Cached& cached = state.files[vma.file].cache[vma.index(at)];
    return cached.page != no_page || cached.slot != no_slot;
}

/// The leaf of a hugetlb VMA, else the entry. mfill_atomic_install_pte().
void install(Machine& machine, const Fill& fill, Vpn at, const Entry& entry) {
    if (is_hugetlb(machine.state, fill.vma)) {
        set_leaf(machine, fill.space, at, entry);
    } else {
        set_pte(machine, fill.space, at, entry);
    }
}

/// mfill_atomic_install_pte(): FL-28, FL-29, FL-33, FL-34, FL-36, VP15.
void install_page(Machine& machine, const Fill& fill, Vpn at, PageId page, bool was_cached) {
    const bool writable =
        fill.vma.has(VmFlag::write) && !fill.wp && !(was_cached && !fill.vma.shared());
    Entry entry = pte_mkdirty(mk_pte(page, fill.vma));
    if (is_hugetlb(machine.state, fill.vma)) {
        entry = pte_wrprotect(entry);  // make_huge_pte() looks at nothing but `writable`
    }
    if (writable && adds_write(machine.rules, WriteSite::fill)) {
        entry = pte_mkwrite(entry);
    }
    // Until 5.18 a VMA that may not be written took no protection either (FX-4).
    if (fill.wp && (fill.vma.has(VmFlag::write) || machine.rules.copy_wp_ignores_vm_write)) {
        entry = mkuffd_wp_at(machine, entry, WpSite::copy);
    }
    install(machine, fill, at, entry);
}

/// Of the pages that `fill` brings to `at`.
void set_contents(Machine& machine, const Fill& fill, Vpn at, PageId first, u32 count) {
    for (u32 i = 0; i < count; ++i) {
        machine.state.pages[first + i].contents =
            fill.op == Op::uffd_copy ? machine.filled(fill.value, at - fill.start + i) : zeroes;
    }
}

/// A page of the process's own, or (shared) one that the file gets first (FL-29, FL-32).
/// mfill_atomic_pte_copy(), shmem_mfill_atomic_pte().
PageId new_page(Machine& machine, const Fill& fill, Vpn at, u32 size) {
    State& state = machine.state;
    if (fill.vma.shared()) {
        const PageId page = cache_page(machine, fill.vma.file, fill.vma.index(at), true);
        if (page != no_page) {
            do_page_mkwrite(state, page);
        }
        return page;
    }
    const PageId page = size > 1 ? alloc_huge(machine, PageUse::anonymous, fill.node, true)
                                 : alloc_page(machine, PageUse::anonymous, fill.node);
    for (u32 i = 0; page != no_page && i < size; ++i) {
        state.pages[page + i].anon_exclusive = true;
    }
    return page;
}

/// FL-15 to FL-18; for shared ZEROPAGE too, which is a copy of zeroes.
/// mfill_atomic_pte_copy(), hugetlb_mfill_atomic_pte().
int fill_copy(Machine& machine, const Fill& fill, Vpn at, u32 size) {
    State& state = machine.state;
    // A private huge page is never looked up in the file: 6.18 does not miss it there.
    const bool looks =
        !is_hugetlb(state, fill.vma) || fill.vma.shared() || machine.rules.fills_end_with_file;
    if (looks && beyond_end(state, fill.vma, at)) {
        return EFAULT;
    }
    if (!none_mostly(machine.rules, entry_at(state, fill.space, at)) ||
        (fill.vma.shared() && in_cache(state, fill.vma, at))) {
        return EEXIST;
    }
    const PageId page = new_page(machine, fill, at, size);
    if (page == no_page) {
        return ENOMEM;
    }
    set_contents(machine, fill, at, page, size);
    install_page(machine, fill, at, page, false);
    return 0;
}

/// FL-19, FL-31. mfill_atomic_pte_zeropage().
int fill_zeropage(Machine& machine, const Fill& fill, Vpn at) {
    if (beyond_end(machine.state, fill.vma, at)) {
        return EFAULT;
    }
    if (!entry_at(machine.state, fill.space, at).none()) {
        return EEXIST;
    }
    install(machine, fill, at, mk_zero(fill.vma));
    return 0;
}

/// FL-21 to FL-23, FL-33, FL-34. mfill_atomic_pte_continue() (5.13).
int fill_continue(Machine& machine, const Fill& fill, Vpn at) {
    State& state = machine.state;
    if (beyond_end(state, fill.vma, at) && !is_hugetlb(state, fill.vma)) {
        return EINVAL;  // shmem_get_folio(), as the running 6.18 showed
    }
    if (beyond_end(state, fill.vma, at) || !in_cache(state, fill.vma, at)) {
        return EFAULT;
    }
    const u16 slot = state.files[fill.vma.file].cache[fill.vma.index(at)].slot;
    if (slot != no_slot && state.slots[slot].unreadable) {
        return EIO;
    }
    const PageId cached = state.files[fill.vma.file].cache[fill.vma.index(at)].page;
    if (cached != no_page && state.pages[cached].hwpoison) {
        return EIO;
    }
    // Before anything is read back from swap, so that a call that fails changes nothing.
    if (!none_mostly(machine.rules, entry_at(state, fill.space, at))) {
        return EEXIST;
    }
    const PageId page = cache_page(machine, fill.vma.file, fill.vma.index(at), true);
    if (page == no_page) {
        return ENOMEM;
    }
    install_page(machine, fill, at, page, true);
    return 0;
}

/// FL-20, FL-35. hugetlb does not ask how long its file is (FL-15 speaks of shmem alone).
/// mfill_atomic_pte_poison() (6.6).
int fill_poison(Machine& machine, const Fill& fill, Vpn at) {
    if (!is_hugetlb(machine.state, fill.vma) && beyond_end(machine.state, fill.vma, at)) {
        return EFAULT;
    }
    if (!entry_at(machine.state, fill.space, at).none()) {
        return EEXIST;
    }
    install(machine, fill, at, make_marker(Marker::poisoned));
    return 0;
}

/// One page, or one huge page: 0 or an errno. mfill_atomic_pte(), mfill_atomic_hugetlb().
int fill_one(Machine& machine, const Fill& fill, Vpn at) {
    const bool huge = is_hugetlb(machine.state, fill.vma);
    if (!huge && pmd_of(machine.state, fill.space, at).kind == PmdKind::leaf) {
        return EEXIST;  // FL-12
    }
    const u32 size = huge ? machine.state.shape.huge_pages : 1;
    if (fill.op == Op::uffd_continue) {
        return fill_continue(machine, fill, at);
    }
    if (fill.op == Op::uffd_poison) {
        return fill_poison(machine, fill, at);
    }
    const bool maps_zero_page = fill.op == Op::uffd_zeropage && !fill.vma.shared();
    return maps_zero_page ? fill_zeropage(machine, fill, at) : fill_copy(machine, fill, at, size);
}

u32 known_modes(const Rules& rules, Op op) {
    using Mode = abi::UffdFillMode;
    const bool protects = op == Op::uffd_copy || (op == Op::uffd_continue && rules.has_continue_wp);
    return static_cast<u32>(Mode::dont_wake | (protects ? Mode::wp : 0));
}

/// FL-6 to FL-10: 0 or an errno. mfill_atomic(), uffd_mfill_lock().
int vma_error(const Machine& machine, const Vma* vma, const Call& call, bool wp) {
    const State& state = machine.state;
    const u64 end = to_pages(call.address + call.length);
    const bool ours = vma != nullptr && (machine.rules.ioctls_ask_owner ? vma->context == call.fd
                                                                        : vma->context != nobody);
    if (!ours || end > vma->end) {
        return ENOENT;
    }
    if (wp && !vma->has(VmFlag::uffd_wp)) {
        return EINVAL;
    }
    const u64 huge = to_bytes(state.shape.huge_pages);
    const bool cut = call.address % huge != 0 || call.length % huge != 0;
    if (is_hugetlb(state, *vma) && (cut || call.op == Op::uffd_zeropage)) {
        return EINVAL;
    }
    const MemoryKind kind = kind_of(state, *vma);
    const bool ordinary = kind == MemoryKind::FS || kind == MemoryKind::FP;
    const bool can_continue =
        is_hugetlb(state, *vma) || (kind != MemoryKind::A && machine.rules.has_minor_shmem);
    return ordinary || (call.op == Op::uffd_continue && !can_continue) ? EINVAL : 0;
}

/// FL-3: where COPY reads from is memory of the program, which the model's scope need not contain.
/// validate_unaligned_range().
bool source_wraps(const Call& call) {
    constexpr u64 user_limit = u64{1} << 47;
    return call.source >= user_limit || call.length > user_limit - call.source;
}

/// CONTINUE waits for the lock of a page that is on its way elsewhere.
bool waits_for_page(const State& state, const Vma& vma, const Call& call) {
    const Vpn start = static_cast<Vpn>(to_pages(call.address));
    for (u32 i = 0; call.op == Op::uffd_continue && i < to_pages(call.length); ++i) {
        const u32 index = vma.index(start + i);
        const bool within = index < state.files[vma.file].size;
        const PageId page = within ? state.files[vma.file].cache[index].page : no_page;
        if (page != no_page && state.pages[head_of(state, page)].locked) {
            return true;
        }
    }
    return false;
}

Outcome mfill_atomic(Machine& machine, const Call& call, Contents value) {
    State& state = machine.state;
    const Context& context = state.contexts[call.fd];
    if (context.mmap_changing != 0) {  // FL-1; FL-7 is the same question in a model of whole steps
        return partly_done(0, call.length, EAGAIN);
    }
    const bool bad_source = call.op == Op::uffd_copy && source_wraps(call);
    if (bad_source || validate_range(state, call.address, call.length) != 0 ||  // FL-3
        (call.flags & ~known_modes(machine.rules, call.op)) != 0) {             // FL-4
        return Outcome::fail(EINVAL);
    }
    if (context.space == nobody || !state.spaces[context.space].alive) {  // FL-5
        return Outcome::fail(ESRCH);
    }
    const bool wp = (call.flags & abi::UffdFillMode::wp) != 0;
    const Vpn start = static_cast<Vpn>(to_pages(call.address));
    const Vma* const vma = state.find_vma(context.space, start);
    if (const int error = vma_error(machine, vma, call, wp); error != 0) {
        return partly_done(0, call.length, error);
    }
    if (waits_for_page(state, *vma, call)) {
        return {Verdict::disabled, 0, 0, 0};
    }
    const Fill fill{call.op, context.space, state.threads[call.thread].node, wp, value,
                    start,   *vma};
    const u32 unit = is_hugetlb(state, *vma) ? state.shape.huge_pages : 1;
    u64 done = 0;
    int error = 0;
    while (done < call.length && error == 0) {
        error = fill_one(machine, fill, start + static_cast<Vpn>(to_pages(done)));
        done += error == 0 ? to_bytes(unit) : 0;
    }
    if (done != 0 && (call.flags & abi::UffdFillMode::dont_wake) == 0) {  // FL-26
        wake_range(machine, call.fd, call.address, call.address + done);
    }
    return partly_done(done, call.length, error);
}

}  // namespace

/// `value` is what the result field says: bytes, or the negative errno of a call that did nothing.
/// userfaultfd_copy() and its like: put_user() of the result.
Outcome partly_done(u64 done, u64 length, int error) {
    const i64 field = done == 0 && error != 0 ? -error : static_cast<i64>(done);
    if (done == length && error == 0) {
        return {Verdict::done, 0, field, done};
    }
    return {Verdict::failed, done == 0 ? error : EAGAIN, field, done};
}

/// userfaultfd_copy(), mfill_atomic_copy().
Outcome uffd_copy(Machine& machine, const Call& call) {
    return mfill_atomic(machine, call, call.value);
}
/// userfaultfd_zeropage(), mfill_atomic_zeropage().
Outcome uffd_zeropage(Machine& machine, const Call& call) {
    return mfill_atomic(machine, call, zeroes);
}
/// userfaultfd_continue(), mfill_atomic_continue().
Outcome uffd_continue(Machine& machine, const Call& call) {
    return mfill_atomic(machine, call, zeroes);
}
/// userfaultfd_poison(), mfill_atomic_poison().
Outcome uffd_poison(Machine& machine, const Call& call) {
    return mfill_atomic(machine, call, zeroes);
}

}  // namespace verso::mm
