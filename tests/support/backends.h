// The same test over every backend: names, and the one sentence of a skip where one is lacking.
#pragma once

#include <string>

#include <gtest/gtest.h>

#include "api/api.h"
#include "support/contents.h"
#include "verso/verso.hpp"

namespace verso::test {

inline std::string name_of(Backend backend) {
    return backend == Backend::userfaultfd     ? "Userfaultfd"
           : backend == Backend::mprotect_segv ? "MprotectSegv"
                                               : "Automatic";
}

class OnEachBackend : public testing::TestWithParam<Backend> {
protected:
    void SetUp() override {
        const kernel::Abilities& can = process_runtime().kernel().abilities();
        if (GetParam() == Backend::userfaultfd && !can.write_protect_shmem) {
            GTEST_SKIP() << "no userfaultfd write-protection here. " << can.why_no_userfaultfd;
        }
    }
    Result<Region> make(u64 pages, Tracking tracking = Tracking::contents) const {
        return Region::create(
            {.size = to_bytes(pages), .tracking = tracking, .backend = GetParam()});
    }
};

inline const auto each_backend = testing::Values(Backend::userfaultfd, Backend::mprotect_segv);
inline std::string backend_name(const testing::TestParamInfo<Backend>& info) {
    return name_of(info.param);
}

}  // namespace verso::test

/// A Result that must hold a value.
#define VERSO_ASSERT_OK(result) ASSERT_TRUE((result).has_value()) << (result).error().message
#define VERSO_EXPECT_OK(result) EXPECT_TRUE((result).has_value()) << (result).error().message
