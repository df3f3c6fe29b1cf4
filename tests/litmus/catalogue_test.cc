// The catalogue of litmus texts: how it looks, and that every verdict beside a text is what the
// model of each release, and the running kernel, come to.
//
//   build/dev/verso litmus litmus/zap --on all             shows the verdicts of a folder
//   build/dev/verso litmus litmus --on all --promote       makes today's the expected ones
#include "check/litmus/catalogue.h"

#include <algorithm>
#include <filesystem>

#include <gtest/gtest.h>

#include "check/program/where.h"

namespace verso::check {
namespace {
namespace fs = std::filesystem;

const fs::path root = fs::path(VERSO_SOURCE_DIR) / "litmus";

std::vector<std::string> folders() {
    std::vector<std::string> names;
    for (const auto& entry : fs::directory_iterator(root)) {
        if (entry.is_directory()) {
            names.push_back(entry.path().filename().string());
        }
    }
    std::ranges::sort(names);
    return names;
}

std::vector<CatalogueEntry> entries_of(const fs::path& folder) {
    Result<std::vector<CatalogueEntry>> entries = read_catalogue({folder.string()});
    EXPECT_TRUE(entries.has_value()) << entries.error().message;
    return entries ? std::move(*entries) : std::vector<CatalogueEntry>{};
}

TEST(Catalogue, HasAtLeast150TextsOfAtMost30Lines) {
    const std::vector<CatalogueEntry> entries = entries_of(root);
    EXPECT_GE(entries.size(), 150U);
    for (const CatalogueEntry& entry : entries) {
        const std::string text = to_text(entry.litmus);
        EXPECT_LE(std::ranges::count(text, '\n'), 30) << entry.path;
    }
}

TEST(Catalogue, HasAnExpectedVerdictOfEveryPresetBesideEveryText) {
    for (const CatalogueEntry& entry : entries_of(root)) {
        for (const std::string& preset : mm::preset_names()) {
            EXPECT_NE(entry.expected_on(preset).verdict, "") << entry.path << " on " << preset;
        }
    }
}

TEST(Catalogue, HasNoTwoTextsOfOneProgramUnderOneClaim) {
    std::vector<std::string> programs;
    for (const CatalogueEntry& entry : entries_of(root)) {
        programs.push_back(entry.litmus.about + " " + to_text(entry.litmus.program));
    }
    std::ranges::sort(programs);
    const auto twice = std::ranges::adjacent_find(programs);
    EXPECT_TRUE(twice == programs.end()) << *twice;
}

class CatalogueFolder : public testing::TestWithParam<std::string> {};

TEST_P(CatalogueFolder, IsJudgedByTheModelAsExpected) {
    for (const CatalogueEntry& entry : entries_of(root / GetParam())) {
        for (const std::string& preset : mm::preset_names()) {
            const Judgement judged = judge_on_model(*mm::preset(preset), entry.litmus, 4096);
            const Expected expected = entry.expected_on(preset);
            EXPECT_EQ(name_of(judged.kind), expected.verdict)
                << entry.path << " on " << preset << ": " << judged.why;
            EXPECT_EQ(course_text(judged), expected.course)
                << entry.path << " on " << preset << " went otherwise: verso explain shows how; if "
                << "that is meant, verso litmus --promote keeps it";
        }
    }
}

TEST_P(CatalogueFolder, IsJudgedByTheRunningKernelAsExpected) {
    const std::string here = "linux " + running_release();
    u64 judged_here = 0;
    std::string why_not = "nothing is kept of " + here;
    for (const CatalogueEntry& entry : entries_of(root / GetParam())) {
        const std::string expected = entry.expected_on(here).verdict;
        if (expected.empty()) {
            continue;
        }
        const Judgement judged = judge_on_running_kernel(entry.litmus, 1);
        if (judged.kind == Judgement::Kind::not_run) {
            why_not = judged.why;
            std::printf("not run: %s: %s\n", entry.path.c_str(), judged.why.c_str());
            continue;
        }
        ++judged_here;
        EXPECT_EQ(name_of(judged.kind), expected)
            << entry.path << ": " << judged.why << "\n"
            << judged.witness << "again: verso litmus " << entry.path.string() << " --on linux";
    }
    if (judged_here == 0) {
        GTEST_SKIP() << why_not;
    }
}

INSTANTIATE_TEST_SUITE_P(Of, CatalogueFolder, testing::ValuesIn(folders()), [](const auto& folder) {
    std::string name = folder.param;
    std::ranges::replace(name, '-', '_');
    return name;
});

}  // namespace
}  // namespace verso::check
