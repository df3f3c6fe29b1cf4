// Rows of docs/mm.md for the rules that no release has yet.
#pragma once

#include <vector>

#include "claims/claim.h"

namespace verso::claims {

std::vector<Row> kept_promises_rows();

}  // namespace verso::claims
