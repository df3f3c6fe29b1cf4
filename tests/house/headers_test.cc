// Every header compiles alone: whoever includes it needs to include nothing else before it. Where a
// source of its name includes it first (and so compiles it alone already, in this very build), that
// is looked at; for each other header, this build's compiler is run on a one-line file, which takes
// about a second. The sources of tests are not believed: they begin with a precompiled header.
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

std::string included(const std::string& path) { return path.substr(path.find('/') + 1); }

/// Is there a source in `src` with that header's name, and is the header what it includes first?
bool opens_its_source(const File& header, const std::vector<File>& sources) {
    const std::string source = header.path.substr(0, header.path.rfind('.')) + ".cc";
    const auto at = std::find_if(sources.begin(), sources.end(),
                                 [&](const File& file) { return file.path == source; });
    if (at == sources.end()) {
        return false;
    }
    const auto first = std::find_if(at->lines.begin(), at->lines.end(),
                                    [](const auto& line) { return line.starts_with("#"); });
    return first != at->lines.end() &&
           *first == fmt::format("#include \"{}\"", included(header.path));
}

std::vector<std::string> headers() {
    const std::vector<File> sources = files_below({"src"}, {".cc"});
    std::vector<std::string> paths;
    for (const File& file : files_below({"include", "src", "tests", "bench"}, {".h", ".hpp"})) {
        if (!opens_its_source(file, sources)) {
            paths.push_back(included(file.path));
        }
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

TEST(Headers, OnlyASourceOfItsNameThatIncludesItFirstSpeaksForAHeader) {
    const File header = file_of("src/base/some.h", "#pragma once\n");
    const File first = file_of("src/base/some.cc", "// what\n#include \"base/some.h\"\n");
    const File late = file_of("src/base/some.cc", "#include <vector>\n#include \"base/some.h\"\n");
    const File other = file_of("src/base/other.cc", "#include \"base/some.h\"\n");
    EXPECT_TRUE(opens_its_source(header, {other, first}));
    EXPECT_FALSE(opens_its_source(header, {late}));
    EXPECT_FALSE(opens_its_source(header, {other}));
}

TEST(Headers, AHeaderThatDoesNotCompileIsFound) {
    EXPECT_NE(compile(VERSO_CXX, "c++ -std=c++20", "nonsense nonsense;").code, 0);
}

}  // namespace
}  // namespace verso::house
