// The installed tree works for someone who has nothing but it: a consumer through the CMake
// package, one through pkg-config, and one in C. The tree is moved after the installation, so
// nothing may remember where it was built or installed.
#include <filesystem>
#include <memory>

#include <fmt/core.h>
#include <gtest/gtest.h>

#include "support/shell.h"

namespace verso {
namespace {
namespace fs = std::filesystem;
using test::Ran;
using test::run;

class Installed : public testing::Test {
protected:
    static void SetUpTestSuite() {
        folder = std::make_unique<test::TemporaryFolder>();
        const std::string first = folder->path() + "/first";
        installation = run(fmt::format("'{}' --install '{}' --prefix '{}' 2>&1", VERSO_CMAKE,
                                       VERSO_BINARY_DIR, first));
        if (installation.code == 0) {
            fs::rename(first, tree());
        }
    }
    static void TearDownTestSuite() { folder.reset(); }
    void SetUp() override { ASSERT_EQ(installation.code, 0) << installation.output; }

    static std::string tree() { return folder->path() + "/tree"; }
    static std::string built(const std::string& name) { return folder->path() + "/" + name; }
    static std::string source(const std::string& name) {
        return VERSO_SOURCE_DIR "/tests/packaging/" + name;
    }
    /// Compiles one file with what pkg-config says; returns what the compiler said.
    static Ran compile_with_pkg_config(const std::string& compiler, const std::string& file,
                                       const std::string& output) {
        return run(fmt::format(
            "dir=$(dirname $(find '{}' -name verso.pc)) && "
            "'{}' '{}' -o '{}' $(PKG_CONFIG_PATH=$dir pkg-config --cflags --libs verso) 2>&1",
            tree(), compiler, file, output));
    }

    static std::unique_ptr<test::TemporaryFolder> folder;
    static Ran installation;
};
std::unique_ptr<test::TemporaryFolder> Installed::folder;
Ran Installed::installation;

TEST_F(Installed, ServesAConsumerThroughFindPackage) {
    const Ran configured =
        run(fmt::format("'{}' -S '{}' -B '{}' -G Ninja -DCMAKE_PREFIX_PATH='{}' "
                        "-DCMAKE_CXX_COMPILER='{}' 2>&1",
                        VERSO_CMAKE, source("cmake"), built("cmake"), tree(), VERSO_CXX));
    ASSERT_EQ(configured.code, 0) << configured.output;
    const Ran made = run(fmt::format("'{}' --build '{}' 2>&1", VERSO_CMAKE, built("cmake")));
    ASSERT_EQ(made.code, 0) << made.output;
    const Ran ran = run("'" + built("cmake") + "/consumer' 2>&1");
    EXPECT_EQ(ran.code, 0) << ran.output;
}

TEST_F(Installed, ServesAConsumerThroughPkgConfig) {
    const Ran made = compile_with_pkg_config(VERSO_CXX "' '-std=c++20", source("pkgconfig/main.cc"),
                                             built("through-pkg-config"));
    ASSERT_EQ(made.code, 0) << made.output;
    const Ran ran = run("'" + built("through-pkg-config") + "' 2>&1");
    EXPECT_EQ(ran.code, 0) << ran.output;
}

TEST_F(Installed, ServesAConsumerInC) {
    const Ran made =
        compile_with_pkg_config(VERSO_C "' '-std=c11", source("c/main.c"), built("in-c"));
    ASSERT_EQ(made.code, 0) << made.output;
    const Ran ran = run("'" + built("in-c") + "' 2>&1");
    EXPECT_EQ(ran.code, 0) << ran.output;
}

TEST_F(Installed, HoldsTheProgram) {
    const Ran ran = run("'" + tree() + "/bin/verso' version 2>&1");
    EXPECT_EQ(ran.code, 0);
    EXPECT_EQ(ran.output, "verso " VERSO_VERSION "\n");
}

TEST_F(Installed, HoldsNoHeaderButThePublicOnes) {
    const Ran found = run("cd '" + tree() + "/include' && find . -type f | sort");
    EXPECT_EQ(found.output, "./verso/takeover.hpp\n./verso/verso.h\n./verso/verso.hpp\n");
}

}  // namespace
}  // namespace verso
