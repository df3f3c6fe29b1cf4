// The one place where the product aborts on purpose.
#include "base/check.h"

#include <cstdio>
#include <cstdlib>

namespace verso {

void check_failed(std::string_view condition, std::string_view message,
                  std::source_location where) {
    fmt::print(stderr, "verso: internal error at {}:{}: expected {}: {}\n", where.file_name(),
               where.line(), condition, message);
    std::fflush(stderr);
    std::abort();
}

}  // namespace verso
