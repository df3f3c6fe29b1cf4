// Random programs: see the header.
//
// A program that is drawn from everything alike would rarely have a page that is mapped,
// registered, protected and swapped out. So calls that build up are more frequent than those that
// tear down, ranges are mostly whole VMAs or single pages, descriptors and files mostly exist.
#include "mm/random_program.h"

#include <algorithm>
#include <numeric>

#include <fmt/core.h>

#include "abi/abi.h"
#include "mm/model.h"
#include "mm/pagemap_scan.h"

namespace verso::mm {
namespace {

/// How often each Op is drawn, in their order.
constexpr u32 weights[] = {
    5, 1,  3, 4, 12, 2, 1,                    // mmap munmap mremap mprotect madvise fork exit
    2, 1,  1,                                 // files
    8, 14, 2, 3, 1,  1, 2, 5,                 // load store gup_*, retry
    2, 3,  7, 1, 1,  4, 2, 3, 9, 1, 3, 4, 1,  // userfaultfd, as in Op
    2, 1,  6,                                 // clear_refs pagemap pagemap_scan
    7, 1,  1, 4, 4,  2, 3, 4, 1, 3, 2, 2, 3, 2, 2, 1, 2, 1,  // the kernel, as in Op
};
static_assert(std::size(weights) == op_count, "one weight for each Op");

Op random_op(Choice& choice) {
    constexpr u32 total = std::accumulate(std::begin(weights), std::end(weights), 0U);
    u32 drawn = choice.choose(total);
    u8 op = 0;
    while (drawn >= weights[op]) {
        drawn -= weights[op++];
    }
    return static_cast<Op>(op);
}

/// Without memory, without a descriptor, without a registration little can happen.
Op what_is_missing(const State& state, Choice& choice) {
    bool mapped = false;
    bool registered = false;
    for (const Space& space : state.spaces) {
        for (const Vma& vma : space.vmas) {
            mapped = true;
            registered = registered || vma.context != nobody;
        }
    }
    bool open = false;
    bool ready = false;
    for (const Context& context : state.contexts) {
        open = open || context.open;
        ready = ready || (context.open && context.api_done);
    }
    if (!mapped) {
        return choice.coin() ? Op::file_create : Op::mmap;
    }
    if (!ready) {
        return open ? Op::uffd_api : Op::uffd_open;
    }
    return registered ? random_op(choice) : Op::uffd_register;
}

bool can_spare_one(const State& state) {
    return std::ranges::count_if(state.spaces, &Space::alive) > 1;
}

bool rarely(Choice& choice) { return choice.choose(24) == 23; }

/// Draws the arguments of one call.
class Draw {
public:
    Draw(const State& state, Choice& choice, Call& call)
        : state_(state), choice_(choice), call_(call) {}

    void arguments() {
        const Op op = call_.op;
        thread();
        if (op > Op::uffd_open && op <= Op::uffd_close) {
            context();
        }
        range();
        if (op == Op::mmap) {
            mmap();
        } else if (op == Op::mremap) {
            mremap();
        } else if (op == Op::mprotect) {
            call_.flags = choice_.choose(3) != 0 ? 3 : choice_.choose(4);
        } else if (op == Op::madvise) {
            const bool merge = choice_.choose(6) == 0;
            call_.flags = merge ? static_cast<u32>(Advice::mergeable) : choice_.choose(14);
        } else if (op >= Op::file_create && op <= Op::punch_hole) {
            of_file();
        } else if (op == Op::store || op == Op::gup_write || op == Op::gup_read) {
            call_.value = value();
            call_.flags = op != Op::store && choice_.choose(4) == 0 ? 1 : 0;
        } else if (op == Op::gup_unpin) {
            call_.value = value();
            call_.flags = choice_.choose(2);
        } else if (op == Op::pagemap_scan) {
            scan();
        } else if (op == Op::ksm_merge) {
            call_.flags = choice_.choose(2);
            call_.extra = choice_.coin() ? 0 : choice_.choose(threads() + 1);
            call_.source = to_bytes(page());
            equal_page();
        } else if (op == Op::device_unmap || op == Op::device_finalize) {
            call_.flags = choice_.choose(4) == 0 ? 1 : 0;
        } else if (op == Op::uffd_open) {
            call_.flags = choice_.choose(8) == 0 ? 1 : 0;
        } else if (op > Op::uffd_open && op <= Op::uffd_close) {
            userfaultfd();
        }
        if (rarely(choice_)) {
            anything();
        }
    }

private:
    Contents value() { return choice_.choose(5); }
    u32 threads() const { return static_cast<u32>(state_.threads.size()); }
    u32 page() { return choice_.choose(state_.shape.space_pages); }

