// Skips, with the reason, what this machine cannot do.
#pragma once

#include <gtest/gtest.h>

#include "api/api.h"

/// Ends the test where a child cannot be served from another process.
#define VERSO_NEEDS_USERFAULTFD() \
    do { \
        const ::verso::kernel::Abilities& can = ::verso::process_runtime().kernel().abilities(); \
        if (!can.write_protect_shmem || !can.minor_shmem) { \
            GTEST_SKIP() << "no userfaultfd for shared memory here. " << can.why_no_userfaultfd; \
        } \
    } while (false)
