// What the kernel is made to do while instances run: compaction, migration, page-out, shortage of
// memory, merging, NUMA hints, collapse to huge pages.
//
//   spell    the machine's lock is taken, settings are changed, everything that is to be stirred is
//            stirred; after two spells with everything, each leaves some out
//   between  settings are put back, the lock is free: others may want it; the load goes on
//
// What cannot be had here is named with the reason, and left out. Counted is what the kernel says
// (counters.h). Two threads of the driver: one for spells, one that presses the group, which takes
// as long as those in it go on wanting memory.
#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "check/torture/counters.h"
#include "check/torture/course.h"
#include "check/torture/plan.h"
#include "check/torture/shared.h"
#include "linux/world/machine.h"
#include "linux/world/memory_group.h"

namespace verso::check::torture {

/// Where the run's memory goes: made before the instances, gone after them. Under a lock of its
/// own, so that there is one such run at a time.
class Grounds {
public:
    static Result<std::unique_ptr<Grounds>> lay(const Plan& plan);

    host::MemoryGroup* group() const { return group_.get(); }
    std::string door() const { return group_ == nullptr ? "" : group_->door(); }
    bool has_swap() const { return swap_ != nullptr; }
    const std::string& why_no_group() const { return why_no_group_; }
    const std::string& why_no_swap() const { return why_no_swap_; }

private:
    Grounds() = default;
    Fd lock_;
    std::unique_ptr<host::SwapFile> swap_;
    std::unique_ptr<host::MemoryGroup> group_;  // goes first: then nothing of it is in the file
    std::string why_no_group_;
    std::string why_no_swap_;
};

class Disturbance {
public:
    Disturbance(const Plan& plan, Grounds& grounds, Shared::Header& header, u64 seed, u64 spell_ms);
    ~Disturbance() { end(); }
    Disturbance(const Disturbance&) = delete;
    Disturbance& operator=(const Disturbance&) = delete;

    /// No more spells; memory is plenty.
    void stop();
    /// Once the instances have ended: what is still waited for comes then.
    void end();
    /// Memory is to be scarce no more, whatever the spell: it has run out.
    void ease();
    /// What came of each, after end().
    std::vector<Acted> report() const;
    u64 spells() const { return spells_; }

private:
    struct Settings;
    void work();
    void squeeze();
    void spell(Dice& dice);
    void change(Settings& settings, u32 asked);
    void hold(u32 asked);
    void compact();
    void look();
    bool pause(u64 ms);
    void note(std::string& why, const std::string& text);
    Acted page_out() const;
    Acted shortage() const;
    Acted merging() const;
    Acted hinting() const;

    const Plan& plan_;
    Grounds& grounds_;
    Shared::Header& header_;
    const u64 seed_;
    const u64 spell_ms_;
    const Counters before_;
    u64 merged_before_ = 0;
    u64 spells_ = 0;
    u64 compactions_ = 0;
    u64 merged_most_ = 0;  // of KSM's pages_sharing, beyond what there was
    std::string why_no_lock_;
    std::string why_no_compaction_;
    std::string why_no_merging_;
    std::string why_no_hints_;
    std::string why_no_shortage_;  // the other thread's, until that has ended
    std::atomic<u64> wanted_;      // the group's limit
    std::atomic<bool> eased_{false};
    std::atomic<bool> ending_{false};
    std::atomic<bool> gone_{false};  // the instances
    std::thread spells_thread_;
    std::thread press_thread_;
};

}  // namespace verso::check::torture
