// Child processes: made one after another (so that each is timed alone), checking all at once,
// alive together, then asked what they see. Two of them are made by other children.
#pragma once

#include <vector>

#include "cli/demo/contender.h"
#include "cli/demo/writer.h"

namespace verso::cli {

class Family {
public:
    Family(Contender& contender, Side& side, const Progress& progress)
        : contender_(contender), side_(side), progress_(progress) {}

    /// `from`: the snapshots to fork, used in turn.
    Result<void> raise(unsigned children, const std::vector<unsigned>& from, Writer& writer);
    /// Asks everybody what they see; adds one check, named `when`.
    Result<void> audit(const std::string& when);
    /// Everybody reports memory; the sum is the side's.
    Result<void> measure();
    /// Everybody leaves and is waited for.
    void leave();

    bool empty() const { return members_.empty(); }

private:
    Result<void> first_generation(unsigned count, unsigned parents,
                                  const std::vector<unsigned>& from, Writer& writer);
    Result<void> second_generation(unsigned count);
    Result<void> first_touch(Member& member);
    Result<void> check(std::size_t first);
    void conclude();

    Contender& contender_;
    Side& side_;
    const Progress& progress_;
    std::vector<Member> members_;
    std::string unsound_;  // the first child whose database was not sound, and why
};

}  // namespace verso::cli
