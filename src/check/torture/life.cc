// A child's life, and what is done to its memory meanwhile.
#include "check/torture/life.h"

#include <algorithm>

#include <fmt/format.h>
#include <sys/mman.h>
#include <unistd.h>

#include "linux/address.h"
#include "linux/linux_kernel.h"
#include "linux/world/moving.h"

namespace verso::check::torture {
namespace {
constexpr int advice_cold_out = 21;  // MADV_PAGEOUT
constexpr int advice_collapse = 25;  // MADV_COLLAPSE
constexpr u64 huge_page = u64{2} << 20;
}  // namespace

engine::Runtime& runtime() {
    static engine::Runtime* const instance = new engine::Runtime(host::linux_kernel());
    return *instance;
}

void count_in(const engine::Region& region, Slot& slot) {
    const RegionStats stats = region.stats();
    slot.add(Count::write_faults, stats.write_faults);
    slot.add(Count::fill_faults, stats.fill_faults);
    slot.add(Count::pages_captured, stats.pages_captured);
    slot.add(Count::pages_revoked, stats.pages_revoked);
    slot.add(Count::pages_mapped, stats.pages_mapped);
    slot.add(Count::pages_copied, stats.pages_copied);
}

void stir(std::span<std::byte> memory, const Shared::Header& header, Slot& slot, Dice& dice) {
    const u32 asked = header.stir.load(std::memory_order_relaxed);
    const u64 pages = to_pages(memory.size());
    const u64 count = std::min(pages, 16 + dice.below(512));
    std::byte* const at = memory.data() + to_bytes(dice.below(pages - count + 1));
    switch (dice.below(4)) {
        case 0:
            if ((asked & Stir::move) != 0 &&
                host::move_pages(host::address_of(at), to_bytes(count)).ok()) {
                slot.add(Count::moves);
            }
            break;
        case 1:
        case 2:
            // Why safe: contents stay; a refusal costs nothing.
            if ((asked & Stir::page_out) != 0 &&
                ::madvise(at, to_bytes(count), advice_cold_out) == 0) {
                slot.add(Count::page_outs);
            }
            break;
        default: {
            const u64 begin = round_up(host::address_of(at), huge_page);
            const u64 end = host::address_of(memory.data()) + memory.size();
            // Why safe: as above.
            if ((asked & Stir::collapse) != 0 && begin + huge_page <= end &&
                ::madvise(host::pointer_to(begin), huge_page, advice_collapse) == 0) {
                slot.add(Count::collapses);
            }
        }
    }
}

Life::Life(engine::Region& region, const Layout& layout, const Shared::Header& header, Slot& slot,
           const Birth& birth)
    : region_(region),
      layout_(layout),
      header_(header),
      slot_(slot),
      birth_(birth),
      dice_(birth.seed) {}

std::string Life::where(std::string_view who) const {
    return fmt::format("round {}, {} {}", birth_.round, who,
                       birth_.elsewhere ? "in another process" : "in the same process");
}

void Life::live() {
    Judge judge(layout_);
    slot_.add(judge.find(region_.bytes(), birth_.bounds), where("a child"));
    overwrite(judge, region_, std::max<u64>(8, layout_.pages / 64));
    if (dice_.chance(2)) {
        advise_merging();
    } else if (dice_.chance(2)) {
        fork_in_turn(judge);
    }
    stay();
    slot_.add(judge.match(region_.bytes()), where("a child at the end of its life"));
    count_in(region_, slot_);
}

/// A quarter of the pages are alike, a run of them somewhere: food for KSM.
void Life::overwrite(Judge& judge, engine::Region& region, u64 pages) {
    const u64 alike = dice_.next() | 1;
    const u64 first_alike = dice_.below(layout_.pages - pages / 4);
    for (u64 i = 0; i < pages / 4; ++i) {
        judge.overwrite(region.bytes(), first_alike + i, alike);
    }
    for (u64 i = pages / 4; i < pages; ++i) {
        judge.overwrite(region.bytes(), dice_.below(layout_.pages), dice_.next() | 1);
    }
}

/// Only where it is not snapshotted in turn: on Linux 6.18 merging takes the protection of a page
/// away, and a child's snapshot would show what was stored after it (docs/findings.md,
/// merge-forgets; a run that did so here found it within seconds).
void Life::advise_merging() {
    // Why safe: contents stay; the kernel may refuse.
    if ((header_.stir.load(std::memory_order_relaxed) & Stir::merge) != 0 &&
        ::madvise(region_.bytes().data(), region_.bytes().size(), MADV_MERGEABLE) == 0) {
        slot_.add(Count::merges);
    }
}

/// The child's pages at that moment are the grandchild's, whatever the child writes afterwards.
void Life::fork_in_turn(Judge& judge) {
    Result<std::shared_ptr<engine::Snapshot>> snapshot = region_.snapshot();
    if (!snapshot) {
        slot_.report(where("a snapshot of a child"), snapshot.error());
        return;
    }
    slot_.add(Count::snapshots);
    Judge at_that_moment = judge;
    Result<std::shared_ptr<engine::Region>> grandchild = (*snapshot)->fork("grandchild");
    if (!grandchild) {
        slot_.report(where("a child of a child"), grandchild.error());
        return;
    }
    slot_.add(Count::grandchildren);
    overwrite(judge, region_, std::max<u64>(4, layout_.pages / 128));
    slot_.add(at_that_moment.match((*grandchild)->bytes()), where("a child of a child"));
    overwrite(at_that_moment, **grandchild, 8);
    overwrite(judge, region_, 8);
    slot_.add(at_that_moment.match((*grandchild)->bytes()),
              where("a child of a child, after both had written,"));
    count_in(**grandchild, slot_);
}

/// Long enough for KSM to look at its pages twice, now and then.
void Life::stay() {
    const bool merging = (header_.stir.load(std::memory_order_relaxed) & Stir::merge) != 0;
    const u64 until = now_ns() + dice_.below(merging && dice_.chance(2) ? 2000 : 200) * 1'000'000;
    while (now_ns() < until && header_.stage.load() == Stage::running) {
        stir(region_.bytes(), header_, slot_, dice_);
        ::usleep(20'000);
    }
}

}  // namespace verso::check::torture
