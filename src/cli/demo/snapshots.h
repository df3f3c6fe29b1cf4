// Takes the snapshots: at a fixed pace, several alive at once, released in mixed order, the first
// one kept. Between two of them it hashes another slice of the first.
#pragma once

#include <vector>

#include "cli/demo/contender.h"
#include "cli/demo/hash.h"
#include "cli/demo/writer.h"

namespace verso::cli {

class SnapshotRun {
public:
    SnapshotRun(Contender& contender, Side& side, Phases& phases, Writer& writer)
        : contender_(contender), side_(side), phases_(phases), writer_(writer) {}

    Result<void> run(const Work& work, const Progress& progress);
    /// Releases all but the first.
    void release_rest();
    /// Fills what the first has cost by now.
    void look_at_first() { contender_.look(0, side_.snapshots[0]); }

    const std::vector<unsigned>& alive() const { return alive_; }
    Hash first_hash() const { return hasher_.result(); }

private:
    Result<void> take();
    void release(std::size_t place);
    void release_one_if_many();
    Result<void> hash_until(u64 deadline_ns);
    Result<void> finish_hash();

    Contender& contender_;
    Side& side_;
    Phases& phases_;
    Writer& writer_;
    std::vector<unsigned> alive_;
    Hasher hasher_;
    std::span<const std::byte> first_;
    std::size_t hashed_ = 0;
};

}  // namespace verso::cli
