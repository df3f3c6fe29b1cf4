// abi/: Linux's words and numbers for the calls that Verso makes, complete in themselves, because
// the distribution's headers are older than the kernels we run on (Debian 12 has 6.1's).
//
//   userfaultfd    features, ioctls, messages
//   pagemap        PAGEMAP_SCAN and the bits of an entry
//
// Numbers only: which of them work is asked of the running kernel, never of the headers. Every
// number is checked against the system's headers where those define it (abi_check.cc, hazard H30).
// Locks: none. May include: base.
#pragma once

#include "abi/pagemap.h"
#include "abi/userfaultfd.h"
