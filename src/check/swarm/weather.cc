// What happens to the programs of a simulated run from outside: the kernel moves, swaps, hints and
// merges their pages, and somebody kills them.
#include <algorithm>

#include "check/swarm/world.h"

namespace verso::check::swarm {
namespace {

constexpr u32 hang_up_within = 300;
constexpr u32 vma_pages_max = 64;  // larger ones are ledgers: nothing of interest is moved there

}  // namespace

/// A page of some memory that lives; or, one time in four, of any mapping of its process: the
/// engine's own views and files are memory too.
std::optional<std::pair<int, u64>> World::some_page(u32 which, u32 how) {
    std::vector<MemoryRef> living;
    for (const std::weak_ptr<Memory>& each : all_) {
        MemoryRef memory = each.lock();
        if (memory != nullptr && houses_[memory->process]->alive) {
            living.push_back(std::move(memory));
        }
    }
    if (living.empty()) {
        return std::nullopt;
    }
    const Memory& memory = *living[which % living.size()];
    const auto process = static_cast<int>(memory.process);
    if (how % 4 != 3) {
        return std::pair{process, memory.base + to_bytes(how / 4 % plan_.knobs.pages)};
    }
    std::vector<u64> pages;
    for (const mm::Vma& vma : world_.state().spaces[world_.space_of(process)].vmas) {
        for (mm::Vpn at = vma.start; vma.end - vma.start <= vma_pages_max && at < vma.end; ++at) {
            pages.push_back(to_bytes(at));
        }
    }
    if (pages.empty()) {
        return std::nullopt;
    }
    return std::pair{process, world_.from_model(process, pages[how / 4 % pages.size()])};
}

void World::end_migration() {
    if (slow_) {
        world_.end_migration(slow_->folio);
        say("migration of {:#x} ends", slow_->address);
    }
    slow_.reset();
}

void World::kernel_acts(const Act& act) {
    using kernel::Trigger;
    // Busy with something else for a while, or the whole weather would pass at the beginning.
    for (u32 turn = act.how / 4096 % 16; turn > 0; --turn) {
        world_.scheduler().yield();
    }
    const auto weather = static_cast<Weather>(act.what);
    end_migration();
    const auto page = some_page(act.which, act.how);
    if (!page) {
        return;
    }
    const auto [process, address] = *page;
    Trigger trigger{};
    switch (weather) {
        case Weather::slow_migrate: {
            if (const auto folio = world_.begin_migration(process, address)) {
                slow_ = Slow{world_.to_model(process, address), *folio};
                say("migration of {:#x} of process {} begins", slow_->address, process);
                for (u32 turn = act.how / 65536 % 64; turn > 0; --turn) {
                    world_.scheduler().yield();
                }
                end_migration();
            }
            return;
        }
        case Weather::reclaim: trigger = Trigger::reclaim; break;
        case Weather::migrate: trigger = Trigger::migrate; break;
        case Weather::numa_hint: trigger = Trigger::numa_hint; break;
        case Weather::swap_off: trigger = Trigger::swap_off; break;
        case Weather::ksm_merge: trigger = Trigger::ksm_merge; break;
        case Weather::thp_collapse: trigger = Trigger::thp_collapse; break;
        case Weather::thp_split: trigger = Trigger::thp_split; break;
    }
    const u64 length = weather == Weather::ksm_merge ? to_bytes(2) : page_size;
    const auto provoked = world_.provoke(process, trigger, address, length);
    if (provoked.acted) {
        say("{} at {:#x} of process {}", name_of(weather), world_.to_model(process, address),
            process);
    }
}

u32 World::sent() const {
    u32 all = 0;
    for (const std::unique_ptr<House>& house : houses_) {
        all += house->sent;
    }
    return all;
}

void World::strike(const Act& act) {
    const auto blow = static_cast<Blow>(act.what);
    u32 within = plan_.knobs.kill_within;
    if (blow == Blow::hang_up) {  // while hands are shaken, or, more often, after that
        const bool early = act.which % 8 == 0;
        wait_until([&] { return all_through() || (early ? world_.has_open_socket() : sent() > 0); },
                   "a child in another process");
        within = std::min(within, hang_up_within);
    }
    for (u32 turn = act.how % within; turn > 0; --turn) {
        world_.scheduler().yield();
    }
    switch (blow) {
        case Blow::kill: kill_somebody(act.which); return;
        case Blow::hang_up:
            if (world_.shut_down_socket(act.which)) {
                ++hang_ups_;
                say("a socket is shut down");
            }
            return;
    }
}

/// SIGKILL. What the process had is left where it is: nobody unwinds it.
void World::kill_somebody(u32 which) {
    // Those who have children elsewhere, if there are any: what they leave behind is of interest.
    std::vector<House*> victims;
    for (const std::unique_ptr<House>& house : houses_) {
        if (house->alive && house->sent > 0) {
            victims.push_back(&*house);
        }
    }
    kill(victims.empty() ? *houses_[which % houses_.size()] : *victims[which % victims.size()]);
}

/// Somebody must be left. If it is the caller's own process, this does not return.
void World::kill(House& house) {
    const auto living =
        std::ranges::count_if(houses_, [](const auto& each) { return each->alive; });
    const bool begun = world_.scheduler().current() != 0;  // that one makes the first memory
    if (!house.alive || living < 2 || !begun) {
        return;
    }
    ++kills_;
    say("process {} is killed", house.id);
    house.alive = false;
    (void)house.estate.release();  // as it is; see world.h
    house.estate = std::make_unique<House::Estate>();
    world_.exit(house.id);
}

}  // namespace verso::check::swarm
