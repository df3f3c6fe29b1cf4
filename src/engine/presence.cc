// Presence: see the header.
#include "engine/presence.h"

#include <algorithm>

namespace verso::engine {

using kernel::Call;
using kernel::MapFlag;
using kernel::Outcome;
using kernel::Verdict;

bool Presence::still_there(const FillTarget& target) {
    if (!unreadable_.valid()) {
        Result<Mapping> made =
            Mapping::map(kernel_, -1, 0, page_size, MapFlag::no_fork, "a page that cannot be read");
        if (!made) {
            return true;
        }
        unreadable_ = std::move(*made);
    }
    constexpr u64 samples = 64;  // a program may have unmapped a part of it
    const u64 step = std::max<u64>(1, target.pages / samples);
    for (u64 page = 0; page < target.pages; page += step) {
        const Outcome asked = kernel_.perform(Call::uffd_copy(target.uffd, target.address(page),
                                                              page_size, unreadable_.address(), 0));
        if (asked.verdict == Verdict::target_gone) {
            return false;
        }
        if (asked.verdict != Verdict::no_such_range) {
            return true;
        }
    }
    return false;
}

}  // namespace verso::engine
