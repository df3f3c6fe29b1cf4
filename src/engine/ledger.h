// The ledger: which layers a region has and which pages each of them holds, in a memfd of its own
// that every holder of a child maps. It is what lets a child live on when the process that served
// it is killed: whoever reads the ledger afterwards knows as much as the dead did (docs/engine.md,
// "who may die").
//
//   0          header: magic, version, pages, slots, trusted
//              seq[slots]        0 = free slot; else the layer's place in time (1, 2, 3 …)
//   bitmaps    slot 0: captured, lost; slot 1: captured, lost; …  (sparse: free ones cost nothing)
//
// captured: this layer holds the page's old bytes, at the same offset within its area of the
// frozen file. lost (beside captured): nobody could save them; reading is refused, never guessed.
// Only the owner writes seq; captured bits are written by the owner, and after its death by any
// number of children, which may all capture the same page: they write the same bytes, so the order
// does not matter. For 4 GiB: 128 KiB a bitmap.
#pragma once

#include <vector>

#include "base/bitmap.h"
#include "engine/mapping.h"

namespace verso::engine {

struct LedgerHeader {
    static constexpr u64 magic_value = 0x315245474445'4c56;  // "VLEDGER1"
    static constexpr u32 slots_max = Limits::snapshots_max;
    u64 magic;
    u32 version;
    u32 slots;
    u64 pages;
    Word trusted;  // 1: if the owner dies its memory stops changing, so the live file may be read
    Word seq[slots_max];
};

class Ledger {
public:
    static constexpr u32 version_current = 1;

    static Result<Ledger> create(kernel::Kernel& kernel, u64 pages, bool trusted);
    /// Maps one that another process made; refuses what does not look like a ledger of `pages`
    /// pages.
    static Result<Ledger> open(kernel::Kernel& kernel, Fd fd, u64 pages);

    int fd() const { return fd_.get(); }
    u64 pages() const { return pages_; }
    bool trusted() const { return header().trusted.load(std::memory_order_acquire) != 0; }
    void distrust() { header().trusted.store(0, std::memory_order_release); }

    u64 seq(u32 slot) const { return header().seq[slot].load(std::memory_order_acquire); }
    void set_seq(u32 slot, u64 seq) { header().seq[slot].store(seq, std::memory_order_release); }
    BitmapView captured(u32 slot) const { return view(slot, 0); }
    BitmapView lost(u32 slot) const { return view(slot, 1); }

    /// The slots whose layers are at `seq` or later, earliest first.
    std::vector<u32> slots_from(u64 seq) const;
    /// Forgets a slot's bitmaps (its pages go back to the system).
    kernel::Outcome erase(u32 slot);
    u64 used_bytes() const;

private:
    LedgerHeader& header() const { return *reinterpret_cast<LedgerHeader*>(mapping_.data()); }
    BitmapView view(u32 slot, u32 which) const;
    u64 bitmap_bytes() const;
    u64 area_offset(u32 slot) const;
    static u64 file_bytes(u64 pages);

    kernel::Kernel* kernel_ = nullptr;
    Fd fd_;
    Mapping mapping_;
    u64 pages_ = 0;
};

}  // namespace verso::engine
