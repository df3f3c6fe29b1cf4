// The rival's side: the database lives in ordinary private memory, and everything is done with
// fork(2).
//
//   snapshot   fork(2) of the whole process; the child holds still and thereby keeps the old bytes
//   child      fork(2); it goes on with the same code. Of a child: the child forks
//   rewind     fork(2) has none: the first snapshot's process copies all its bytes into shared
//              memory, and they are copied back
//
// It runs in a process of its own that has nothing but this memory, so that fork(2) need not copy
// page tables of anybody else. Forking a process with threads is legal only if the child does
// little; ours opens a database. That is safe here because: glibc makes malloc usable in the child;
// SQLite is set to its single-threaded mode, without mutexes that another thread could hold (only
// the writer uses it); and the child leaves the writer's connection alone and opens its own.
#pragma once

#include <memory>
#include <vector>

#include "cli/demo/contender.h"

namespace verso::cli {

class ForkSide : public Contender {
public:
    static Result<std::unique_ptr<ForkSide>> create(u64 span_bytes);
    ~ForkSide() override;

    std::string name() const override { return "fork(2)"; }
    std::string memory_kind() const override;
    std::span<std::byte> memory() const override { return span_; }
    Result<SnapshotFigures> take_snapshot() override;
    void release(unsigned snapshot, SnapshotFigures& figures) override;
    void look(unsigned, SnapshotFigures&) override {}
    Result<std::span<const std::byte>> first_bytes() override;
    Result<void> fork_source(unsigned snapshot, bool will_fork, Member& child) override;
    Result<void> fork_child(Member& parent, Member& child) override;
    Result<MemoryTotal> memory_total(const std::vector<Member>& children) override;
    Result<void> rewind(Rewind& rewind) override;

private:
    ForkSide(std::span<std::byte> span, std::span<std::byte> saved) : span_(span), saved_(saved) {}

    std::span<std::byte> span_;   // MAP_PRIVATE | MAP_ANONYMOUS
    std::span<std::byte> saved_;  // MAP_SHARED: where the first snapshot's process copies its bytes
    bool saved_is_full_ = false;
    std::vector<Member> holders_;  // one process per snapshot
};

}  // namespace verso::cli
