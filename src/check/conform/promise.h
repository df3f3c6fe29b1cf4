// The promises, asked of one trace without a model: whatever kernel it is of, it must not
//
//   I9    let a store through to a page that was protected and that nothing has released since
//   I10   call a page clean whose bytes changed since it was armed, or that never was (AS-4)
//   I4    leave a protection on memory that is not registered for it
//   WP    say that it protected what then is not protected; drop a protection by itself
//   GR    take away a guard, or a poisoned page, that nobody removed
//   END   take a call and not come back; leave a thread asleep in a fault of memory that is
//         registered no more
//
// A promise that both the model and the kernel break is found here and nowhere else. The oracles
// of mm/history.h see the model's own state; these see what a user sees: outcomes, pagemap, scans.
// Where a trace leaves it open who is right (another mapping of the file, MADV_FREE), they are
// silent.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "check/program/run.h"

namespace verso::check {

struct Broken {
    std::size_t step = 0;
    std::string_view promise;  // "I9", …
    std::string text;
};

/// The first.
std::optional<Broken> broken_promise(const Program& program, const Trace& trace);

}  // namespace verso::check
