// `verso bench vm` at its smallest: that it measures both sides of every line, and cleans up. Its
// figures are nobody's business here.
#include <filesystem>
#include <fstream>
#include <set>

#include <fmt/core.h>
#include <nlohmann/json.hpp>

#include "vm/guest.h"

namespace verso::vm::test {
namespace {

using verso::test::Ran;
using verso::test::run;

class BenchVm : public Guests {
protected:
    /// Whose runs have their folder in the test's.
    Ran bench(const std::string& arguments, const std::string& before = "") const {
        return run(fmt::format("TMPDIR='{}' {} '{}/verso' bench vm {} 2>&1", folder(), before,
                               VERSO_BINARY_DIR, arguments));
    }
    void expect_nothing_left() const {
        for (const auto& entry : std::filesystem::directory_iterator(folder())) {
            EXPECT_FALSE(entry.path().filename().string().starts_with("verso-bench-vm-"))
                << entry.path();
        }
        for (const auto& process : std::filesystem::directory_iterator("/proc")) {
            std::ifstream file(process.path() / "cmdline");
            std::string command;
            std::getline(file, command, '\n');
            EXPECT_EQ(command.find(folder() + "/verso-bench-vm-"), std::string::npos) << command;
        }
    }
    /// One part at the smallest size; its rows are these.
    void expect_whole(const std::string& part, const std::set<std::string>& rows) {
        const std::string file = folder() + "/bench.json";
        const Ran ran =
            bench(fmt::format("--memory 128M --children 1 --repeats 1 --seconds 1 --only {} "
                              "--json '{}'",
                              part, file));
        ASSERT_EQ(ran.code, 0) << ran.output;
        std::ifstream opened(file);
        const nlohmann::json root = nlohmann::json::parse(opened, nullptr, false);
        ASSERT_FALSE(root.is_discarded());
        EXPECT_EQ(text_at(root, "tool"), "verso bench vm");
        std::set<std::string> seen;
        for (const Json& line : part_at(root, "lines")) {
            const std::string where = text_at(line, "row") + ", " + text_at(line, "variant") +
                                      ", " + text_at(line, "rival_is");
            seen.insert(text_at(line, "row"));
            EXPECT_GT(number_at(part_at(line, "ours"), "count"), 0U) << where;
            EXPECT_TRUE(number_at(part_at(line, "rival"), "count") > 0 ||
                        text_at(line, "verdict") == "skipped")
                << where;
            EXPECT_FALSE(text_at(line, "method").empty()) << where;
            EXPECT_FALSE(text_at(line, "rival_is").empty()) << where;
            EXPECT_NE(text_at(line, "verdict"), "failed") << where;
        }
        EXPECT_EQ(seen, rows);
        expect_nothing_left();
    }
};

TEST_F(BenchVm, MeasuresPauseAndSlowdown) {
    expect_whole("pause", {"arming", "pause", "slowdown"});
}

TEST_F(BenchVm, MeasuresChildrenAndTheirMemory) {
    expect_whole("children", {"children", "memory"});
}

TEST_F(BenchVm, EndsAndRemovesEverythingWhenInterrupted) {
    const Ran ran = bench("--memory 128M", "timeout --signal=INT 3");
    EXPECT_EQ(ran.code, 124) << ran.output;  // timeout's own: it was ended, and in time
    EXPECT_NE(ran.output.find("all guests have been ended"), std::string::npos) << ran.output;
    expect_nothing_left();
}

TEST_F(BenchVm, RefusesInOneLine) {
    const auto refused = [this](const std::string& arguments, const std::string& words) {
        const Ran ran = bench(arguments);
        EXPECT_EQ(ran.code, 2) << ran.output;
        EXPECT_NE(ran.output.find(words), std::string::npos) << ran.output;
        EXPECT_EQ(std::count(ran.output.begin(), ran.output.end(), '\n'), 1) << ran.output;
    };
    refused("--memory 1M", "--memory");
    refused("--memory lots", "lots");
    refused("--children 0", "--children");
    refused("--guest /nowhere", "scripts/guest");
    refused("--json /nowhere/at/all.json", "--json");
    const Ran without =
        run(fmt::format("PATH=/nowhere '{}/verso' bench vm 2>&1", VERSO_BINARY_DIR));
    EXPECT_EQ(without.code, 2);
    EXPECT_NE(without.output.find("install it"), std::string::npos) << without.output;
}

}  // namespace
}  // namespace verso::vm::test
