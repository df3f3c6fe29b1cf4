// ColumnLog: a run as a picture: one line an event, and for each memory one glyph a page, as the
// model's page tables have it.
//
//   decision  who         memories         what
//       1204  the kernel  M1:wp·M M3:····  migration of 0x2000 of process 0 begins
//
//   · nothing   w writable   r read-only   p protected   ! protected and writable: must not be
//   M migrating   s swapped, S and protected   h hint   x poisoned
#pragma once

#include <atomic>
#include <span>
#include <string>

#include "check/swarm/world.h"

namespace verso::check::swarm {

class ColumnLog final : public Listener {
public:
    /// The world is made after its listener: `world` is looked at when something happens. The text
    /// is written to `text`, and `size` says how much there is: in shared memory it outlives a run
    /// that crashes.
    ColumnLog(World*& world, bool with_calls, std::span<char> text, std::atomic<u64>& size)
        : world_(world), with_calls_(with_calls), text_(text), size_(size) {}
    bool wants_calls() const override { return with_calls_; }
    void on(const std::string& who, const std::string& what) override;

private:
    std::string glyphs(const Memory& memory) const;

    World*& world_;
    bool with_calls_;
    std::span<char> text_;
    std::atomic<u64>& size_;
    std::size_t width_ = 0;  // of the memories' column, so far
};

}  // namespace verso::check::swarm
