// The advice per verdict. One switch over all of it: a new verdict does not compile until it has
// advice.
#include "engine/explain.h"

namespace verso::engine {
namespace {

using kernel::Verdict;

struct Advice {
    ErrorKind kind;
    std::string_view text;
};

Advice advice_for(Verdict verdict) {
    switch (verdict) {
        case Verdict::no_memory:
            return {
                ErrorKind::resource,
                "free memory, raise the memory limit, or release snapshots; many protected islands "
                "may also need a higher vm.max_map_count"};
        case Verdict::no_descriptors:
            return {ErrorKind::resource, "raise the open files limit (ulimit -n)"};
        case Verdict::denied:
            return {ErrorKind::unsupported, "run `verso doctor` to see which privilege is missing"};
        case Verdict::unsupported:
            return {ErrorKind::unsupported, "run `verso doctor` to see what this kernel offers"};
        case Verdict::no_such_range:
            return {
                ErrorKind::damaged,
                "the memory was unmapped or replaced behind the engine's back; keep the region's "
                "mapping in place while it is tracked"};
        case Verdict::target_gone:
        case Verdict::closed: return {ErrorKind::peer, "the other process has gone"};
        case Verdict::timed_out:
            return {ErrorKind::peer, "the other process did not answer in time"};
        case Verdict::layout_changing:
        case Verdict::would_block:
        case Verdict::interrupted:
        case Verdict::busy: return {ErrorKind::system, "try again"};
        case Verdict::invalid:
            return {ErrorKind::invalid_argument,
                    "the kernel does not accept this kind of memory or range for the operation"};
        case Verdict::no_page: return {ErrorKind::system, "an address was not readable"};
        case Verdict::done:
        case Verdict::partial:
        case Verdict::exists:
        case Verdict::signal:
        case Verdict::other: return {ErrorKind::system, "please report this"};
    }
    return {ErrorKind::system, "please report this"};
}

}  // namespace

Error explain(const kernel::Outcome& outcome, std::string_view doing) {
    const Advice advice = advice_for(outcome.verdict);
    return Error{advice.kind, outcome.error,
                 fmt::format("{}: {}; {}", doing, kernel::to_string(outcome), advice.text)};
}

}  // namespace verso::engine
