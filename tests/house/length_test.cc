// Sizes: files 400 lines (hard limit 800), functions 70 lines, lines 100 columns. What no longer
// fits on a few screens is read by nobody.
#include <algorithm>
#include <iostream>
#include <regex>

#include <fmt/core.h>
#include <gtest/gtest.h>

#include "house/tree.h"

namespace verso::house {
namespace {

constexpr std::size_t file_lines_soft = 400;
constexpr std::size_t file_lines_max = 800;
constexpr std::size_t function_lines_max = 70;
constexpr std::size_t columns_max = 100;

/// Characters, not bytes: pictures in comments are drawn with multi-byte ones.
std::size_t columns(const std::string& line) {
    return static_cast<std::size_t>(std::count_if(line.begin(), line.end(), [](char c) {
        return (static_cast<unsigned char>(c) & 0xC0U) != 0x80U;
    }));
}

Findings long_lines(const File& file) {
    Findings findings;
    for (std::size_t i = 0; i < file.lines.size(); ++i) {
        if (columns(file.lines[i]) > columns_max) {
            findings.push_back(at(file, i, fmt::format("{} columns", columns(file.lines[i]))));
        }
    }
    return findings;
}

/// Does this line begin something that is not a function although it may hold braces?
bool is_container(const std::string& line) {
    static const std::regex container(
        R"re(^\s*(namespace|struct|class|enum|union|extern "C"|template)re"
        R"re(|public:|private:|protected:))re");
    return std::regex_search(line, container) && line.find('(') == std::string::npos;
}

constexpr std::size_t none = ~std::size_t{0};

/// Blocks that open and close at one indent: for indent 0 free functions, for 4 methods in a class.
/// (Inside a function, indent 4 finds its inner blocks, which are shorter than the function.)
Findings long_blocks(const File& file, std::size_t indent) {
    const std::string margin(indent, ' ');
    std::size_t opened = none;
    Findings findings;
    for (std::size_t i = 0; i < file.lines.size(); ++i) {
        const std::string& line = file.lines[i];
        if (!line.starts_with(margin) || line.size() <= indent || line[indent] == ' ') {
            continue;
        }
        const char first = line[indent];
        if (first == '}') {
            const bool closes_function = line.size() == indent + 1;
            if (closes_function && opened != none && i - opened + 1 > function_lines_max) {
                findings.push_back(at(file, opened, fmt::format("{} lines", i - opened + 1)));
            }
            opened = none;
        } else if (first != '/' && first != '#' && first != ')') {
            opened = is_container(line) ? none : i;
        }
    }
    return findings;
}

Findings long_functions(const File& file) {
    Findings findings = long_blocks(file, 0);
    for (const std::string& finding : long_blocks(file, 4)) {
        findings.push_back(finding);
    }
    return findings;
}

template <class Rule>
Findings over_all_code(Rule rule) {
    Findings all;
    for (const File& file : all_code()) {
        const Findings some = rule(file);
        all.insert(all.end(), some.begin(), some.end());
    }
    return all;
}

TEST(Length, NoFileIsLongerThanTheHardLimit) {
    Findings findings;
    for (const File& file : all_code()) {
        if (file.lines.size() > file_lines_max) {
            findings.push_back(fmt::format("{}: {} lines", file.path, file.lines.size()));
        } else if (file.lines.size() > file_lines_soft) {
            std::cout << "long, think of splitting: " << file.path << " (" << file.lines.size()
                      << " lines)\n";
        }
    }
    EXPECT_TRUE(findings.empty()) << joined(findings);
}

TEST(Length, NoLineIsWiderThanTheLimit) {
    const Findings findings = over_all_code(long_lines);
    EXPECT_TRUE(findings.empty()) << joined(findings);
}

TEST(Length, NoFunctionIsLongerThanTheLimit) {
    const Findings findings = over_all_code(long_functions);
    EXPECT_TRUE(findings.empty()) << joined(findings);
}

TEST(Length, AWideLineIsFoundAndCountedInCharacters) {
    EXPECT_EQ(long_lines(file_of("a.cc", std::string(101, 'x'))).size(), 1U);
    std::string drawn;
    for (int i = 0; i < 100; ++i) {
        drawn += "─";
    }
    EXPECT_TRUE(long_lines(file_of("a.cc", drawn)).empty());
}

TEST(Length, ALongFunctionIsFound) {
    std::string body;
    for (int i = 0; i < 80; ++i) {
        body += "    call();\n";
    }
    EXPECT_EQ(
        long_functions(file_of("a.cc", "int f(int a,\n      int b) {\n" + body + "}\n")).size(),
        1U);
    EXPECT_TRUE(long_functions(file_of("a.cc", "int f() {\n    call();\n}\n")).empty());
}

TEST(Length, ALongMethodIsFoundAndALongClassIsNot) {
    std::string body;
    std::string methods;
    for (int i = 0; i < 80; ++i) {
        body += "        call();\n";
        methods += "    int f();\n";
    }
    EXPECT_EQ(
        long_functions(file_of("a.h", "class A {\n    int f() {\n" + body + "    }\n};\n")).size(),
        1U);
    EXPECT_TRUE(long_functions(file_of("a.h", "class A {\n" + methods + "};\n")).empty());
}

}  // namespace
}  // namespace verso::house
