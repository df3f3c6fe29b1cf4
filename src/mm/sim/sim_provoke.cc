// SimWorld: what the kernel is provoked to, and what others do to it.
#include <algorithm>
#include <array>

#include "mm/sim/sim_world.h"

namespace verso::mm::sim {

using kernel::Half;
using kernel::Trigger;

Verdict SimWorld::attempt(Process& process, Op op, u64 address, u64 source) {
    const u64 unit = huge_page_size();
    Call call{.op = op, .thread = thread_of(process)};
    call.address = address;
    call.source = source;
    return memory_.step_at(process.space, round_down(address, unit), unit, call).verdict;
}

bool SimWorld::act(Process& process, Op op, u64 address, u64 source) {
    return attempt(process, op, address, source) == Verdict::done;
}

bool SimWorld::is_merged(const Process& process, u64 address) const {
    const Entry entry = entry_at(state(), process.space, static_cast<Vpn>(to_pages(address)));
    return entry.maps_page() && state().pages[entry.target].ksm;
}

/// Each page with the first of the range that is equal to it. What is merged already stays; of two
/// that are not, the page that the scanner comes to second (cmp_and_merge_page()).
bool SimWorld::merge_all(Process& process, u64 address, u64 length) {
    bool acted = false;
    for (u64 second = page_size; second < length; second += page_size) {
        for (u64 first = 0; first < second; first += page_size) {
            const bool first_stays = is_merged(process, address + first);
            const u64 stays = address + (first_stays ? first : second);
            const u64 goes = address + (first_stays ? second : first);
            if (act(process, Op::ksm_merge, stays, goes)) {
                acted = true;
                break;
            }
        }
    }
    return acted;
}

/// Each half is one step of the model.
static Call call_of(Half half) {
    switch (half) {
        case Half::migrate_begin: return {.op = Op::migrate_begin};
        case Half::migrate_end: return {.op = Op::migrate_end};
        case Half::migrate_fail: return {.op = Op::migrate_fail};
        case Half::write_back_begin: return {.op = Op::writeback_begin};
        case Half::write_back_end: return {.op = Op::writeback_end};
        case Half::swap_slot_fails: return {.op = Op::swap_slot_fails};
        case Half::memory_failure: return {.op = Op::memory_failure};
        case Half::device_collect: return {.op = Op::device_collect};
        case Half::device_unmap: return {.op = Op::device_unmap};
        case Half::device_unmap_held: return {.op = Op::device_unmap, .flags = 1};
        case Half::device_migrate: return {.op = Op::device_migrate};
        case Half::device_finalize: return {.op = Op::device_finalize};
        case Half::device_give_up: return {.op = Op::device_finalize, .flags = 1};
        case Half::pin_to_read: return {.op = Op::gup_unshare};
        case Half::merge_zeroes: return {.op = Op::ksm_merge, .flags = 1};
        case Half::device_writes: return {.op = Op::gup_unpin, .flags = 1};
        case Half::other_node:  // no steps: see provoke()
        case Half::memory_full:
        case Half::memory_back:
        case Half::swap_full:
        case Half::at_the_end: break;
    }
    VERSO_CHECK(false, "no such half: {}", static_cast<unsigned>(half));
    return {};
}

bool SimWorld::act_all(Process& process, Trigger trigger, u64 address, u64 length) {
    const bool huge = trigger == Trigger::thp_collapse || trigger == Trigger::thp_split;
    const u64 unit = huge ? huge_page_size() : page_size;
    bool acted = false;
    const u64 end = std::min(address + length, memory_.limit());
    for (u64 at = huge ? round_down(address, unit) : address; at < end; at += unit) {
        if (kernel::is_half(trigger)) {
            constexpr std::array<std::byte, sizeof(u64)> nothing{};
            const Versions::Write write(memory_.versions(), 0, nothing);  // of device_writes
            Call call = call_of(kernel::half_of(trigger));
            call.thread = thread_of(process);
            call.address = at;
            call.value = call.op == Op::gup_unpin ? write.number() : zeroes;
            const u64 around = round_down(at, huge_page_size());
            acted |= memory_.step_at(process.space, around, huge_page_size(), call).verdict ==
                     Verdict::done;
            continue;
        }
        switch (trigger) {
            case Trigger::reclaim: acted |= act(process, Op::reclaim, at); break;
            case Trigger::migrate:
                if (act(process, Op::migrate_begin, at)) {
                    acted |= act(process, Op::migrate_end, at);
                }
                break;
            case Trigger::numa_hint: acted |= act(process, Op::numa_scan, at); break;
            case Trigger::ksm_unmerge: acted |= act(process, Op::ksm_unmerge, at); break;
            case Trigger::thp_collapse: acted |= act(process, Op::thp_collapse, at); break;
            case Trigger::thp_split: acted |= act(process, Op::thp_split, at); break;
            case Trigger::write_back:
                if (act(process, Op::writeback_begin, at)) {
                    act(process, Op::writeback_end, at);
                    acted = true;
                }
                break;
            case Trigger::swap_off:
            case Trigger::ksm_merge: break;  // not page by page
        }
    }
    return acted;
}

/// Memory and swap that somebody else needs, and no longer needs. A page that is taken is one that
/// a device has pinned and nobody maps; a slot is some file's.
bool SimWorld::take_or_give_back(Half half) {
    State& all = memory_.state();
    bool acted = false;
    if (half == Half::memory_full) {
        for (PageId id = 0; id < all.pages.size(); ++id) {
            if (all.pages[id].use == PageUse::free) {
                all.pages[id].use = PageUse::anonymous;
                all.pages[id].pins = 1;
                taken_.push_back(id);
                acted = true;
            }
        }
    } else if (half == Half::memory_back) {
        for (const PageId id : std::exchange(taken_, {})) {
            all.pages[id].pins = 0;
            put_page(memory_.machine(), id);
            acted = true;
        }
    } else {
        for (Slot& slot : all.slots) {
            if (slot.count == 0 && slot.cached == no_page && !slot.in_file_cache) {
                slot.in_file_cache = true;
                acted = true;
            }
        }
    }
    return acted;
}

kernel::Provoked SimWorld::provoke(int id, Trigger trigger, u64 address, u64 length) {
    Process& process = at(id);
    VERSO_CHECK(process.alive, "process {} has ended", id);
    scheduler_.yield();
    const u64 from = memory_.to_model(process.space, address);
    bool acted = false;
    if (trigger == trigger_of(Half::other_node)) {
        Thread& thread = memory_.state().threads[thread_of(process)];
        acted = state().shape.nodes == 2;
        thread.node = acted ? 1 - thread.node : thread.node;
    } else if (trigger == trigger_of(Half::at_the_end)) {
        acted = true;  // whoever asked goes to end()
    } else if (trigger == trigger_of(Half::memory_full) ||
               trigger == trigger_of(Half::memory_back) || trigger == trigger_of(Half::swap_full)) {
        acted = take_or_give_back(kernel::half_of(trigger));
    } else if (trigger == Trigger::swap_off) {
        const auto used = [&] {
            return std::ranges::any_of(state().slots, [](const Slot& slot) {
                return slot.count != 0 || slot.in_file_cache;
            });
        };
        const bool before = used();
        const Verdict verdict = attempt(process, Op::swapoff, from, 0);
        acted = verdict == Verdict::done && before;
        if (verdict == Verdict::blocked) {  // FX-5
            return {false, "it never ends"};
        }
    } else if (trigger == Trigger::ksm_merge) {
        acted = merge_all(process, from, length);
    } else {
        acted = act_all(process, trigger, from, length);
    }
    return {acted, acted ? "" : "nothing in the range is in a state for it"};
}

}  // namespace verso::mm::sim
