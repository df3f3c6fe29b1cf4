// Where Linux 6.18 itself breaks what section 3 of the specification asks for, each with the rows
// that it breaks. A history that meets one counts it (History::met) and goes on, so that a search
// or a fuzzer gets past it; anything else is reported.
#include "mm/history.h"

namespace verso::mm {
namespace {

constexpr KnownException exceptions[] = {
    {"SD-1", "E-SD5 E-SW3 E-ZP3",
     "soft-dirty is a bit of the entry: when a zap, reclaim of a file's page or a collapse drops "
     "the entry, the bit goes, too"},
    {"SD-2", "E-SD3 E-SD4 E-MG4",
     "clear_refs leaves write permission to a page that migrates as WRITE and to a private page "
     "that is pinned; the next store takes no fault, and nothing sets the bit again"},
    {"PR-1", "WK-3 E-ZP13",
     "a thread whose range is unmapped while it waits for a fault waits until WAKE or close"},
    {"FG-6", "FG-6", "a device writes through a pin that is older than the protection"},
};
static_assert(std::size(exceptions) == exception_count);

}  // namespace

const KnownException& known(Exception exception) {
    return exceptions[static_cast<std::size_t>(exception)];
}

}  // namespace verso::mm
