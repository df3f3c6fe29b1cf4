// A counterexample as a litmus text: its program, and that what came of it must not be. So that it
// can be kept, judged on other kernels, and printed as a C program.
#pragma once

#include <cstddef>
#include <filesystem>
#include <string>

#include "check/litmus/litmus.h"

namespace verso::check {

/// "never step N: …" of what that step came to: its outcome, its pages, the threads that slept.
/// Behind the last step: of what the pages held in the end.
Litmus claim_against(const Program& program, const Trace& seen, std::size_t step,
                     const std::string& title);

/// NAME.litmus and NAME.c. A sentence: what was written, and why no C if it was not.
Result<std::string> write_claim(const std::filesystem::path& folder, const std::string& name,
                                const Litmus& litmus);

}  // namespace verso::check