    void thread() {
        const u32 first = choice_.choose(static_cast<u32>(state_.threads.size()));
        call_.thread = static_cast<u8>(first);
        for (u32 i = 0; i < state_.threads.size(); ++i) {
            const u32 id = (first + i) % static_cast<u32>(state_.threads.size());
            const Thread& one = state_.threads[id];
            const bool waits = one.waiting != Waiting::no;
            if (one.alive && (call_.op >= Op::reclaim || waits == (call_.op == Op::retry))) {
                call_.thread = static_cast<u8>(id);
                return;
            }
        }
    }

    u8 space() const {
        const u8 of_thread = state_.threads[call_.thread].space;
        return of_thread < state_.spaces.size() ? of_thread : u8{0};
    }

    /// Where the call works: a VMA as a whole, one page of it, a huge page's range; or anywhere.
    void range() {
        const u8 where =
            call_.fd < state_.contexts.size() ? state_.contexts[call_.fd].space : space();
        const Vma* const vma = where < state_.spaces.size() ? some_vma(where) : nullptr;
        const u32 huge = state_.shape.huge_pages;
        if (vma == nullptr || rarely(choice_)) {
            call_.address = to_bytes(u64{page()} / huge * huge);
            call_.length = to_bytes(choice_.coin() ? huge : 1);
            return;
        }
        const u32 pages = vma->end - vma->start;
        u32 first = vma->start;
        u32 count = pages;
        switch (choice_.choose(3)) {
            case 0: break;
            case 1:
                first += choice_.choose(pages);
                count = 1;
                break;
            default:
                first = std::max(first, (first + choice_.choose(pages)) / huge * huge);
                count = std::min(huge, vma->end - first);
                break;
        }
        call_.address = to_bytes(first);
        call_.length = to_bytes(count);
        seek(where);
    }

    /// Of a userfaultfd, rather one that is registered with it.
    const Vma* some_vma(u8 where) {
        const auto& vmas = state_.spaces[where].vmas;
        const u32 count = static_cast<u32>(vmas.size());
        const u32 first = count == 0 ? 0 : choice_.choose(count);
        for (u32 i = 0; i < count; ++i) {
            const Vma& vma = vmas[(first + i) % count];
            const bool merges = call_.op == Op::ksm_merge || call_.op == Op::ksm_unmerge;
            const bool fits = merges ? vma.has(VmFlag::mergeable)
                                     : call_.fd == nobody || call_.op == Op::uffd_register ||
                                           vma.context == call_.fd;
            if (fits) {
                return &vma;
            }
        }
        return count == 0 ? nullptr : &vmas[first];
    }

    /// Steps that need an entry of some kind look for one.
    void seek(u8 where) {
        const Op op = call_.op;
        EntryKind wanted = EntryKind::present;
        if (op == Op::migrate_end || op == Op::migrate_fail ||
            (op >= Op::device_unmap && op <= Op::device_finalize)) {
            wanted = EntryKind::migration;
        } else if (op == Op::swap_slot_fails) {
            wanted = EntryKind::swap;
        } else if (op < Op::reclaim) {
            return;
        }
        const u32 start = page();
        for (u32 i = 0; i < state_.shape.space_pages; ++i) {
            const u32 at = (start + i) % state_.shape.space_pages;
            if (entry_at(state_, where, at).kind == wanted) {
                call_.address = to_bytes(at);
                return;
            }
        }
    }

