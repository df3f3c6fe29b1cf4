// Verso's side: the database lives in a Region; snapshots are Snapshots; a child is a new process
// that imports what export_fork() sends it; rewinding is Region::rewind.
#pragma once

#include <optional>
#include <vector>

#include "cli/demo/contender.h"

namespace verso::cli {

class VersoSide : public Contender {
public:
    /// Refuses a machine on which memory cannot be handed to other processes.
    static Result<std::unique_ptr<VersoSide>> create(u64 span_bytes);

    std::string name() const override { return "verso"; }
    std::string memory_kind() const override { return region_.describe(); }
    std::span<std::byte> memory() const override { return region_.bytes(); }
    Result<SnapshotFigures> take_snapshot() override;
    void release(unsigned snapshot, SnapshotFigures& figures) override;
    void look(unsigned snapshot, SnapshotFigures& figures) override;
    Result<std::span<const std::byte>> first_bytes() override { return alive(0).bytes(); }
    Result<void> fork_source(unsigned snapshot, bool will_fork, Member& child) override;
    Result<void> fork_child(Member& parent, Member& child) override;
    Result<MemoryTotal> memory_total(const std::vector<Member>& children) override;
    Result<void> rewind(Rewind& rewind) override;

private:
    explicit VersoSide(Region region) : region_(std::move(region)) {}
    /// A snapshot that has been taken and not released.
    Snapshot& alive(unsigned snapshot);

    Region region_;
    std::vector<std::optional<Snapshot>> snapshots_;
};

}  // namespace verso::cli
