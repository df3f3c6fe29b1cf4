// Litmus texts as C programs: each is compiled by the system's compiler and run, and comes to the
// verdict that the running kernel is judged with.
//
//   build/dev/verso litmus litmus/findings/any-descriptor.litmus --print c     shows one
// To renew those beside the findings:
//   cd litmus/findings; for i in *.litmus; do verso litmus $i --print c > ${i%.litmus}.c; done
#include "check/litmus/print_c/print_c.h"

#include <filesystem>
#include <fstream>
#include <sstream>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "check/litmus/catalogue.h"
#include "support/shell.h"

namespace verso::check {
namespace {
namespace fs = std::filesystem;

const fs::path root = fs::path(VERSO_SOURCE_DIR) / "litmus";

std::vector<CatalogueEntry> entries_of(const fs::path& folder) {
    Result<std::vector<CatalogueEntry>> entries = read_catalogue({folder.string()});
    EXPECT_TRUE(entries.has_value()) << entries.error().message;
    return entries ? std::move(*entries) : std::vector<CatalogueEntry>{};
}

std::string file_text(const fs::path& path) {
    std::ostringstream text;
    text << std::ifstream(path).rdbuf();
    return text.str();
}

/// Compiles with all warnings as errors, and runs; a program that never ends is ended, with 124.
test::Ran compile_and_run(const std::string& program) {
    const test::TemporaryFolder folder;
    const std::string source = folder.path() + "/x.c";
    std::ofstream(source) << program;
    return test::run(
        fmt::format("{} -pipe -Wall -Wextra -Werror -pthread -o {}/x {} 2>&1 && "
                    "timeout 60 {}/x 2>&1",
                    VERSO_C, folder.path(), source, folder.path()));
}

int code_of(Judgement::Kind kind) {
    switch (kind) {
        case Judgement::Kind::ok:
        case Judgement::Kind::unseen: return 0;
        case Judgement::Kind::forbidden: return 1;
        case Judgement::Kind::not_run: break;
    }
    return 77;
}

/// What a machine lacks, or luck, may keep either from running: that is said and is no difference.
void expect_same_verdict(const CatalogueEntry& entry) {
    const Result<std::string> program = to_c(entry.litmus, entry.path.stem().string());
    ASSERT_TRUE(program.has_value()) << entry.path << ": " << program.error().message;
    const test::Ran ran = compile_and_run(*program);
    const Judgement judged = judge_on_running_kernel(entry.litmus, 1);
    if (ran.code != code_of(judged.kind) &&
        (ran.code == 77 || judged.kind == Judgement::Kind::not_run)) {
        std::printf("skipped: %s: %s: %s\n%s", entry.path.c_str(),
                    std::string(name_of(judged.kind)).c_str(), judged.why.c_str(),
                    ran.output.c_str());
        return;
    }
    EXPECT_EQ(ran.code, code_of(judged.kind))
        << entry.path << ", in C:\n"
        << ran.output << "judged " << name_of(judged.kind) << ": " << judged.why << "\n"
        << judged.witness << "again: verso litmus " << entry.path.string() << " --on linux";
}

TEST(PrintedC, OfEveryFindingComesToTheVerdictOfTheRunningKernel) {
    for (const CatalogueEntry& entry : entries_of(root / "findings")) {
        expect_same_verdict(entry);
    }
}

/// Every so many-th text of the catalogue, in four samples of a few seconds.
class PrintedSample : public testing::TestWithParam<std::size_t> {};

TEST_P(PrintedSample, ComesToTheVerdictsOfTheRunningKernel) {
    constexpr std::size_t texts = 10;
    constexpr std::size_t samples = 4;
    std::vector<CatalogueEntry> all = entries_of(root);
    std::erase_if(all, [](const CatalogueEntry& entry) {
        return entry.path.parent_path().filename() == "findings";
    });
    const std::size_t stride = all.size() / (texts * samples);
    ASSERT_GT(stride, 0U);
    for (std::size_t i = 0; i < texts; ++i) {
        expect_same_verdict(all[(i * samples + GetParam()) * stride]);
    }
}

INSTANTIATE_TEST_SUITE_P(Of, PrintedSample, testing::Range<std::size_t>(0, 4));

TEST(PrintedC, BesideEveryFindingIsWhatIsPrintedNow) {
    for (const CatalogueEntry& entry : entries_of(root / "findings")) {
        const Result<std::string> program = to_c(entry.litmus, entry.path.stem().string());
        ASSERT_TRUE(program.has_value()) << program.error().message;
        EXPECT_EQ(file_text(fs::path(entry.path).replace_extension(".c")), *program)
            << "renew it as the head of this test says";
    }
}

TEST(PrintedC, AllOfTheCatalogueCanBePrinted) {
    for (const CatalogueEntry& entry : entries_of(root)) {
        const Result<std::string> program = to_c(entry.litmus, "x");
        EXPECT_TRUE(program.has_value()) << entry.path << ": " << program.error().message;
    }
}

Litmus text_of(const char* text) {
    Result<Litmus> litmus = parse_litmus(text, "x.litmus");
    EXPECT_TRUE(litmus.has_value()) << litmus.error().message;
    return litmus ? std::move(*litmus) : Litmus{};
}

TEST(PrintedC, EndsWithOneAndNamesTheConditionThatDoesNotHold) {
    const Litmus litmus =
        text_of("a store is lost\nA\n  store(7)\nmust step 1: done\nmust page 0 = 8\n");
    const test::Ran ran = compile_and_run(*to_c(litmus, "x"));
    if (ran.code == 77) {
        GTEST_SKIP() << ran.output;
    }
    EXPECT_EQ(ran.code, 1) << ran.output;
    EXPECT_NE(ran.output.find("broken: must page 0 = 8"), std::string::npos) << ran.output;
    EXPECT_EQ(ran.output.find("step 1: done"), std::string::npos) << ran.output;
}

TEST(PrintedC, AnExpectationBehindAStepIsAConditionToo) {
    const Litmus litmus = text_of("a load finds what nobody stored\nA\n  load -> = 3\n");
    const test::Ran ran = compile_and_run(*to_c(litmus, "x"));
    if (ran.code == 77) {
        GTEST_SKIP() << ran.output;
    }
    EXPECT_EQ(ran.code, 1) << ran.output;
    EXPECT_NE(ran.output.find("broken: step 1, load: = 3"), std::string::npos) << ran.output;
}

TEST(PrintedC, AStepThatCCannotMakeIsNamed) {
    const Result<std::string> program = to_c(text_of("t\nA\n  store\n  child load\n"), "x");
    ASSERT_FALSE(program.has_value());
    EXPECT_NE(program.error().message.find("step 2, child load"), std::string::npos)
        << program.error().message;
}

}  // namespace
}  // namespace verso::check
