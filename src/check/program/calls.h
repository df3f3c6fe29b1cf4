// Steps that are one call and need no userfaultfd, as that call.
#pragma once

#include <optional>

#include "check/program/program.h"
#include "kernel/call.h"

namespace verso::check {

inline constexpr u64 read_write = kernel::MapFlag::read | kernel::MapFlag::write;

/// What a step's place and the run so far come to.
struct Where {
    u64 at = 0;
    u64 length = 0;
    u64 unit = 0;    // a page of the program
    u64 second = 0;  // the same pages of the second area
    u64 whole = 0;   // length of an area
    u64 offset = 0;  // of the place, in the file
    int file = -1;
    int pin = -1;
    u64 value = 0;
};

/// Nothing: the step is no such call.
std::optional<kernel::Call> plain_call(const Step& step, const Where& where);

}  // namespace verso::check
