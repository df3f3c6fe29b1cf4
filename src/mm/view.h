// What a program would find at an address, read off a State for oracles: by looking, in words of
// this file only. None of the functions that make the state is asked, so that a mistake of theirs
// cannot hide in the answer.
#pragma once

#include "mm/rules.h"
#include "mm/state.h"

namespace verso::mm {

struct Seen {
    Contents value = zeroes;
    bool readable : 1 = false;  ///< a load would be served, sooner or later
    bool own : 1 = false;       ///< not what the file holds: a copy of the process's own
    bool held : 1 = false;      ///< the entry has a page or a slot: P, Z, S, M
    bool special : 1 = false;   ///< poisoned, a guard, or lost by hardware
    bool pinned : 1 = false;    ///< the page, or the file's, has a long-term pin
    bool clean : 1 = false;     ///< PAGEMAP_SCAN says not WRITTEN (section 9.4)
    bool soft_dirty : 1 = false;
    bool returns_writable : 1 = false;  ///< migrates as WRITE
};

/// The 4 KiB page at `at`, which lies in `vma`.
Seen look_at(const State& state, const Rules& rules, u8 space, const Vma& vma, Vpn at);

/// What a file holds at a page, whoever asks.
struct Held {
    Contents value = zeroes;
    bool readable = false;
    bool pinned = false;
};
Held look_at(const State& state, u8 file, u32 index);

/// Does an empty address of this VMA count as protected (section 14.5)?
bool empty_is_protected(const Rules& rules, const Vma& vma);

}  // namespace verso::mm
