// Result<T>: the environment's errors (style: three kinds of error, never mixed). A message is one
// sentence that says what happened and what the user can do about it.
#pragma once

#include <string>
#include <utility>

#include <fmt/core.h>

#include "verso/verso.hpp"

namespace verso {

template <class... Args>
tl::unexpected<Error> fail(ErrorKind kind, int os_error, fmt::format_string<Args...> format,
                           Args&&... args) {
    return tl::unexpected<Error>(
        Error{kind, os_error, fmt::format(format, std::forward<Args>(args)...)});
}

/// Hands an error on unchanged: `if (!x) return pass(x);`
template <class T>
tl::unexpected<Error> pass(Result<T>& result) {
    return tl::unexpected<Error>(std::move(result.error()));
}

/// Hands an error on with what was being done: "<doing>: <message>".
template <class T>
tl::unexpected<Error> pass(Result<T>& result, std::string doing) {
    Error error = std::move(result.error());
    error.message = std::move(doing) + ": " + error.message;
    return tl::unexpected<Error>(std::move(error));
}

}  // namespace verso
