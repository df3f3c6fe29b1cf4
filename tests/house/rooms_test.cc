// Rooms include only leftwards:
//   base → abi → kernel → { mm, linux, engine } → { api, check } → vm → cli
// A room that reaches right ties two things that were meant to be replaceable; the engine that
// includes a Linux header would no longer run on anything but Linux.
#include <map>
#include <regex>
#include <set>

#include <fmt/core.h>
#include <gtest/gtest.h>

#include "house/tree.h"

namespace verso::house {
namespace {

const std::map<std::string, std::set<std::string>> may_include = {
    {"base", {"base"}},
    {"abi", {"abi", "base"}},
    {"kernel", {"kernel", "abi", "base"}},
    {"mm", {"mm", "kernel", "abi", "base"}},
    {"linux", {"linux", "kernel", "abi", "base"}},
    {"engine", {"engine", "kernel", "abi", "base"}},
    {"api", {"api", "engine", "linux", "kernel", "abi", "base"}},
    {"check", {"check", "mm", "linux", "engine", "kernel", "abi", "base"}},
    {"vm", {"vm", "api", "engine", "linux", "kernel", "abi", "base"}},
    {"cli", {"cli", "vm", "api", "check", "engine", "mm", "linux", "kernel", "abi", "base"}},
};

std::string room_of(const std::string& path) {
    const std::size_t from = std::string("src/").size();
    return path.substr(from, path.find('/', from) - from);
}

Findings wrong_includes(const File& file) {
    static const std::regex include(R"re(^\s*#\s*include\s+"([a-z]+)/)re");
    const auto allowed = may_include.find(room_of(file.path));
    if (allowed == may_include.end()) {
        return {
            fmt::format("{}: this folder is not a room; rooms are listed in this test", file.path)};
    }
    Findings findings;
    for (std::size_t i = 0; i < file.lines.size(); ++i) {
        std::smatch match;
        if (!std::regex_search(file.lines[i], match, include) || match[1] == "verso") {
            continue;
        }
        if (!allowed->second.contains(match[1])) {
            findings.push_back(
                at(file, i, fmt::format("{} may not include {}", allowed->first, match[1].str())));
        }
    }
    return findings;
}

TEST(Rooms, IncludeOnlyLeftwards) {
    Findings findings;
    for (const File& file : files_below({"src"}, {".h", ".cc"})) {
        for (const std::string& finding : wrong_includes(file)) {
            findings.push_back(finding);
        }
    }
    EXPECT_TRUE(findings.empty()) << joined(findings);
}

TEST(Rooms, AnUpwardIncludeIsFound) {
    EXPECT_EQ(wrong_includes(file_of("src/base/bad.h", "#include \"kernel/call.h\"\n")).size(), 1U);
    EXPECT_EQ(wrong_includes(file_of("src/api/bad.cc", "#include \"cli/doctor.h\"\n")).size(), 1U);
}

TEST(Rooms, ASidewaysIncludeIsFound) {
    EXPECT_EQ(wrong_includes(file_of("src/engine/bad.cc", "#include \"linux/kernel.h\"\n")).size(),
              1U);
    EXPECT_EQ(wrong_includes(file_of("src/linux/bad.cc", "#include \"engine/region.h\"\n")).size(),
              1U);
}

TEST(Rooms, ALeftwardIncludeIsFine) {
    EXPECT_TRUE(
        wrong_includes(file_of("src/engine/good.cc", "#include \"kernel/call.h\"\n")).empty());
    EXPECT_TRUE(
        wrong_includes(file_of("src/base/good.h", "#include \"verso/verso.hpp\"\n")).empty());
}

TEST(Rooms, AnUnknownRoomIsFound) {
    EXPECT_EQ(wrong_includes(file_of("src/utils/bad.h", "")).size(), 1U);
}

/// Linux's own headers stay behind the seam: the engine speaks in Calls. Bitmap is the exception:
/// it maps its words rather than clear them, as an allocator would.
TEST(Rooms, OnlyLinuxAbiAndCliTouchSystemHeaders) {
    static const std::regex system(R"re(^\s*#\s*include\s+<(sys|linux)/)re");
    Findings findings;
    for (const File& file : files_below({"src/base", "src/kernel", "src/engine"}, {".h", ".cc"})) {
        for (std::size_t i = 0; i < file.lines.size(); ++i) {
            if (file.path != "src/base/bitmap.cc" && std::regex_search(file.lines[i], system)) {
                findings.push_back(at(file, i, "a system header left of the linux room's seam"));
            }
        }
    }
    EXPECT_TRUE(findings.empty()) << joined(findings);
}

/// Threads, locks, time and randomness come through the seam, too: in a simulation all of them are
/// the model's.
TEST(Rooms, TheEngineHasNoThreadsLocksClocksOrDiceOfItsOwn) {
    static const std::regex own(
        R"re(#\s*include\s+<(thread|mutex|shared_mutex|condition_variable|semaphore|future|)re"
        R"re(chrono|ctime|random|csignal|(pthread|time|unistd|fcntl|poll|signal)\.h)>)re");
    Findings findings;
    for (const File& file : files_below({"src/engine"}, {".h", ".cc"})) {
        for (std::size_t i = 0; i < file.lines.size(); ++i) {
            if (std::regex_search(file.lines[i], own)) {
                findings.push_back(at(file, i, "what the seam is there for"));
            }
        }
    }
    EXPECT_TRUE(findings.empty()) << joined(findings);
}

}  // namespace
}  // namespace verso::house
