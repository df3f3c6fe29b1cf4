// Every header compiles alone: whoever includes it needs to include nothing else before it. One
// test per header; each runs this build's compiler on a one-line file, which takes about a second.
#include <algorithm>

#include <fmt/core.h>
#include <gtest/gtest.h>

#include "house/tree.h"
#include "support/shell.h"

namespace verso::house {
namespace {

test::Ran compile(const std::string& compiler, const std::string& language,
                  const std::string& text) {
    return test::run(fmt::format(
        "printf '%s\\n' '{}' | '{}' -x {} -Wall -Wextra -Werror -fsyntax-only -I'{}/src' "
        "-I'{}/include' -I'{}/tests' -I'{}/bench' - 2>&1",
        text, compiler, language, root(), root(), root(), root()));
}

std::vector<std::string> headers() {
    std::vector<std::string> paths;
    for (const File& file : files_below({"include", "src", "tests", "bench"}, {".h", ".hpp"})) {
        paths.push_back(file.path.substr(file.path.find('/') + 1));
    }
    return paths;
}

class EveryHeader : public testing::TestWithParam<std::string> {};

TEST_P(EveryHeader, CompilesAlone) {
    const test::Ran compiled =
        compile(VERSO_CXX, "c++ -std=c++20", fmt::format("#include \"{}\"", GetParam()));
    EXPECT_EQ(compiled.code, 0) << compiled.output;
}

std::string test_name(const testing::TestParamInfo<std::string>& header) {
    std::string name = header.param;
    std::replace_if(
        name.begin(), name.end(), [](char c) { return c == '/' || c == '.'; }, '_');
    return name;
}

INSTANTIATE_TEST_SUITE_P(Tree, EveryHeader, testing::ValuesIn(headers()), test_name);

TEST(Headers, TheCInterfaceIsC) {
    const test::Ran compiled =
        compile(VERSO_C, "c -std=c11 -pedantic -Wstrict-prototypes", "#include \"verso/verso.h\"");
    EXPECT_EQ(compiled.code, 0) << compiled.output;
}

TEST(Headers, AHeaderThatDoesNotCompileIsFound) {
    EXPECT_NE(compile(VERSO_CXX, "c++ -std=c++20", "nonsense nonsense;").code, 0);
}

}  // namespace
}  // namespace verso::house
