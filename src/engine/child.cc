// Children: how a fork shares, makes its mapping and starts.
#include <algorithm>
#include <bit>

#include "engine/local_filler.h"
#include "engine/region.h"

namespace verso::engine {

using kernel::Call;
using kernel::MapFlag;
using kernel::Outcome;
using kernel::RegisterMode;

/// Live sharing costs nothing until the source overwrites a page, then one private copy per child
/// that reads it; the frozen layer costs one copy of what is read, shared by all. So: live, unless
/// an eighth or more of the snapshot has been captured already, or we cannot take pages back
/// (another mapping might be reading them).
BaseFile Region::base_file_for(const Layer& layer) {
    const bool can_revoke = origin_ == Origin::created && backend() == Backend::userfaultfd &&
                            !kernel_.abilities().user_mode_only;
    const bool can_pass_on = origin_ == Origin::child && filler_ != nullptr && filler_->lends();
    if (!can_revoke && !can_pass_on) {
        return BaseFile::frozen;
    }
    u64 captured = can_pass_on ? own_pages() : 0;
    const Stripes::All held(stripes_);
    if ((captured + frozen_.captured_at_most(layer)) * 8 < pages_) {
        return BaseFile::live;
    }
    for (u64 page = 0; page < pages_; page += BitmapView::bits_per_word) {
        captured += static_cast<u64>(std::popcount(frozen_.captured_since(layer, page)));
    }
    return captured * 8 < pages_ ? BaseFile::live : BaseFile::frozen;
}

/// Pages that a child has copies of: each of its own children would copy them once more.
u64 Region::own_pages() const {
    kernel::Usage usage;
    const Outcome read = kernel_.perform(Call::memory_usage(base_, to_bytes(pages_)),
                                         kernel::Payload{.usage = &usage});
    return read.ok() ? to_pages(usage.anonymous) : pages_;
}

/// From the first live child on, a page of ours may be missing for a moment while it is taken
/// back; our own threads must then wait instead of finding zeroes.
Result<void> Region::expect_live_child() {
    if (origin_ == Origin::child) {
        return {};  // we hand on pages of our own source, and those it takes back itself
    }
    Locked one_at_a_time(*arm_mutex_);
    if (!missing_on_) {
        const Outcome outcome = kernel_.perform(
            Call::uffd_register(uffd_.get(), base_, to_bytes(pages_),
                                RegisterMode::write_protect | RegisterMode::missing));
        if (!outcome.ok()) {
            return refuse(outcome, fmt::format("preparing region '{}' to share its pages", name_));
        }
        missing_on_ = true;
    }
    const Stripes::All held(stripes_);
    ++live_children_;
    return {};
}

void Region::live_child_gone() {
    if (origin_ == Origin::child) {
        return;
    }
    const Stripes::All held(stripes_);
    VERSO_CHECK(live_children_ > 0, "region '{}' has no live child", name_);
    if (--live_children_ == 0) {
        exposed_->clear_range(0, pages_);
    }
}

void Region::pin(Layer& layer) {
    const Stripes::All held(stripes_);
    ++layer.pins;
}

void Region::unpin(Layer& layer) {
    Locked one_at_a_time(*release_mutex_);
    Frozen::Garbage garbage;
    {
        const Stripes::All held(stripes_);
        garbage = frozen_.unpin(layer);
    }
    frozen_.collect(garbage);
}

/// A child's own pages are anonymous, and same-page merging takes the protection of such a page
/// away (replace_page(), seen on 6.18; docs/findings.md, merge-forgets): no write would be noticed.
/// A process that asked for merging everywhere (PR_SET_MEMORY_MERGE, 6.4) gets every new mapping
/// merged, so each says no for itself. Refused only where there is no merging.
void Region::keep_from_merging(PageRange range) {
    (void)kernel_.perform(Call::advise(base_ + to_bytes(range.first), to_bytes(range.count),
                                       kernel::Advice::unmergeable));
}

Result<std::shared_ptr<Region>> Region::make_child(Runtime& runtime, const ChildPlan& plan) {
    Result<Runtime::Seat> seat = runtime.seat();
    if (!seat) {
        return pass(seat);
    }
    Result<std::shared_ptr<Region>> made = make(
        runtime, Setup{plan.name, plan.pages, Tracking::contents, Origin::child, std::move(*seat)},
        false);
    if (!made) {
        return made;
    }
    Region& child = **made;
    const Outcome copied = child.kernel_.perform(Call::duplicate(plan.file));
    if (!copied.ok()) {
        return refuse(copied, "keeping the source's file");
    }
    child.live_ = Fd(static_cast<int>(copied.value));
    const u64 access = MapFlag::read | (plan.read_only ? u64{0} : u64{MapFlag::write});
    Result<Mapping> mapped = Mapping::map(
        child.kernel_, child.live_.get(), plan.file_offset, to_bytes(plan.pages),
        access | MapFlag::no_reserve | MapFlag::no_fork, "a child's memory", plan.address);
    if (!mapped) {
        return pass(mapped);
    }
    child.app_ = std::move(*mapped);
    child.base_ = child.app_.address();
    child.keep_from_merging({0, plan.pages});
    Result<void> ready = child.open_uffd(0);
    if (ready) {
        ready =
            child.watch(RegisterMode::missing | RegisterMode::minor | RegisterMode::write_protect);
    }
    if (ready && plan.served_elsewhere) {
        Result<Lifeline> tied = Lifeline::tie(child.kernel_, child.uffd_.get());
        if (!tied) {
            return pass(tied);
        }
        child.lifeline_ = std::move(*tied);
    }
    if (!ready) {
        return pass(ready);
    }
    child.target_.counts->name = plan.name;
    child.target_.uffd = child.uffd_.get();
    child.target_.base = child.base_;
    child.target_.lifeline = child.lifeline_.address();
    child.target_.pages = plan.pages;
    child.target_.base_file = plan.base_file;
    child.target_.served = Bitmap(plan.pages);
    if (plan.layer_file >= 0) {
        child.layer_file_ = plan.layer_file;
        child.layer_offset_ = plan.layer_offset;
        child.layer_access_ = access;
        child.target_.moves = Moves(plan.pages);
        child.target_.ask_move = [&child](u64 chunk) {
            child.want_move(chunk);
            return true;
        };
    }
    return made;
}

Result<void> Region::start(std::unique_ptr<Filler> filler) {
    filler_ = std::move(filler);
    if (backend() == Backend::mprotect_segv) {
        return {};
    }
    may_move_ = layer_file_ >= 0;
    worker_ = kernel_.spawn("verso-capture", [this] { work(); });
    reader_ = kernel_.spawn("verso-fill", [this] { read_events(); });
    if (worker_ == nullptr || reader_ == nullptr) {
        return fail(ErrorKind::resource, 0,
                    "no more threads to serve region '{}'; raise the limit (ulimit -u)", name_);
    }
    return {};
}

Result<std::shared_ptr<Region>> Snapshot::child(std::string name, bool read_only) {
    Region& parent = *region_;
    if (parent.backend() == Backend::mprotect_segv) {
        return Region::make_copying_child(region_, layer_, std::move(name), read_only);
    }
    Region::ChildPlan plan;
    plan.base_file = parent.base_file_for(layer_);
    plan.file = plan.base_file == BaseFile::live ? parent.live_fd() : parent.frozen().fd();
    plan.file_offset =
        plan.base_file == BaseFile::live ? 0 : parent.frozen().area_offset(layer_.slot);
    if (plan.base_file == BaseFile::live) {
        plan.layer_file = parent.frozen().fd();
        plan.layer_offset = parent.frozen().area_offset(layer_.slot);
    }
    plan.pages = parent.pages();
    plan.served_elsewhere = parent.filler() != nullptr;
    plan.name = std::move(name);
    plan.read_only = read_only;
    Result<std::unique_ptr<Filler>> filler = LocalFiller::make(region_, layer_, plan.base_file);
    if (!filler) {
        return pass(filler);
    }
    Result<std::shared_ptr<Region>> made = Region::make_child(parent.runtime(), plan);
    if (!made) {
        return made;
    }
    const Result<void> started = (*made)->start(std::move(*filler));
    if (!started) {
        return tl::unexpected<Error>(started.error());
    }
    return made;
}

Result<std::shared_ptr<Region>> Snapshot::fork(std::string name) {
    return child(std::move(name), false);
}

Result<std::span<const std::byte>> Snapshot::bytes() {
    Locked lock(*view_mutex_);
    if (view_ == nullptr) {
        Result<std::shared_ptr<Region>> view = child(region_->name() + " (snapshot)", true);
        if (!view) {
            return pass(view);
        }
        view_ = std::move(*view);
    }
    return std::span<const std::byte>(view_->bytes());
}

Snapshot::Snapshot(std::shared_ptr<Region> region, Layer& layer)
    : region_(std::move(region)), layer_(layer), view_mutex_(region_->kernel().make_mutex()) {}

Snapshot::~Snapshot() {
    view_.reset();
    region_->drop_snapshot(layer_);  // first: who takes over may not ask for what is given back
    region_->unpin(layer_);
}

Result<void> Snapshot::detach() { return region_->settle_layer(layer_, true); }

SnapshotReport Snapshot::report() const {
    SnapshotReport report = layer_.cost;
    report.pages_captured = layer_.pages_captured.load();
    return report;
}

}  // namespace verso::engine
