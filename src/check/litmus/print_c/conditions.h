// A litmus' conditions, and what its steps expect, as C.
#pragma once

#include <string>

#include "check/litmus/litmus.h"

namespace verso::check::print_c {

std::string judge_text(const Litmus& litmus);
bool asks_for_soft_dirty(std::string_view judge);

}  // namespace verso::check::print_c
