// The life of a child, in the process of its parent or in another: it is verified, written to,
// perhaps forked in turn, and verified again.
//
//   find ──▶ overwrite some pages ──▶ fork a grandchild,  ──▶ stay a while ──▶ match
//            some of them alike        which is matched       what is stirred
//                                      ──▶ or let KSM merge   goes on meanwhile
//                                      what is alike
#pragma once

#include "check/torture/shared.h"
#include "check/torture/writers.h"
#include "engine/engine.h"

namespace verso::check::torture {

/// What a life needs to know.
struct Birth {
    u64 seed = 0;
    u64 round = 0;
    Bounds bounds;
    bool elsewhere = false;  // in a process of its own
};

class Life {
public:
    Life(engine::Region& region, const Layout& layout, const Shared::Header& header, Slot& slot,
         const Birth& birth);
    void live();

private:
    void overwrite(Judge& judge, engine::Region& region, u64 pages);
    void advise_merging();
    void fork_in_turn(Judge& judge);
    void stay();
    std::string where(std::string_view who) const;

    engine::Region& region_;
    const Layout& layout_;
    const Shared::Header& header_;
    Slot& slot_;
    const Birth birth_;
    Dice dice_;
};

/// Does to some of the memory what the run asks for at the moment (Stir).
void stir(std::span<std::byte> memory, const Shared::Header& header, Slot& slot, Dice& dice);

/// Adds up what a region has done, once, before it goes.
void count_in(const engine::Region& region, Slot& slot);

/// This process' runtime over the running kernel. Never destroyed.
engine::Runtime& runtime();

}  // namespace verso::check::torture
