// The README keeps its word: the example is the one that the tests compile and run, and every
// script and path it names exists.
#include <filesystem>
#include <regex>

#include <gtest/gtest.h>

#include "house/tree.h"

namespace verso::house {
namespace {

std::string text_of(const File& file, std::size_t from_line = 0) {
    std::string text;
    for (std::size_t i = from_line; i < file.lines.size(); ++i) {
        text += file.lines[i] + "\n";
    }
    return text;
}

TEST(Readme, HoldsTheTestedExampleWordForWord) {
    const std::string example = text_of(read_file("examples/readme.cc"), 1);  // without its heading
    EXPECT_NE(text_of(read_file("README.md")).find("```cpp\n" + example + "```"),
              std::string::npos);
}

TEST(Readme, TheExampleFitsInFifteenLines) {
    EXPECT_LE(read_file("examples/readme.cc").lines.size() - 1, 15U);
}

TEST(Readme, EveryScriptAndFileItNamesExists) {
    static const std::regex path(
        R"((scripts|docs|include|examples|tests|src|bench)/[a-z_./-]*[a-z])");
    for (const char* document : {"README.md", "CONTRIBUTING.md"}) {
        const std::string text = text_of(read_file(document));
        for (auto it = std::sregex_iterator(text.begin(), text.end(), path);
             it != std::sregex_iterator(); ++it) {
            EXPECT_TRUE(std::filesystem::exists(root() + "/" + it->str()))
                << document << " names " << it->str();
        }
    }
}

}  // namespace
}  // namespace verso::house