    /// KSM's partner: another page with the same bytes, if there is one in the address space.
    void equal_page() {
        const u8 where = call_.extra == 0 ? space() : state_.threads[call_.extra - 1].space;
        const Entry mine = entry_at(state_, space(), static_cast<Vpn>(to_pages(call_.address)));
        const u32 start = page();
        for (u32 i = 0; mine.maps_page() && where != nobody && i < state_.shape.space_pages; ++i) {
            const u32 at = (start + i) % state_.shape.space_pages;
            const Entry entry = entry_at(state_, where, at);
            if (entry.maps_page() && entry.target != mine.target &&
                state_.pages[entry.target].contents == state_.pages[mine.target].contents) {
                call_.source = to_bytes(at);
                return;
            }
        }
    }

    void file() {
        if (!state_.files.empty()) {
            call_.fd = static_cast<u8>(choice_.choose(static_cast<u32>(state_.files.size())));
        }
    }

    void of_file() {
        if (call_.op == Op::file_create) {
            call_.flags = choice_.choose(3) | (rarely(choice_) ? 4U : 0U);
            call_.flags |= rarely(choice_) ? 8U : 0U;
            call_.length = to_bytes(choice_.choose(state_.shape.space_pages) + 1);
            return;
        }
        file();
        if (call_.op == Op::ftruncate) {
            call_.length = to_bytes(choice_.choose(state_.shape.space_pages + 1));
        }
    }

    void mmap() {
        using Flags = MapFlags;
        const u32 huge = state_.shape.huge_pages;
        call_.flags = (choice_.choose(6) != 0 ? Flags::read | Flags::write : choice_.choose(4)) |
                      Flags::fixed | (choice_.coin() ? Flags::shared : 0U);
        call_.flags |= rarely(choice_) ? Flags::locked : 0U;
        call_.flags |= rarely(choice_) ? Flags::droppable : 0U;
        call_.flags ^= rarely(choice_) ? Flags::fixed : 0U;
        const u32 first = page() / huge * huge;
        const u32 room = state_.shape.space_pages - first;
        call_.address = to_bytes(first);
        call_.length = to_bytes(std::min(room, choice_.coin() ? huge : choice_.choose(room) + 1));
        if (choice_.choose(3) != 0) {
            file();
            call_.extra = to_bytes(choice_.choose(3) == 0 ? choice_.choose(4) : 0);
        }
    }

    void mremap() {
        using Flags = RemapFlags;
        call_.extra = choice_.choose(4) == 0 ? to_bytes(page() + 1) : call_.length;
        call_.source = to_bytes(choice_.coin() ? page() / 2 * 2 : page());
        call_.flags = Flags::may_move | (choice_.coin() ? Flags::fixed : 0U) |
                      (choice_.choose(3) == 0 ? Flags::dontunmap : 0U);
        call_.flags = rarely(choice_) ? 0 : call_.flags;
    }

    void scan() {
        ScanArg arg;
        arg.flags = choice_.choose(4);
        arg.start = call_.address;
        arg.end = call_.address + call_.length;
        arg.vec_len = choice_.choose(3) == 0 ? choice_.choose(4) : 16;
        arg.max_pages = choice_.choose(3) == 0 ? choice_.choose(4) : 0;
        arg.category_mask = choice_.choose(3) == 0 ? 0 : abi::PageIs::written;
        arg.return_mask = abi::PageIs::written;
        if (choice_.choose(3) == 0) {
            arg.category_inverted = u64{1} << choice_.choose(9);
            arg.category_anyof_mask = u64{1} << choice_.choose(9);
            arg.return_mask = abi::PageIs::guard * 2 - 1;
        }
        call_ = to_call(arg, call_.thread);
    }

