// Versions: the bytes behind the model's contents. The model says of a page only which version it
// is, a number, and copies that number wherever Linux copies a page (COW, fork of a pinned page,
// migration, swap). So bytes are kept once per version, never changed, and every copy is free:
//
//   Page.contents ─┐
//   Slot.contents ─┼──▶ version ──▶ 4096 bytes        equal bytes have one number: same-page
//   Cached.disk   ─┘                                   merging and equality of states need that
//
// A write makes a new version of what the page holds at that very moment, which may be long after
// the call: a store that waited for a userfault. So the model asks back, with the number of an open
// Write. Versions that nothing refers to are swept between two steps.
//
// An 8-byte store costs a copy and a hash of 4 KiB (0.5 µs); keeping bytes in the pages would make
// stores cheaper and each of the model's ten places that copy a page dearer, and states would no
// longer be comparable.
#pragma once

#include <array>
#include <cstddef>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "mm/model.h"

namespace verso::mm::sim {

using PageSpan = std::span<const std::byte, page_size>;

class Versions final : public Bytes {
public:
    Versions();

    PageSpan bytes(Contents version) const;
    /// The number of these bytes.
    Contents intern(PageSpan bytes);

    /// A write under way: bytes for a place within one page, or whole pages for a COPY. Open as
    /// long as it lives; it is what Call::value and Access::value name.
    class Write {
    public:
        Write(Versions& versions, u64 offset, std::span<const std::byte> bytes);
        Write(Versions& versions, std::vector<Contents> pages);
        ~Write();
        Write(const Write&) = delete;
        Write& operator=(const Write&) = delete;
        Contents number() const { return number_; }

    private:
        friend class Versions;
        Versions& versions_;
        u64 offset_ = 0;
        std::span<const std::byte> bytes_;
        std::vector<Contents> pages_;
        Contents number_;
    };
    /// Writes are noted down with whoever runs, as `running` says at that moment.
    void ask_who_writes(const int* running) { running_ = running; }
    /// These never run again: what they had begun to write is nobody's, and its place may be used
    /// for something else already.
    void abandon(const std::function<bool(int owner)>& gone);

    Contents written(Contents before, Contents write) override;
    Contents filled(Contents source, u32 n) override;

    std::size_t count() const { return used_; }
    bool wants_sweep() const { return used_ > sweep_at_; }
    /// Forgets what neither `state`, an open write nor `others` names.
    void sweep(const State& state, std::span<const std::span<const Contents>> others);

private:
    static constexpr std::size_t chunk_pages = 64;
    struct alignas(64) Chunk {
        std::array<std::byte, chunk_pages * page_size> bytes;
    };
    std::byte* place(Contents version);
    void rebuild_table();
    void insert(Contents version);
    Contents take_number();
    Contents open(Write& write);

    std::vector<std::unique_ptr<Chunk>> chunks_;
    std::vector<u64> hashes_;      // by version; 0: free
    std::vector<Contents> table_;  // open addressing, a power of two; nobody_home: empty
    std::vector<Contents> free_;
    struct Open {
        Write* write = nullptr;
        int owner = 0;
    };
    std::vector<Open> writes_;
    const int* running_ = nullptr;
    std::size_t used_ = 0;
    std::size_t sweep_at_ = 1024;
};

}  // namespace verso::mm::sim
