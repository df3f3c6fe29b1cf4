// Presence and Lifeline: see the header.
#include "engine/presence.h"

namespace verso::engine {

using kernel::Call;
using kernel::MapFlag;
using kernel::Outcome;
using kernel::Verdict;

Result<Lifeline> Lifeline::tie(kernel::Kernel& kernel, int uffd) {
    Result<Mapping> page =
        Mapping::map(kernel, -1, 0, page_size, MapFlag::no_fork, "a child's lifeline");
    if (!page) {
        return pass(page);
    }
    const Outcome registered = kernel.perform(
        Call::uffd_register(uffd, page->address(), page_size, kernel::RegisterMode::missing));
    if (!registered.ok()) {
        return refuse(registered, "watching a child's lifeline");
    }
    Lifeline lifeline;
    lifeline.page_ = std::move(*page);
    return lifeline;
}

void Lifeline::cut(kernel::Kernel& kernel, int uffd) {
    for (unsigned tries = 0; page_.valid() && tries < 3; ++tries) {
        if (kernel.perform(Call::uffd_unregister(uffd, page_.address(), page_size)).ok()) {
            break;
        }
    }
}

bool Presence::still_there(const FillTarget& target) {
    if (!unreadable_.valid()) {
        Result<Mapping> made =
            Mapping::map(kernel_, -1, 0, page_size, MapFlag::no_fork, "a page that cannot be read");
        if (!made) {
            return true;
        }
        unreadable_ = std::move(*made);
    }
    const Outcome asked = kernel_.perform(
        Call::uffd_copy(target.uffd, target.lifeline, page_size, unreadable_.address(), 0));
    return asked.verdict != Verdict::target_gone && asked.verdict != Verdict::no_such_range;
}

}  // namespace verso::engine
