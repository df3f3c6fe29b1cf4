// Spells.
#include "check/torture/disturbance.h"

#include <algorithm>

#include <unistd.h>

#include "check/torture/writers.h"
#include "linux/world/text_file.h"

namespace verso::check::torture {
namespace {
constexpr const char* lock_path = "/tmp/verso-torture.lock";
constexpr std::string_view name_begin = "/verso-torture-";
constexpr const char* compact_path = "/proc/sys/vm/compact_memory";
constexpr const char* ksm_folder = "/sys/kernel/mm/ksm/";

/// Beyond Stir: what the driver does itself.
struct Ask {
    static constexpr u32 compact = 1U << 8;
    static constexpr u32 scarce = 1U << 9;
    static constexpr u32 hint = 1U << 10;
    static constexpr u32 all =
        Stir::move | Stir::page_out | Stir::merge | Stir::collapse | compact | scarce | hint;
};

std::string for_root(const Error& error) {
    return ::geteuid() != 0 ? "it is for root to change" : error.message;
}
}  // namespace

Result<std::unique_ptr<Grounds>> Grounds::lay(const Plan& plan) {
    constexpr u64 patience_ms = 1000;
    std::unique_ptr<Grounds> grounds(new Grounds);
    Result<host::Keeper*> keeper = host::Keeper::get();
    if (!keeper) {
        return pass(keeper);
    }
    Result<Fd> lock = host::lock_of(lock_path, patience_ms);
    if (!lock) {
        return pass(lock);
    }
    grounds->lock_ = std::move(*lock);
    if (plan.swap_bytes == 0) {
        grounds->why_no_swap_ = ::geteuid() != 0 ? "a swap file is for root to make"
                                                 : "there is no room for a swap file";
    } else {
        constexpr int last_in_line = 0;  // others' come first
        Result<std::unique_ptr<host::SwapFile>> swap =
            host::SwapFile::make(**keeper, {plan.swap_bytes, name_begin, last_in_line});
        if (!swap && plan.need_bytes > plan.memory_bytes) {
            return pass(swap, "the run needs swap");
        }
        grounds->why_no_swap_ = swap ? "" : swap.error().message;
        grounds->swap_ = swap ? std::move(*swap) : nullptr;
    }
    Result<std::unique_ptr<host::MemoryGroup>> group =
        host::MemoryGroup::make(**keeper, name_begin);
    if (group) {
        grounds->group_ = std::move(*group);
        Result<void> limited = grounds->group_->limit(plan.memory_bytes);
        if (!limited) {
            return pass(limited);
        }
    } else {
        grounds->why_no_group_ = for_root(group.error());
    }
    return grounds;
}

struct Disturbance::Settings {
    std::vector<std::unique_ptr<host::Setting>> all;  // undone in reverse order
    ~Settings() {
        while (!all.empty()) {
            all.pop_back();
        }
    }
};

Disturbance::Disturbance(const Plan& plan, Grounds& grounds, Shared::Header& header, u64 seed,
                         u64 spell_ms)
    : plan_(plan),
      grounds_(grounds),
      header_(header),
      seed_(seed),
      spell_ms_(spell_ms),
      before_(read_vmstat()),
      merged_before_(host::read_number(std::string(ksm_folder) + "pages_sharing")),
      wanted_(plan.memory_bytes),
      spells_thread_([this] { work(); }),
      press_thread_([this] { squeeze(); }) {}

void Disturbance::end() {
    stop();
    gone_.store(true);
    if (press_thread_.joinable()) {
        press_thread_.join();
    }
}

void Disturbance::stop() {
    ending_.store(true);
    if (spells_thread_.joinable()) {
        spells_thread_.join();
    }
    ease();
}

void Disturbance::note(std::string& why, const std::string& text) {
    if (why.empty()) {
        why = text;
    }
}

/// False if the run ends meanwhile.
bool Disturbance::pause(u64 ms) {
    constexpr unsigned glance_us = 10'000;
    for (const u64 until = now_ns() + ms * 1'000'000; now_ns() < until && !ending_.load();) {
        ::usleep(glance_us);
    }
    return !ending_.load();
}

void Disturbance::work() {
    Dice dice(seed_ ^ 13);
    while (!ending_.load()) {
        spell(dice);
        pause(std::max<u64>(spell_ms_ / 8, 100));
    }
}

void Disturbance::spell(Dice& dice) {
    u32 asked = Ask::all;
    for (u32 bit = 1; bit <= Ask::hint && spells_ >= 2; bit <<= 1) {
        asked &= dice.chance(4) ? ~bit : ~0U;
    }
    ++spells_;
    // No machine, no settings; what needs none goes on. The lock is let go of after they are back.
    Result<std::shared_ptr<host::Machine>> machine = host::Machine::get();
    Settings settings;
    if (machine) {
        change(settings, asked);
    } else {
        note(why_no_lock_, machine.error().message);
    }
    header_.stir.store(asked & ~(Ask::compact | Ask::scarce | Ask::hint));
    hold(asked);
    header_.stir.store(0);
    wanted_.store(plan_.memory_bytes);
}

void Disturbance::change(Settings& settings, u32 asked) {
    Result<host::Keeper*> keeper = host::Keeper::get();
    if (!keeper) {
        note(why_no_lock_, keeper.error().message);
        return;
    }
    const auto set = [&](const std::string& path, const char* text, std::string* why) {
        Result<std::unique_ptr<host::Setting>> changed =
            host::Setting::change(**keeper, path, text);
        if (changed) {
            settings.all.push_back(std::move(*changed));
        } else if (why != nullptr) {
            note(*why, for_root(changed.error()));
        }
    };
    if ((asked & Stir::merge) != 0) {
        set(std::string(ksm_folder) + "smart_scan", "0", nullptr);  // not in every kernel
        set(std::string(ksm_folder) + "pages_to_scan", "4000", nullptr);
        set(std::string(ksm_folder) + "sleep_millisecs", "10", nullptr);
        set(std::string(ksm_folder) + "run", "1", &why_no_merging_);
    }
    if ((asked & Ask::hint) != 0) {
        set("/proc/sys/kernel/numa_balancing", "1", &why_no_hints_);
    }
}

/// Scarce for the first half of a spell: what went out comes back in the second.
void Disturbance::hold(u32 asked) {
    constexpr u64 beat_ms = 250;
    const u64 beats = std::max<u64>(spell_ms_ / beat_ms, 2);
    const bool scarce = (asked & Ask::scarce) != 0 && grounds_.group() != nullptr &&
                        grounds_.has_swap() && !eased_.load();
    for (u64 beat = 0; beat < beats && pause(beat_ms); ++beat) {
        wanted_.store(scarce && beat < beats / 2 ? plan_.scarce_bytes : plan_.memory_bytes);
        if ((asked & Ask::compact) != 0 && beat % 4 == 1) {
            compact();
        }
        look();
    }
}

/// In small steps, each of which must reclaim faster than all the others take back what went out.
/// Also where memory is not to be scarce the group is kept away from its limit.
void Disturbance::squeeze() {
    constexpr unsigned pause_us = 20'000;
    constexpr u64 step_bytes = to_bytes(128);
    host::MemoryGroup* const group = grounds_.group();
    while (group != nullptr && grounds_.has_swap() && !gone_.load()) {
        const u64 below_limit = plan_.memory_bytes - plan_.memory_bytes / 16;
        const u64 wanted = std::min(wanted_.load(), below_limit);
        const u64 used = group->used_bytes();
        if (used <= wanted || eased_.load()) {
            ::usleep(pause_us);
            continue;
        }
        const Result<void> pressed = group->press(std::min(used - wanted, step_bytes));
        if (!pressed) {
            note(why_no_shortage_, pressed.error().message);
            ::usleep(pause_us);
        }
    }
}

void Disturbance::ease() { eased_.store(true); }

void Disturbance::compact() {
    const Result<void> compacted = host::write_text(compact_path, "1");
    if (compacted) {
        ++compactions_;
    } else {
        note(why_no_compaction_, for_root(compacted.error()));
    }
}

void Disturbance::look() {
    const u64 merged = host::read_number(std::string(ksm_folder) + "pages_sharing");
    if (merged > merged_before_) {
        merged_most_ = std::max(merged_most_, merged - merged_before_);
    }
}

// ── the report ───────────────────────────────────────────────────────────────────────────────────

Acted Disturbance::page_out() const {
    Acted acted = compared("page-out", "MADV_PAGEOUT by the instances, and reclaim, to a swap file",
                           before_, read_vmstat(), {"pswpout"}, {"pswpin"});
    if (!grounds_.has_swap()) {
        acted.acted = false;
        acted.why_not = grounds_.why_no_swap();
    }
    return acted;
}

Acted Disturbance::shortage() const {
    Acted acted =
        compared("memory pressure",
                 fmt::format("a control group that may use {}, pressed to {} for half of a spell",
                             as_text(plan_.memory_bytes), as_text(plan_.scarce_bytes)),
                 before_, read_vmstat(), {"pgsteal_anon"},
                 {"pgsteal_file", "allocstall_normal", "allocstall_movable"});
    if (grounds_.group() == nullptr || !grounds_.has_swap()) {
        acted.acted = false;
        acted.why_not =
            grounds_.group() == nullptr ? grounds_.why_no_group() : grounds_.why_no_swap();
    } else {
        acted.counters.push_back({"times the group met its limit", grounds_.group()->times_met()});
        acted.why_not += why_no_shortage_.empty() ? "" : "; " + why_no_shortage_;
    }
    return acted;
}

Acted Disturbance::merging() const {
    Acted acted = compared("KSM", "run=1, children advise MADV_MERGEABLE", before_, read_vmstat(),
                           {"cow_ksm"}, {"ksm_swpin_copy"});
    acted.counters.insert(acted.counters.begin(), {"pages_sharing at most", merged_most_});
    acted.acted = acted.acted || merged_most_ > 0;
    acted.why_not = acted.acted               ? ""
                    : why_no_merging_.empty() ? "no two pages were merged"
                                              : why_no_merging_;
    return acted;
}

Acted Disturbance::hinting() const {
    Acted acted = compared("NUMA hinting", "kernel.numa_balancing=1", before_, read_vmstat(),
                           {"numa_pte_updates", "numa_hint_faults"},
                           {"numa_hint_faults_local", "numa_pages_migrated"});
    if (!acted.acted && !why_no_hints_.empty()) {
        acted.why_not = why_no_hints_;
    }
    return acted;
}

std::vector<Acted> Disturbance::report() const {
    const Counters after = read_vmstat();
    std::vector<Acted> all;
    all.push_back(compared("compaction", fmt::format("vm.compact_memory, {} times", compactions_),
                           before_, after, {"compact_isolated"},
                           {"compact_migrate_scanned", "compact_free_scanned"}));
    if (!why_no_compaction_.empty() && compactions_ == 0) {
        all.back().acted = false;
        all.back().why_not = why_no_compaction_;
    }
    all.push_back(compared("migration",
                           "mbind(2) by the instances on their own memory, and "
                           "compaction",
                           before_, after, {"pgmigrate_success"}, {"pgmigrate_fail"}));
    all.push_back(page_out());
    all.push_back(shortage());
    all.push_back(merging());
    all.push_back(hinting());
    all.push_back(compared("huge pages", "MADV_COLLAPSE by the instances, split by what follows",
                           before_, after, {"thp_collapse_alloc", "thp_file_mapped"},
                           {"thp_split_page", "thp_split_pmd", "thp_collapse_alloc_failed"}));
    for (Acted& acted : all) {
        if (!acted.acted && !why_no_lock_.empty()) {
            acted.why_not += "; " + why_no_lock_;
        }
    }
    return all;
}

}  // namespace verso::check::torture
