// Skips, with the reason, what this machine cannot do. Nothing else may skip: an error of any other
// kind is what the test is there to find.
#pragma once

#include <gtest/gtest.h>

#include "api/api.h"
#include "verso/verso.hpp"

/// Ends the test where a child cannot be served from another process.
#define VERSO_NEEDS_USERFAULTFD() \
    do { \
        const ::verso::kernel::Abilities& can = ::verso::process_runtime().kernel().abilities(); \
        if (!can.write_protect_shmem || !can.minor_shmem) { \
            GTEST_SKIP() << "no userfaultfd for shared memory here. " << can.why_no_userfaultfd; \
        } \
    } while (false)

/// Ends the test where the kernel's own faults, such as a system call's or a guest's, are not
/// served.
#define VERSO_NEEDS_FAULTS_OF_THE_KERNEL() \
    VERSO_NEEDS_USERFAULTFD(); \
    do { \
        if (::verso::process_runtime().kernel().abilities().user_mode_only) { \
            GTEST_SKIP() << "faults of the kernel itself are not served without privilege here"; \
        } \
    } while (false)

/// Ends the test where no child maps its source's live pages.
#define VERSO_NEEDS_LIVE_CHILDREN() \
    VERSO_NEEDS_USERFAULTFD(); \
    do { \
        if (::verso::process_runtime().kernel().abilities().user_mode_only) { \
            GTEST_SKIP() << "without privilege a child never maps the live file (verso doctor)"; \
        } \
    } while (false)

/// Goes on if the Result holds a value, skips if the machine lacks what it takes, fails otherwise.
#define VERSO_ASSERT_OK_OR_UNSUPPORTED(result) \
    do { \
        if (!(result).has_value() && (result).error().kind == ::verso::ErrorKind::unsupported) { \
            GTEST_SKIP() << (result).error().message; \
        } \
        ASSERT_TRUE((result).has_value()) << (result).error().message; \
    } while (false)
