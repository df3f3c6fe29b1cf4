// Checkpoint: a search between two levels, as a file. Whoever resumes needs the same request; the
// file says which one it was.
//
//   ┌ "verso explore 2\n" ┬ identity ┬ depth, levels, tally ┬ prints ┬ origins ┬ level ┬ hash ┐
//
// It is written beside its place and then renamed there: a search that is killed while it writes
// leaves the previous one.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "check/explore/level.h"
#include "check/explore/tally.h"
#include "check/explore/visited.h"

namespace verso::check::explore {

struct Checkpoint {
    unsigned depth = 0;
    std::vector<u64> level_states;
    Tally tally;
    std::vector<Fingerprint> met;
    std::vector<Origin> origins;
    Level level;
};
/// The same, of a search that goes on.
struct CheckpointView {
    unsigned depth = 0;
    const std::vector<u64>& level_states;
    Tally tally;
    const Visited& visited;
    const std::vector<Origin>& origins;
    const Level& level;
};

Result<bool> write_checkpoint(const std::string& path, const std::string& identity,
                              const CheckpointView& search);
Result<Checkpoint> read_checkpoint(const std::string& path, const std::string& identity);

}  // namespace verso::check::explore
