// base/: what any systems program needs. It knows nothing of memory management, Linux or snapshots.
//   types    integer names, page arithmetic        check   always-on assertions
//   result   errors of the environment             fd      owned descriptors
//   bitmap   one bit per page, shared by threads and processes
//   histogram   times in logarithmic buckets
// Locks: none. May include: the standard library, fmt, tl-expected, verso/verso.hpp (for Error).
#pragma once

#include "base/bitmap.h"
#include "base/check.h"
#include "base/fd.h"
#include "base/histogram.h"
#include "base/result.h"
#include "base/types.h"
