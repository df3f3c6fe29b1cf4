// The planted bugs are patches: each must still fit the engine to the letter, or the table in
// docs/swarm.md speaks of an engine that is gone. (The target `planted` builds them, and
// `scripts/swarm planted` hunts them; that takes minutes, so not here.)
#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace verso::check::swarm {
namespace {

using Lines = std::vector<std::string>;

Lines lines_of(const std::filesystem::path& path) {
    std::ifstream file(path);
    Lines lines;
    for (std::string line; std::getline(file, line);) {
        lines.push_back(line);
    }
    return lines;
}

std::vector<std::filesystem::path> patches() {
    std::vector<std::filesystem::path> found;
    for (const auto& entry :
         std::filesystem::directory_iterator(VERSO_SOURCE_DIR "/tests/swarm/planted")) {
        if (entry.path().extension() == ".patch") {
            found.push_back(entry.path());
        }
    }
    std::ranges::sort(found);
    return found;
}

/// Empty, or the first line of the patch that is not where it says in the file it names.
std::string misfit(const Lines& patch) {
    Lines source;
    std::size_t at = 0;
    std::size_t hunks = 0;
    for (const std::string& line : patch) {
        unsigned first = 0;
        if (line.starts_with("--- a/")) {
            source = lines_of(VERSO_SOURCE_DIR "/" + line.substr(6));
        } else if (std::sscanf(line.c_str(), "@@ -%u,", &first) == 1) {  // NOLINT
            at = first - 1;
            ++hunks;
        } else if (hunks > 0 && (line.empty() || line[0] == ' ' || line[0] == '-')) {
            if (at >= source.size() || source[at] != line.substr(line.empty() ? 0 : 1)) {
                return line;
            }
            ++at;
        }
    }
    return hunks == 0 ? "no hunk" : "";
}

TEST(PlantedBugs, AreAtLeastFifteen) { EXPECT_GE(patches().size(), 15U); }

TEST(PlantedBugs, StillFitTheEngine) {
    for (const auto& patch : patches()) {
        EXPECT_EQ(misfit(lines_of(patch)), "") << patch;
    }
}

TEST(PlantedBugs, EachSaysWhatIsWrongWithIt) {
    for (const auto& patch : patches()) {
        EXPECT_GT(lines_of(patch).at(0).size(), 20U) << patch;
    }
}

}  // namespace
}  // namespace verso::check::swarm
