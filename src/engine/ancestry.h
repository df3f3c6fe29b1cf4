// Ancestry: a child's own reading of the ledgers and files of those it descends from. It is what
// remains when they have died: every page of the child's snapshot is in one of these files, or it
// is known to be lost.
//
//   level 0   the parent's layers from the snapshot on: captured → F
//             not captured: if the parent is a root, its live memfd; else it was never the
// parent's own page:
//   level 1   the grandparent's layers from its snapshot on … and so on, up to a root
//
// An ancestor further up may still be running and writing. Reading is therefore optimistic: copy
// the live page, then look at the ledger again; the owner sets the bit before it lets a writer go,
// so a page whose bit is still unset was not overwritten before it was copied (H28).
#pragma once

#include <array>
#include <optional>
#include <vector>

#include "engine/filler.h"
#include "engine/ledger.h"
#include "engine/wire.h"

namespace verso::engine {

class Ancestry {
public:
    /// Takes the descriptors that came with an offer, in its order.
    static Result<Ancestry> open(kernel::Kernel& kernel, const wire::Message& offer,
                                 std::vector<Fd> fds);

    using Page = std::array<std::byte, page_size>;
    /// Reads the child's version of a page. False: it is lost.
    bool read(u64 page, Page& out);
    /// Whether the page is unchanged in the parent's live file, so that it may be mapped from
    /// there.
    bool is_live(u64 page);
    /// Whether the parent's own layer holds the page, so that it may be mapped from there.
    bool is_in_layer(u64 page);
    /// Stores a page in the parent's layer, for the child's siblings too. Any number may do so:
    /// same bytes.
    bool store_in_layer(u64 page, const Page& bytes);

    const Level& level(std::size_t index) const { return levels_[index].level; }
    /// The memfd of the root, which all live children down the line map.
    int root_live() const { return levels_.back().level.live; }
    u64 layer_offset() const { return area(levels_[0]); }
    std::vector<Level> levels(int pin) const;

private:
    struct Open {
        Level level;
        Fd frozen;
        Fd live;
        Fd pin;
        Fd process;
        Ledger ledger;
        bool cut_off = false;  // its owner lives, and does not know of us
    };
    enum class Found { bytes, unchanged, lost };

    u64 area(const Open& level) const { return level.level.slot * to_bytes(pages_); }
    Found read_captured(Open& level, u64 page, Page& out);
    bool owner_gone(const Open& level, std::size_t index) const;
    bool is_kept(Open& level, std::size_t index) const;

    kernel::Kernel* kernel_ = nullptr;
    u64 pages_ = 0;
    std::vector<Open> levels_;
};

}  // namespace verso::engine
