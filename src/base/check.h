// CHECK: an assertion that is on in every build, for what only a bug of ours can break. It prints
// the condition, the place and a formatted sentence with the values, then aborts: a tool that
// promises not to lose writes stops rather than goes on in a state it does not understand.
// Never for the kernel's answers (Outcome) nor for the environment (Result).
#pragma once

#include <source_location>
#include <string_view>

#include <fmt/core.h>

namespace verso {

[[noreturn]] void check_failed(std::string_view condition, std::string_view message,
                               std::source_location where);

}  // namespace verso

// NOLINTBEGIN(cppcoreguidelines-macro-usage): only a macro can show the condition's own text.
#define VERSO_CHECK(condition, ...) \
    do { \
        if (!(condition)) [[unlikely]] { \
            ::verso::check_failed(#condition, ::fmt::format(__VA_ARGS__), \
                                  ::std::source_location::current()); \
        } \
    } while (false)
// NOLINTEND(cppcoreguidelines-macro-usage)
