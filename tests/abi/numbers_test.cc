// The numbers that no header of the build machine vouches for, against literals (hazard H30), and
// against the running kernel where that can be asked without privilege. The static_asserts are in
// abi_check.cc.
#include <set>

#include <gtest/gtest.h>

#include "abi/abi.h"

namespace verso::abi {
namespace {

TEST(H30_NumbersCopiedByHand, UserfaultfdIoctlsAreThoseOfTheKernel) {
    EXPECT_EQ(UffdIoctl::api, 0xC018AA3FU);
    EXPECT_EQ(UffdIoctl::register_range, 0xC020AA00U);
    EXPECT_EQ(UffdIoctl::unregister, 0x8010AA01U);
    EXPECT_EQ(UffdIoctl::wake, 0x8010AA02U);
    EXPECT_EQ(UffdIoctl::copy, 0xC028AA03U);
    EXPECT_EQ(UffdIoctl::zeropage, 0xC020AA04U);
    EXPECT_EQ(UffdIoctl::move, 0xC028AA05U);
    EXPECT_EQ(UffdIoctl::write_protect, 0xC018AA06U);
    EXPECT_EQ(UffdIoctl::continue_range, 0xC020AA07U);
    EXPECT_EQ(UffdIoctl::poison, 0xC020AA08U);
    EXPECT_EQ(UffdIoctl::device_new, 0xAA00U);
}

TEST(H30_NumbersCopiedByHand, PagemapScanIsThatOfTheKernel) {
    EXPECT_EQ(pagemap_scan_ioctl, 0xC0606610U);
}

TEST(H30_NumbersCopiedByHand, FeaturesNewerThanTheHeadersAreConsecutiveBits) {
    EXPECT_EQ(Feature::wp_unpopulated, 0x2000U);
    EXPECT_EQ(Feature::poison, 0x4000U);
    EXPECT_EQ(Feature::wp_async, 0x8000U);
    EXPECT_EQ(Feature::move, 0x10000U);
}

TEST(FeatureNames, NameEveryBitOnceInOrder) {
    u64 expected = 1;
    std::set<std::string_view> names;
    for (const FeatureName& feature : feature_names) {
        EXPECT_EQ(feature.bit, expected) << feature.name;
        EXPECT_TRUE(names.insert(feature.name).second) << feature.name;
        EXPECT_FALSE(feature.release.empty()) << feature.name;
        expected <<= 1;
    }
    EXPECT_EQ(expected >> 1, Feature::move);
}

}  // namespace
}  // namespace verso::abi
