// The words of the notation and what they stand for: one table for reading and for printing.
#pragma once

#include <span>
#include <string_view>

#include "check/program/program.h"

namespace verso::check {

/// A verb as it is written. Some words bring mode bits of their own (WRITEPROTECT), some are a verb
/// and its mode in one (DONTNEED, migrate).
struct Word {
    std::string_view text;
    Verb verb;
    u64 mode = 0;
    bool whole = false;  // the mode is part of the word
};
std::span<const Word> verb_words();

/// What may stand in a verb's parentheses.
struct ModeWord {
    Verb verb;
    std::string_view text;
    u64 bits;
};
std::span<const ModeWord> mode_words();

struct Option {
    std::string_view text;
    u64 feature;
};
std::span<const Option> options();

}  // namespace verso::check
