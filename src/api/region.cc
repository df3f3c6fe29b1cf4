// Region and Snapshot of verso.hpp: see api.h.
#include "api/api.h"
#include "engine/exporter.h"
#include "engine/importer.h"
#include "engine/loan.h"
#include "linux/linux_kernel.h"

namespace verso {

namespace {
Result<Region> wrapped(Result<std::shared_ptr<engine::Region>> made) {
    if (!made) {
        return pass(made);
    }
    return wrap(std::move(*made));
}
}  // namespace

engine::Runtime& process_runtime() {
    static engine::Runtime* const runtime = new engine::Runtime(host::linux_kernel());
    return *runtime;
}

Region wrap(std::shared_ptr<engine::Region> region) {
    return Region(std::make_unique<Region::Impl>(Region::Impl{std::move(region)}));
}

Region::Region(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Region::Region(Region&&) noexcept = default;
Region& Region::operator=(Region&&) noexcept = default;
Region::~Region() = default;

Result<Region> Region::create(const RegionOptions& options) {
    return wrapped(engine::Region::create(process_runtime(), options));
}
Result<Region> Region::adopt(const AdoptOptions& options) {
    return wrapped(engine::Region::adopt(process_runtime(), options));
}
Result<Region> Region::import(int socket, const ImportOptions& options) {
    return wrapped(engine::import_child(process_runtime(), socket, options));
}
Result<Region> Region::attach(int socket, std::string name, int timeout_ms, Safekeeping* safe) {
    return wrapped(
        engine::Region::attach(process_runtime(), socket, std::move(name), timeout_ms, safe));
}

Result<TakenOver> take_over(std::span<const Safekeeping::Entry> entries, Safekeeping& safe) {
    Result<engine::Region::TakenOver> taken =
        engine::Region::take_over(process_runtime(), entries, safe);
    if (!taken) {
        return pass(taken);
    }
    TakenOver all{wrap(std::move(taken->region)), {}};
    for (std::shared_ptr<engine::Snapshot>& one : taken->snapshots) {
        const u64 id = one->layer().seq;
        all.snapshots.push_back(
            {id, Snapshot(std::make_unique<Snapshot::Impl>(Snapshot::Impl{std::move(one)}))});
    }
    return all;
}

std::span<std::byte> Region::bytes() const { return impl_->region->bytes(); }
std::size_t Region::size() const { return to_bytes(impl_->region->pages()); }
Result<Written> Region::written(Mark since) { return impl_->region->written(since); }

Result<Snapshot> Region::snapshot() {
    Result<std::shared_ptr<engine::Snapshot>> taken = impl_->region->snapshot();
    if (!taken) {
        return pass(taken);
    }
    return Snapshot(std::make_unique<Snapshot::Impl>(Snapshot::Impl{std::move(*taken)}));
}

Result<RewindReport> Region::rewind(const Snapshot& snapshot) {
    return impl_->region->rewind(*snapshot.impl().snapshot);
}
Result<void> Region::discard(PageRange range) { return impl_->region->discard(range); }
RegionStats Region::stats() const { return impl_->region->stats(); }
std::vector<ChildStats> Region::children() const { return impl_->region->children(); }
Result<MemoryReport> Region::memory() const { return impl_->region->memory(); }
Backend Region::backend() const { return impl_->region->backend(); }
Tracking Region::tracking() const { return impl_->region->tracking(); }
std::string Region::describe() const { return impl_->region->describe(); }
std::string Region::damage() const { return impl_->region->damage(); }

Snapshot::Snapshot(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Snapshot::Snapshot(Snapshot&&) noexcept = default;
Snapshot& Snapshot::operator=(Snapshot&&) noexcept = default;
Snapshot::~Snapshot() = default;

Result<std::span<const std::byte>> Snapshot::bytes() const { return impl_->snapshot->bytes(); }
Result<Region> Snapshot::fork(std::string name) const {
    return wrapped(impl_->snapshot->fork(std::move(name)));
}
Result<void> Snapshot::export_fork(int socket, int timeout_ms) const {
    return impl_->snapshot->export_fork(socket, timeout_ms);
}
Result<void> Snapshot::detach() const { return impl_->snapshot->detach(); }
SnapshotReport Snapshot::report() const { return impl_->snapshot->report(); }
std::uint64_t Snapshot::id() const { return impl_->snapshot->layer().seq; }
std::size_t Snapshot::size() const { return to_bytes(impl_->snapshot->region().pages()); }

struct Loan::Impl {
    std::unique_ptr<engine::Loan> loan;
};
Loan::Loan(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Loan::Loan(Loan&&) noexcept = default;
Loan& Loan::operator=(Loan&&) noexcept = default;
Loan::~Loan() = default;

Result<Loan> lend(int socket, const AdoptOptions& memory, OnEngineDeath policy) {
    Result<std::unique_ptr<engine::Loan>> made =
        engine::Loan::make(process_runtime().kernel(), socket, memory, policy);
    if (!made) {
        return pass(made);
    }
    return Loan(std::make_unique<Loan::Impl>(Loan::Impl{std::move(*made)}));
}

}  // namespace verso