    /// One that is ready for the call, if there is one.
    void context() {
        const u32 count = static_cast<u32>(state_.contexts.size());
        const u32 first = count == 0 ? 0 : choice_.choose(count);
        for (u32 i = 0; i < count; ++i) {
            const u32 id = (first + i) % count;
            const Context& one = state_.contexts[id];
            if (one.open && one.api_done == (call_.op != Op::uffd_api)) {
                call_.fd = static_cast<u8>(id);
                return;
            }
        }
        call_.fd = count == 0 ? nobody : static_cast<u8>(first);
    }

    void userfaultfd() {
        const Op op = call_.op;
        if (op == Op::uffd_api) {
            call_.flags = 0;
            call_.address = abi::uffd_api_version;
            call_.extra = features();
        } else if (op == Op::uffd_register) {
            call_.flags = choice_.choose(3) != 0 ? 2 : choice_.choose(8);
        } else if (op == Op::uffd_copy || op == Op::uffd_continue) {
            call_.value = value();
            call_.flags = choice_.choose(4);
        } else if (op == Op::uffd_writeprotect) {
            call_.flags = choice_.choose(3) != 0 ? 1 : choice_.choose(4);
        } else if (op == Op::uffd_zeropage || op == Op::uffd_poison) {
            call_.flags = choice_.choose(2);
        } else if (op == Op::uffd_move) {
            call_.flags = choice_.choose(4);
            call_.source = to_bytes(choice_.coin() ? page() / 2 * 2 : page());
        } else if (op == Op::uffd_read) {
            call_.length = u64{32} * choice_.choose(4);
        }
    }

    u64 features() {
        using Feature = abi::Feature;
        u64 all = Feature::wp_hugetlbfs_shmem;
        for (const u64 one : {Feature::wp_unpopulated, Feature::wp_async, Feature::sigbus,
                              Feature::event_fork, Feature::event_remap, Feature::event_remove,
                              Feature::event_unmap, Feature::exact_address}) {
            all |= choice_.choose(3) == 0 ? one : 0;
        }
        return all;
    }

    /// One argument is not what it should be.
    void anything() {
        switch (choice_.choose(6)) {
            case 0: call_.flags = choice_.choose(64); break;
            case 1: call_.fd = static_cast<u8>(choice_.choose(8)); break;
            case 2: call_.address = to_bytes(choice_.choose(16)) + choice_.choose(2); break;
            case 3: call_.length = to_bytes(choice_.choose(16)) + choice_.choose(2); break;
            case 4: call_.source = to_bytes(choice_.choose(16)) + choice_.choose(2); break;
            default: call_.extra = to_bytes(choice_.choose(16)) + choice_.choose(2); break;
        }
    }

    const State& state_;
    Choice& choice_;
    Call& call_;
};

}  // namespace

State random_machine(Choice& choice) {
    Shape shape;
    shape.space_pages = choice.coin() ? 4 : 8;
    shape.pages = static_cast<u16>(choice.choose(3) == 0 ? 4 + choice.choose(5) : 24);
    shape.slots = static_cast<u16>(choice.choose(4) == 0 ? choice.choose(3) : 6);
    shape.nodes = static_cast<u8>(1 + choice.choose(2));
    State state = boot(shape);
    state.thp_enabled = choice.coin();
    if (choice.coin()) {  // a second thread of the same process
        Thread thread = state.threads[0];
        thread.node = static_cast<u8>(shape.nodes - 1);
        state.threads.push_back(thread);
    }
    return state;
}

Call random_call(const State& state, Choice& choice) {
    Call call{.op = choice.coin() ? what_is_missing(state, choice) : random_op(choice)};
    if (call.op == Op::exit && !can_spare_one(state)) {
        call.op = Op::store;
    }
    Draw(state, choice, call).arguments();
    return call;
}

std::string line_of(const Call& call, const Outcome& outcome) {
    return fmt::format("{} value {} source {:#x} extra {:#x} → {}", to_string(call), call.value,
                       call.source, call.extra, to_string(outcome));
}

}  // namespace verso::mm
