// What is refused before anything is begun.
#include <gtest/gtest.h>

#include "check/torture/plan.h"

namespace verso::check::torture {
namespace {
constexpr u64 gibibyte = u64{1} << 30;
constexpr u64 size = u64{256} << 20;

TEST(Plan, TheStoryFitsIntoMemoryAndASwapFile) {
    const Means means{24 * gibibyte, 20 * gibibyte, 75 * gibibyte, "/var/tmp"};
    const Result<Plan> plan = plan_for(64, size, means);
    ASSERT_TRUE(plan.has_value()) << plan.error().message;
    EXPECT_GE(plan->memory_bytes + plan->swap_bytes, plan->need_bytes);
    EXPECT_LE(plan->memory_bytes + plan->reserve_bytes, means.available_bytes);
    EXPECT_LT(plan->swap_bytes, means.disk_bytes);
    EXPECT_LT(plan->scarce_bytes, 64 * size) << "less than the instances' memories alone";
}

TEST(Plan, WhatDoesNotFitIsRefusedWithWhatWould) {
    const Means means{24 * gibibyte, 20 * gibibyte, 0, ""};
    const Result<Plan> plan = plan_for(64, size, means);
    ASSERT_FALSE(plan.has_value());
    EXPECT_NE(plan.error().message.find("--instances 21 would fit"), std::string::npos)
        << plan.error().message;
    EXPECT_TRUE(plan_for(21, size, means).has_value());
    EXPECT_FALSE(plan_for(22, size, means).has_value());
}

TEST(Plan, WithoutADiskThereIsNoSwapFile) {
    const Means means{24 * gibibyte, 20 * gibibyte, 0, ""};
    const Result<Plan> plan = plan_for(4, size, means);
    ASSERT_TRUE(plan.has_value());
    EXPECT_EQ(plan->swap_bytes, 0U);
}

}  // namespace
}  // namespace verso::check::torture
