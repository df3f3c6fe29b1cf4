// Where a child's pages come from. A child's mapping starts empty; each first touch asks its
// Filler, which puts the right version of that page, and of neighbours that cost nothing, into the
// FillTarget.
//
//   LocalFiller    the parent region is in this process          (fill.cc)
//   RemoteFiller   the parent is elsewhere; asks it over a socket, and reads ledgers and files
//                  itself once it has died                       (remote_filler.cc)
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/bitmap.h"
#include "base/result.h"
#include "engine/stripes.h"
#include "kernel/kernel.h"

namespace verso::engine {

/// Which file a child's mapping is a private mapping of. Pages of it can be mapped without a copy.
enum class BaseFile : u8 {
    live,    // the parent's own memfd: shares with the running source, until that overwrites a page
    frozen,  // the snapshot's layer: shares among the snapshot's children
};

/// Chunks of a live child that map the frozen layer instead: see move.cc. One bit a chunk.
struct Moves {
    Moves() = default;
    explicit Moves(u64 pages)
        : asked(chunks(pages)), moving(chunks(pages)), frozen(chunks(pages)) {}
    static u64 chunks(u64 pages) { return Stripes::chunk_of(pages - 1) + 1; }

    Bitmap asked;     // once: what has stayed, stays
    Bitmap moving;    // until the child has answered, nobody fills there
    Bitmap frozen;    // has moved
    u64 islands = 0;  // no fewer than the runs of chunks that have moved; by whoever asks
};

/// What whoever fills a child has put into it.
struct FillCounts {
    std::string name;  // as the child calls itself
    std::atomic<bool> listed{false};
    std::atomic<u64> faults{0};
    std::atomic<u64> mapped{0};  // pages of a file, shared
    std::atomic<u64> copied{0};
    std::atomic<u64> empty{0};  // the shared page of zeroes
};

/// A child's mapping, as the one who fills it sees it (perhaps from another process).
struct FillTarget {
    int uffd = -1;
    u64 base = 0;      // address in the child
    u64 lifeline = 0;  // likewise, of a page that is registered while the child has its memory
    u64 pages = 0;
    BaseFile base_file = BaseFile::live;
    std::atomic<bool> protect{
        false};  // pages must arrive write-protected: the child has snapshots of its own
    std::atomic<u64> next_wanted{
        0};                          // whoever fills: where a child that reads in order faults next
    std::atomic<u64> ahead_next{0};  // likewise, the first chunk not mapped,
    std::atomic<u64> ahead_left{0};  // how many from there may be mapped before they are asked for
    std::atomic<u64> ahead_depth{0};  // and how many there were the last time
    std::shared_ptr<FillCounts> counts = std::make_shared<FillCounts>();
    Bitmap served;  // pages that were put there once; only a hint
    /// Set for a child in another process: has it hide a page that is lost (see place::poison).
    std::function<void(u64 page)> tell_lost;
    Moves moves;
    /// Set if chunks may move: asks the child, which will answer. False: not now.
    std::function<bool(u64 chunk)> ask_move;

    /// Which file the mapping shows there.
    BaseFile base_of(u64 page) const {
        const bool moved = moves.frozen->size() > 0 && moves.frozen->test(Stripes::chunk_of(page));
        return moved ? BaseFile::frozen : base_file;
    }
    bool is_moving(u64 page) const {
        return moves.moving->size() > 0 && moves.moving->test(Stripes::chunk_of(page));
    }
    PageRange chunk(u64 number) const {
        const u64 first = number * Stripes::chunk_pages;
        return {first, std::min(Stripes::chunk_pages, pages - first)};
    }
    u64 address(u64 page) const { return base + to_bytes(page); }
};

/// One generation of a child's ancestry: all that is needed to find its pages without asking
/// anybody.
struct Level {
    u64 seq = 0;  // the snapshot's place among its region's layers
    u32 slot = 0;
    int frozen = -1;  // borrowed descriptors
    int ledger = -1;
    int live = -1;  // the region's own memfd; -1 if it is itself a child (then ask the next level)
    int pin =
        -1;  // a socket: while it is open its owner keeps the layer; -1: it is in this process
    int process = -1;  // a pidfd of its owner's; -1: this process, or one that is not known
};

class Filler {
public:
    virtual ~Filler() = default;
    /// Resolves a fault of the child on `page`. Never fails: whoever cannot be helped is told by
    /// SIGBUS.
    virtual void fill(FillTarget& target, u64 page) = 0;
    /// In spare time: pages that a child comes to next. False: nothing to do.
    virtual bool fill_ahead(FillTarget&) { return false; }
    /// The same as fill() for a child of that child, whose base file is the same: only pages within
    /// `window`, which the caller knows to be this ancestor's. Only if lends().
    virtual void fill_for(FillTarget& other, u64 page, PageRange window) = 0;
    /// Whether pages may be mapped through here into children of the child.
    virtual bool lends() const = 0;
    /// Forgets a target of fill_for; it will not be touched afterwards.
    virtual void disown(FillTarget& other) = 0;
    /// Returns when every fill that began before has ended. False: one may be under way for ever,
    /// for all that can be known.
    [[nodiscard]] virtual bool settle(FillTarget& target) = 0;
    /// Nearest ancestor first. What the levels name stays valid while the filler lives.
    virtual std::vector<Level> levels() = 0;
    /// Makes the levels complete: what only a process of the chain holds in its memory is stored.
    virtual Result<void> settle_levels() = 0;
    /// A descriptor to watch beside the userfaultfd (-1: none), and what to do when it is ready.
    virtual int watched() const { return -1; }
    virtual void on_watched(FillTarget&) {}
    /// The child has moved a chunk, or not, as it was asked to.
    virtual void concluded(FillTarget&, u64 /*chunk*/, bool /*moved*/) {}
};

}  // namespace verso::engine
