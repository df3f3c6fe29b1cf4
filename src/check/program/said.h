// What the kernel answered and what a userfaultfd said, in the words of the notation.
//
//   wp+write@0   missing@1   minor+write@0   removed@0-1   unmapped@all   remapped@0>0'   forked
//
// A fault is named by what is asked for (write protection, a missing page, a minor fault), with
// "+write" if it is a write's. Pages are the program's; "elsewhere" is none of its pages.
#pragma once

#include <span>
#include <string>

#include "check/program/program.h"
#include "kernel/event.h"
#include "kernel/outcome.h"

namespace verso::check {

inline constexpr const char* hangs = "hangs";

/// "done", "= 3", "partly 1", "SIGSEGV", "EEXIST", "hangs", …
std::string word_of(Verb verb, const kernel::Outcome& outcome, u64 unit);

/// Where the program's two areas are.
struct Areas {
    u64 first = 0;
    u64 second = 0;
    u64 length = 0;
    u64 unit = 0;
};

/// All of them with blanks between; "none".
std::string what_is_said(std::span<const kernel::Event> events, const Areas& areas);

}  // namespace verso::check
