// Frozen: the old versions of one region's pages, by layer.
//
//   time ──▶   layer 1      layer 2      layer 3      live
//   page a      a0            ·            ·           a1      written once, between 1 and 2
//   page b      ·             b0           ·           b1      snapshots 1 and 2 both mean b0
//   page c      ·             ·            ·           c0      never written: everybody means live
//
// Snapshot k reads a page from the first layer at or after k that holds it, else from the live
// region. So a page that is overwritten once is stored once, however many snapshots are alive
// (rivals: once per snapshot). A layer whose snapshot is released keeps only what an older
// snapshot still reads from it.
//
// One sparse memfd holds all layers: layer in slot s has the area [s × size, (s + 1) × size), each
// page at its own offset, so that a child can map its layer's area as a file. Guarded by
// Region::stripes_: the list by all of them, a page's bits by its own.
//
// Pages are stored by UFFDIO_COPY into a mapping of the area: 1.7 µs a page on one thread and 0.93
// on two, where pwrite(2) costs 1.85 on any number of them, because it holds the file's lock
// (inode_lock in shmem_file_write_iter). pwrite remains the way where there is no userfaultfd.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "engine/ledger.h"

namespace verso::engine {

struct Layer {
    u32 slot = 0;
    u64 seq = 0;
    u32 pins = 0;  // snapshots and children that read through this layer
    BitmapView captured;
    BitmapView lost;
    Bitmap written;  // pages released to writers since this layer was opened, until the next was
    std::atomic<u64> pages_captured{0};
    std::atomic<u64> pages_lost{0};
    SnapshotReport
        cost;       // arm_ns … pages_protected; written once, before the snapshot is handed out
    Mapping area;   // this layer's pages, for copying from
    Mapping inlet;  // the same, for UFFDIO_COPY into; never touched otherwise
};

class Frozen {
public:
    static Result<Frozen> create(kernel::Kernel& kernel, u64 pages, bool trusted);
    /// From the files of an engine that was killed. No layer is pinned: pin those that are read,
    /// then give back what unread() names. Every page counts as written since every layer.
    static Result<Frozen> resume(kernel::Kernel& kernel, u64 pages, Fd file, Fd ledger);

    int fd() const { return file_.get(); }
    Ledger& ledger() { return ledger_; }
    const Ledger& ledger() const { return ledger_; }
    u64 area_offset(u32 slot) const { return slot * to_bytes(pages_); }
    std::span<const std::unique_ptr<Layer>> layers() const { return layers_; }

    /// Opens a new layer at the present, pinned once. Fails if no slot is free
    /// (Limits::snapshots_max) or unmappable.
    Result<std::unique_ptr<Layer>> prepare();
    Layer& push(std::unique_ptr<Layer> layer);
    /// What nobody reads any more. Taken off the books with all stripes held, given back without:
    /// freeing a gigabyte takes tens of milliseconds, and no writer may wait for that.
    struct Garbage {
        struct Run {
            u32 slot;
            u64 first;
            u64 count;
        };
        std::vector<std::unique_ptr<Layer>> layers;
        std::vector<Run> runs;
    };
    /// Drops one pin.
    Garbage unpin(Layer& layer);
    Garbage unread();
    /// The layer of that place in time; nullptr if there is none.
    Layer* find(u64 seq) const;
    /// Only one collection at a time: a slot must be empty before it can be taken again.
    void collect(const Garbage& garbage);

    /// The layer that a writer must store old bytes in before it overwrites `page`; nullptr if
    /// none needs them.
    Layer* needed_by(u64 page) const;
    /// The first layer at or after `from` that holds `page`; nullptr: the live page is the right
    /// one.
    Layer* holder(const Layer& from, u64 page) const;

    /// Pages are being released to a writer. What a child asked for is captured too, so only this
    /// says what was written since a snapshot.
    void note_written(u64 first, u64 count) {
        if (!layers_.empty()) {
            layers_.back()->written->set_range(first, count);
        }
    }
    /// Pages are protected again with the bytes that they had when the newest layer was opened.
    void forget_written(u64 first, u64 count) {
        layers_.back()->written->clear_range(first, count);
    }
    /// The pages of the word at `page` that were released to writers since `from` was opened.
    u64 written_since(const Layer& from, u64 page) const;
    /// The pages of the word at `page` that some layer at or after `from` holds.
    u64 captured_since(const Layer& from, u64 page) const;

    /// No fewer than the pages that some layer at or after `from` holds; known without looking at
    /// bitmaps, whose first look at a fresh layer costs a page of the ledger for each 128 MiB.
    u64 captured_at_most(const Layer& from) const;

    /// Stores pages [first, …) and then marks them captured. A failure marks nothing.
    kernel::Outcome store(Layer& layer, u64 first, std::span<const std::byte> bytes);
    /// The same for one page that the caller has in a buffer of its own, so that it may be looked
    /// at.
    kernel::Outcome store_copy(Layer& layer, u64 page, std::span<const std::byte> copy);
    /// Marks pages as captured but unreadable: their old bytes could not be saved.
    void lose(Layer& layer, u64 first, u64 count);
    std::span<const std::byte> bytes(const Layer& layer, u64 first, u64 count) const {
        return layer.area.at(to_bytes(first), to_bytes(count));
    }
    u64 used_bytes() const;

private:
    Result<std::unique_ptr<Layer>> open_layer(u32 slot);
    void open_inlet(Layer& layer);
    u64 store_by_uffd(const Layer& layer, u64 first, std::span<const std::byte> bytes);
    std::size_t index_of(const Layer& layer) const;
    const Layer* pinned_before(std::size_t index) const;
    void prune(std::size_t index, Garbage& garbage);

    kernel::Kernel* kernel_ = nullptr;
    u64 pages_ = 0;
    Fd file_;
    Fd uffd_;  // of the layers' inlets; opened with the first
    bool without_uffd_ = false;
    Ledger ledger_;
    u64 seq_last_ = 0;
    std::vector<std::unique_ptr<Layer>> layers_;  // by seq
};

}  // namespace verso::engine
