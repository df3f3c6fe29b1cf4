// Making a region, and taking it down.
#include "engine/region.h"

#include <algorithm>

#include "abi/abi.h"

namespace verso::engine {

using kernel::Call;
using kernel::MapFlag;
using kernel::Outcome;
using kernel::Payload;
using kernel::RegisterMode;

namespace {

Result<u64> checked_pages(std::size_t size) {
    if (size == 0) {
        return fail(ErrorKind::invalid_argument, 0, "a region needs a size of at least one page");
    }
    if (size > Limits::region_bytes_max) {
        return fail(ErrorKind::invalid_argument, 0,
                    "a region of {} bytes is over the limit of {} bytes", size,
                    Limits::region_bytes_max);
    }
    return to_pages(round_up(size, page_size));
}

}  // namespace

Region::Region(Runtime& runtime, Setup setup, Frozen frozen)
    : runtime_(runtime),
      kernel_(runtime.kernel()),
      seat_(std::move(setup.seat)),
      name_(std::move(setup.name)),
      pages_(setup.pages),
      tracking_(setup.tracking),
      origin_(setup.origin),
      frozen_(std::move(frozen)),
      stripes_(kernel_),
      open_(pages_),
      exposed_(pages_),
      rewound_(pages_),
      marks_(pages_),
      heat_(Stripes::chunk_of(pages_ - 1) + 1),
      release_mutex_(kernel_.make_mutex()),
      arm_mutex_(kernel_.make_mutex()),
      damage_mutex_(kernel_.make_mutex()),
      work_mutex_(kernel_.make_mutex()),
      work_changed_(kernel_.make_condition()),
      sweeper_(kernel_, [this](u64 chunk) { return sweep(chunk); }) {
    if (origin_ != Origin::child) {   // a child's: once it becomes a source (arming.cc)
        open_->set_range(0, pages_);  // nothing is protected yet
    }
}

Result<std::shared_ptr<Region>> Region::make(Runtime& runtime, Setup setup, bool trusted) {
    Result<Frozen> frozen = Frozen::create(runtime.kernel(), setup.pages, trusted);
    if (!frozen) {
        return pass(frozen);
    }
    return make(runtime, std::move(setup), std::move(*frozen));
}

Result<std::shared_ptr<Region>> Region::make(Runtime& runtime, Setup setup, Frozen frozen) {
    std::shared_ptr<Region> region(new Region(runtime, std::move(setup), std::move(frozen)));
    const Outcome stop = region->kernel_.perform(Call::event_create());
    if (!stop.ok()) {
        return refuse(stop, "creating the region's stop event");
    }
    region->stop_ = Fd(static_cast<int>(stop.value));
    return region;
}

Result<void> Region::open_live(u64 bytes) {
    const Payload named{.in = std::as_bytes(std::span(name_))};
    Outcome outcome = kernel_.perform(Call::memfd_create(), named);
    if (!outcome.ok()) {
        return refuse(outcome, fmt::format("creating memory for region '{}'", name_));
    }
    live_ = Fd(static_cast<int>(outcome.value));
    outcome = kernel_.perform(Call::file_resize(live_.get(), bytes));
    if (!outcome.ok()) {
        return refuse(outcome, fmt::format("sizing region '{}' to {} bytes", name_, bytes));
    }
    return {};
}

/// The engine's own view, and (if we make it) the application's.
Result<void> Region::map_live(bool for_application, u64 address) {
    // fork(2) must not hand on a shared, untracked mapping: its child would write behind our back.
    constexpr u64 flags = MapFlag::read | MapFlag::write | MapFlag::shared | MapFlag::no_fork;
    Result<Mapping> alias = Mapping::map(kernel_, live_.get(), 0, to_bytes(pages_), flags,
                                         "the engine's view of a region");
    if (!alias) {
        return pass(alias);
    }
    alias_ = std::move(*alias);
    if (!for_application) {
        return {};
    }
    Result<Mapping> app = Mapping::map(kernel_, live_.get(), 0, to_bytes(pages_), flags,
                                       "a region's memory", address);
    if (!app) {
        return pass(app);
    }
    app_ = std::move(*app);
    base_ = app_.address();
    return {};
}

Result<void> Region::open_uffd(u64 extra_features) {
    const kernel::Abilities& can = kernel_.abilities();
    u64 features = abi::Feature::pagefault_flag_wp | abi::Feature::wp_hugetlbfs_shmem |
                   abi::Feature::missing_shmem | extra_features;
    if (can.minor_shmem) {
        features |= abi::Feature::minor_shmem;
    }
    if (can.poison) {
        features |= abi::Feature::poison;
    }
    // Layout events make unmapping and discarding visible. Async regions have no reader to take
    // them.
    if (can.layout_events && tracking_ == Tracking::contents) {
        features |= abi::Feature::layout_events;
    }
    const Outcome opened = kernel_.perform(Call::uffd_open(features));
    if (!opened.ok()) {
        return refuse(opened, fmt::format("opening a userfaultfd for region '{}'", name_));
    }
    uffd_ = Fd(static_cast<int>(opened.value));
    guard_ = Guard(kernel_, Backend::userfaultfd, uffd_.get(), base_);
    return {};
}

Result<void> Region::watch(u64 register_mode) {
    const Outcome outcome =
        kernel_.perform(Call::uffd_register(uffd_.get(), base_, to_bytes(pages_), register_mode));
    if (!outcome.ok()) {
        return refuse(
            outcome, fmt::format("watching region '{}' (only shared memory, memfd or tmpfs, can be "
                                 "write-protected, huge pages only whole; for a file use a memfd "
                                 "copy of it)",
                                 name_));
    }
    return {};
}

Result<void> Region::choose_backend(Backend wanted) {
    const kernel::Abilities& can = kernel_.abilities();
    const bool pages_only = tracking_ == Tracking::pages;
    const bool uffd = can.userfaultfd && can.write_protect_shmem &&
                      (!pages_only || (can.wp_async && can.pagemap_scan));
    if (wanted == Backend::userfaultfd && !uffd) {
        return fail(ErrorKind::unsupported, 0,
                    "userfaultfd write-protection is not available here: {}",
                    !can.userfaultfd ? can.why_no_userfaultfd
                    : !can.write_protect_shmem
                        ? "this kernel cannot write-protect shared memory (needs 5.19); use "
                          "Backend::automatic"
                        : "this kernel has no async write-protection (needs 6.7); use "
                          "Tracking::contents");
    }
    if (wanted == Backend::mprotect_segv || !uffd) {
        guard_ = Guard(kernel_, Backend::mprotect_segv, -1, base_);
        const Outcome outcome =
            kernel_.perform(Call::watch_segv(base_, to_bytes(pages_)), Payload{.sink = this});
        if (!outcome.ok()) {
            return refuse(outcome, "watching for access faults");
        }
        return {};
    }
    if (pages_only) {
        const Result<void> opened =
            open_uffd(abi::Feature::wp_async | abi::Feature::wp_unpopulated);
        return opened ? watch(RegisterMode::write_protect) : opened;
    }
    Result<void> ready = open_uffd(0);
    if (ready) {
        ready = watch(RegisterMode::write_protect);
    }
    if (!ready) {
        return ready;
    }
    reader_ = kernel_.spawn("verso-faults", [this] { read_events(); });
    if (reader_ == nullptr) {
        return fail(ErrorKind::resource, 0,
                    "no more threads to serve region '{}'; raise the limit (ulimit -u)", name_);
    }
    return {};
}

Result<std::shared_ptr<Region>> Region::create(Runtime& runtime, const RegionOptions& options) {
    const Result<u64> pages = checked_pages(options.size);
    Result<Runtime::Seat> seat = runtime.seat();
    if (!pages || !seat) {
        return tl::unexpected<Error>(!pages ? pages.error() : seat.error());
    }
    Result<std::shared_ptr<Region>> made = make(
        runtime, Setup{options.name, *pages, options.tracking, Origin::created, std::move(*seat)},
        true);
    if (!made) {
        return made;
    }
    Region& region = **made;
    Result<void> ready = region.open_live(to_bytes(*pages));
    if (ready) {
        ready = region.map_live(true, 0);
    }
    if (ready) {
        ready = region.choose_backend(options.backend);
    }
    if (!ready) {
        return pass(ready);
    }
    return made;
}

/// Memory of this process, where every figure of MemoryReport would be wrong: smaps counts hugetlb
/// pages elsewhere. One page is tried, because no call tells it apart beforehand.
Result<void> Region::refuse_huge_pages() {
    const Outcome outcome = guard_.protect(0, 1);
    if (outcome.verdict == kernel::Verdict::invalid) {
        return fail(ErrorKind::unsupported, outcome.error,
                    "region '{}' is made of huge pages (hugetlb), which cannot be protected one by "
                    "one; use a memfd without MFD_HUGETLB",
                    name_);
    }
    const Outcome released = guard_.release(0, 1);
    if (!outcome.ok() || !released.ok()) {
        return refuse(outcome.ok() ? released : outcome,
                      fmt::format("trying to protect a page of region '{}'", name_));
    }
    return {};
}

/// Of memory that is lent. Every table of ours counts pages of 4 KiB; hugetlb memory can only be
/// protected and released by 2 MiB.
Result<void> Region::find_granule() {
    constexpr u64 huge = Stripes::chunk_pages;
    const bool whole = base_ % to_bytes(huge) == 0 && pages_ % huge == 0;
    for (const u64 pages : {u64{1}, huge}) {
        const Outcome outcome = pages == 1 || whole ? guard_.protect(0, pages)
                                                    : Outcome{kernel::Verdict::invalid, 0, 0, 0};
        if (outcome.verdict == kernel::Verdict::invalid) {
            continue;
        }
        const Outcome released = guard_.release(0, pages);
        if (!outcome.ok() || !released.ok()) {
            return refuse(outcome.ok() ? released : outcome,
                          fmt::format("trying to protect a page of region '{}'", name_));
        }
        granule_ = pages;
        return {};
    }
    return fail(ErrorKind::unsupported, 0,
                "region '{}' is made of huge pages (hugetlb) of more than 2 MiB, or not of whole "
                "ones; lend whole pages of 2 MiB",
                name_);
}

Result<std::shared_ptr<Region>> Region::adopt(Runtime& runtime, const AdoptOptions& options) {
    const auto address = reinterpret_cast<u64>(options.address);  // NOLINT
    const Result<u64> pages = checked_pages(options.size);
    if (!pages) {
        return tl::unexpected<Error>(pages.error());
    }
    if (address == 0 || !is_page_aligned(address) || !is_page_aligned(options.size)) {
        return fail(
            ErrorKind::invalid_argument, 0,
            "memory to adopt must start and end on a page boundary (address {:#x}, size {})",
            address, options.size);
    }
    kernel::Kernel& kernel = runtime.kernel();
    const Outcome size = kernel.perform(Call::file_size(options.memfd));
    if (!size.ok() || static_cast<u64>(size.value) < options.size) {
        return fail(ErrorKind::invalid_argument, size.error,
                    "the descriptor to adopt is not a memfd of at least {} bytes", options.size);
    }
    Result<Runtime::Seat> seat = runtime.seat();
    if (!seat) {
        return pass(seat);
    }
    Result<std::shared_ptr<Region>> made = make(
        runtime, Setup{options.name, *pages, options.tracking, Origin::adopted, std::move(*seat)},
        false);
    if (!made) {
        return made;
    }
    Region& region = **made;
    const Outcome copied = kernel.perform(Call::duplicate(options.memfd));
    if (!copied.ok()) {
        return refuse(copied, "keeping the adopted memfd");
    }
    region.live_ = Fd(static_cast<int>(copied.value));
    Result<void> ready = region.map_live(false, 0);
    region.base_ = address;
    if (ready) {
        ready = region.choose_backend(options.backend);
    }
    if (ready) {
        ready = region.refuse_huge_pages();
    }
    if (!ready) {
        return pass(ready);
    }
    return made;
}

/// The reader last: the others may wait for a page of ours that takes it to arrive.
void Region::stop_threads() {
    sweeper_.stop();
    if (worker_ != nullptr) {
        work_mutex_->lock();
        work_ended_ = true;
        work_changed_->notify_all();
        work_mutex_->unlock();
        worker_.reset();
    }
    if (stop_.valid()) {
        (void)kernel_.perform(Call::event_signal(stop_.get()));
    }
    reader_.reset();
}

/// Nobody uses the region any more: no handle, no snapshot, no child. An adopted mapping stays
/// with the application, unprotected: closing the userfaultfd lifts protection and wakes whoever
/// waits.
Region::~Region() {
    stop_threads();
    if (backend() == Backend::mprotect_segv && base_ != 0) {
        // Protection first: a store that comes between the two must not find nobody. Refused once,
        // it is asked again, for nobody is left to do it later.
        for (unsigned tries = 0; !app_.valid() && tries < 3; ++tries) {
            if (guard_.release(0, pages_).ok()) {
                break;
            }
        }
        (void)kernel_.perform(Call::unwatch_segv(base_, to_bytes(pages_)));
    } else if (local_ && uffd_.valid() && (!app_.valid() || origin_ == Origin::child)) {
        // Closing is not enough where another process holds a duplicate: an imported child's
        // parent does.
        for (unsigned tries = 0; tries < 3; ++tries) {
            if (kernel_.perform(Call::uffd_unregister(uffd_.get(), base_, to_bytes(pages_))).ok()) {
                break;
            }
        }
        // Unregistering wakes nobody who waits for a protected page, and closing does only if no
        // process that the application made by fork(2) has a copy.
        (void)kernel_.perform(Call::uffd_wake(uffd_.get(), base_, to_bytes(pages_)));
    }
    if (safe_ != nullptr) {
        safe_->drop(key("region"));
    }
    lifeline_.cut(kernel_, uffd_.get());
    uffd_.reset();  // before the mapping, whose end would otherwise be an event nobody reads
    filler_.reset();
    app_.reset();
}

std::span<std::byte> Region::bytes() const {
    if (!local_) {
        return {};
    }
    return {reinterpret_cast<std::byte*>(base_), to_bytes(pages_)};  // NOLINT
}

}  // namespace verso::engine
