// The mprotect backend: protection by mprotect, faults by SIGSEGV on the accessing thread itself.
// It needs no privilege and no helper thread, and serves written, snapshot, rewind and forks
// within the process. A fork is a memfd of its own, filled from the snapshot page by page as it is
// touched: no physical sharing.
//
//   child's page:  PROT_NONE, empty ──touch──▶ copied through the alias, then made accessible
//
// Copied first, accessible after: other threads must never see a page half filled.
#include <algorithm>

#include "engine/region.h"

namespace verso::engine {

using kernel::Call;
using kernel::MapFlag;
using kernel::Outcome;

namespace {
constexpr u64 copy_window = 16;

/// Copies pages of a snapshot into a child's alias. The parent's stripe makes look-up and copy one
/// step.
class CopyFiller final : public Filler {
public:
    CopyFiller(std::shared_ptr<Region> parent, Layer& layer)
        : parent_(std::move(parent)), layer_(layer) {
        parent_->pin(layer_);
    }
    ~CopyFiller() override { parent_->unpin(layer_); }
    CopyFiller(const CopyFiller&) = delete;
    CopyFiller& operator=(const CopyFiller&) = delete;

    void fill(FillTarget&, u64) override {}
    void fill_for(FillTarget&, u64, PageRange) override {}
    bool lends() const override { return false; }
    void disown(FillTarget&) override {}
    bool settle(FillTarget&) override { return true; }
    std::vector<Level> levels() override { return {}; }
    Result<void> settle_levels() override { return {}; }
    bool copy(u64 page, std::span<std::byte> out) { return parent_->copy_page(layer_, page, out); }

private:
    std::shared_ptr<Region> parent_;
    Layer& layer_;
};
}  // namespace

bool Region::copy_page(const Layer& layer, u64 page, std::span<std::byte> out) {
    if (origin_ == Origin::child && filled_->size() > 0 && !filled_->test(page) &&
        !fill_by_copy(page)) {
        return false;
    }
    const Stripes::One held(stripes_, page);
    const Layer* holder = frozen_.holder(layer, page);
    if (holder != nullptr && holder->lost.test(page)) {
        return false;
    }
    std::ranges::copy(holder != nullptr ? frozen_.bytes(*holder, page, 1) : source(page, 1),
                      out.begin());
    return true;
}

/// Brings pages around `page` from the parent into our own memfd. False: the page is lost.
bool Region::fill_by_copy(u64 page) {
    auto& filler = static_cast<CopyFiller&>(*filler_);
    const u64 first = round_down(page, copy_window);
    const u64 end = std::min(first + copy_window, pages_);
    const Stripes::One held(stripes_, page);
    bool wanted = false;
    for (u64 at = first; at < end; ++at) {
        if (!filled_->test(at) && filler.copy(at, alias_.at(to_bytes(at), page_size))) {
            filled_->set(at);
        }
        wanted = wanted || (at == page && filled_->test(at));
    }
    return wanted;
}

bool Region::on_access_fault(u64 address, bool write) {
    const u64 page = to_pages(address - base_);
    if (filler_ != nullptr && !filled_->test(page)) {
        if (!fill_by_copy(page)) {
            return false;  // a lost page: the access fails, visibly
        }
        const Stripes::One held(stripes_, page);
        const u64 first = round_down(page, copy_window);
        for (u64 at = first; at < std::min(first + copy_window, pages_); ++at) {
            if (filled_->test(at)) {
                // A page that is no longer open was protected by a snapshot since we filled it.
                const bool writable = !read_only_ && open_->test(at);
                (void)kernel_.perform(
                    Call::protect(base_ + to_bytes(at), page_size,
                                  MapFlag::read | (writable ? u64{MapFlag::write} : u64{0})));
            }
        }
        return true;
    }
    if (filler_ != nullptr && !write) {  // filled by a neighbour's fault a moment ago
        {
            const Stripes::One held(stripes_, page);
            if (kernel_.perform(Call::protect(base_ + to_bytes(page), page_size, MapFlag::read))
                    .ok()) {
                return true;
            }
        }
        return open_everything();
    }
    if (!write || read_only_) {
        return false;
    }
    count_.write_faults.fetch_add(1, std::memory_order_relaxed);
    {
        const Stripes::One held(stripes_, page);
        if (resolve_write_held(page)) {
            return true;
        }
    }
    return open_everything();
}

/// No mapping can be split any more (vm.max_map_count). Making the region one mapping again needs
/// no split; it costs a capture of everything that a snapshot still needs.
bool Region::open_everything() {
    if (filler_ != nullptr) {
        for (u64 page = 0; page < pages_; ++page) {
            if (!filled_->test(page) && !fill_by_copy(page)) {
                return false;
            }
        }
    }
    const Stripes::All held(stripes_);
    for (u64 page = 0; page < pages_ && !read_only_; ++page) {
        if (!open_->test(page)) {
            prepare_for_write_held(page, 1);
            open_->set(page);
            note_written_held(page, 1);
        }
    }
    const u64 access = MapFlag::read | (read_only_ ? u64{0} : u64{MapFlag::write});
    return kernel_.perform(Call::protect(base_, to_bytes(pages_), access)).ok();
}

/// Before a copying child is snapshotted, it must hold everything itself.
Result<void> Region::fill_all_by_copy() {
    for (u64 page = 0; page < pages_; ++page) {
        if (!filled_->test(page) && !fill_by_copy(page)) {
            return fail(
                ErrorKind::damaged, 0,
                "page {} of '{}' was lost to its snapshot; this child cannot be snapshotted", page,
                name_);
        }
    }
    open_->set_range(0, pages_);
    return {};
}

Result<std::shared_ptr<Region>> Region::make_copying_child(const std::shared_ptr<Region>& parent,
                                                           Layer& layer, std::string name,
                                                           bool read_only) {
    Result<Runtime::Seat> seat = parent->runtime().seat();
    if (!seat) {
        return pass(seat);
    }
    const u64 pages = parent->pages();
    Result<std::shared_ptr<Region>> made = make(
        parent->runtime(),
        Setup{std::move(name), pages, Tracking::contents, Origin::child, std::move(*seat)}, false);
    if (!made) {
        return made;
    }
    Region& child = **made;
    child.read_only_ = read_only;
    child.filled_ = Bitmap(pages);
    child.open_->set_range(0, pages);
    Result<void> ready = child.open_live(to_bytes(pages));
    if (ready) {
        ready = child.map_live(true, 0);
    }
    if (!ready) {
        return pass(ready);
    }
    const Outcome closed = child.kernel_.perform(Call::protect(child.base_, to_bytes(pages), 0));
    if (!closed.ok()) {
        return refuse(closed, "hiding a child's unfilled memory");
    }
    child.filler_ = std::make_unique<CopyFiller>(parent, layer);
    ready = child.choose_backend(Backend::mprotect_segv);
    if (!ready) {
        return pass(ready);
    }
    return made;
}

}  // namespace verso::engine
