// Bad input to any verb or flag: exactly one line on stderr, exit code 2, nothing printed, nothing
// changed.
#include <algorithm>
#include <filesystem>
#include <ostream>

#include <fmt/core.h>
#include <gtest/gtest.h>

#include "support/shell.h"

namespace verso {
namespace {
namespace fs = std::filesystem;

struct Bad {
    const char* name;
    const char* arguments;
    const char* says;  // what the line must contain for a person to mend it
};

void PrintTo(const Bad& bad, std::ostream* out) { *out << "verso " << bad.arguments; }

class Verso : public testing::TestWithParam<Bad> {
protected:
    /// Runs it in an empty folder, with stderr apart from stdout.
    test::Ran run_verso(const std::string& arguments) const {
        return test::run(
            fmt::format("mkdir -p '{0}/empty' && cd '{0}/empty' && '{1}/verso' {2} 2>'{0}/errors'",
                        folder_.path(), VERSO_BINARY_DIR, arguments));
    }
    std::string errors() const { return test::run("cat '" + folder_.path() + "/errors'").output; }
    bool changed() const { return !fs::is_empty(folder_.path() + "/empty"); }

    test::TemporaryFolder folder_;
};

TEST_P(Verso, RefusesInOneLineAndChangesNothing) {
    const test::Ran ran = run_verso(GetParam().arguments);
    EXPECT_EQ(ran.code, 2);
    EXPECT_EQ(ran.output, "");
    EXPECT_EQ(std::ranges::count(errors(), '\n'), 1) << errors();
    EXPECT_TRUE(errors().ends_with("\n"));
    EXPECT_NE(errors().find(GetParam().says), std::string::npos) << errors();
    EXPECT_FALSE(changed());
}

constexpr Bad bad_inputs[] = {
    {"no_verb", "",
     "demo, bench, conform, doctor, explain, explore, litmus, swarm, replay, vm, torture, version"},
    {"unknown_verb", "nonsense", "there is no 'nonsense'"},
    {"unknown_flag", "--nonsense", "there is no '--nonsense'"},
    {"newline_in_verb", "\"$(printf 'two\\nlines')\"", "two lines"},
    {"explore_rules", "explore --rules 5.20", "there are no rules '5.20'"},
    {"explore_rule_unknown", "explore --rules 6.18,-sunshine", "-sunshine"},
    {"explore_scope_word", "explore --scope pages", "'pages' is not name=value"},
    {"explore_scope_kind", "explore --scope kinds=Q", "there is no kind 'Q'"},
    {"explore_scope_too_large", "explore --scope pages=9", "pages is a number from 1 to 4"},
    {"explore_mode_missing", "explore --rules 5.19 --scope modes=async",
     "have none of these modes"},
    {"explore_oracle", "explore --oracle I12", "there is no oracle 'I12'"},
    {"explore_memory", "explore --memory much", "write for example 512M"},
    {"explore_memory_too_little", "explore --memory 1M", "64M"},
    {"explore_token", "explore --replay nonsense", "no token"},
    {"explore_resume", "explore --resume nowhere", "there is no file 'nowhere'"},
    {"explore_resume_other_file", "explore --resume /etc/passwd", "no checkpoint"},
    {"explore_threads", "explore --threads many", "many"},
    {"version_with_argument", "version extra", "extra"},
    {"version_flag_with_argument", "--version extra", "--version stands alone"},
    {"conform_unknown_kind", "conform --kinds A,XX", "there is no 'XX'"},
    {"conform_unknown_call", "conform --calls store,stare", "there is no 'stare'"},
    {"conform_unknown_rule", "conform --break gravity", "there is no 'gravity'"},
    {"conform_no_programs", "conform --programs 0", "'0' is not a whole number"},
    {"conform_no_minutes", "conform --minutes many", "'many' is not a whole number"},
    {"conform_program_that_is_none", "conform --program 'A: stare'", "'stare' is no step"},
    {"demo_unknown_flag", "demo --nonsense", "verso demo --help"},
    {"demo_argument", "demo extra", "extra"},
    {"demo_database_missing", "demo --db nowhere.db", "there is no file 'nowhere.db'"},
    {"demo_database_is_folder", "demo --db /tmp", "there is no file '/tmp'"},
    {"demo_database_without_value", "demo --db", "--db"},
    {"demo_database_is_not_one", "demo --db /etc/passwd", "/etc/passwd"},
    {"demo_database_empty", "demo --db /dev/null", "/dev/null"},
    {"demo_json_folder_missing", "demo --json nowhere/figures.json", "nowhere/figures.json"},
    {"demo_json_is_folder", "demo --json /tmp", "/tmp"},
    {"demo_json_empty", "demo --json ''", "not the name of a file"},
    {"demo_size_zero", "demo --size-mib 0", "--size-mib"},
    {"demo_size_small", "demo --size-mib 3", "from 4"},
    {"demo_size_huge", "demo --size-mib 99999999999999999999", "--size-mib"},
    {"demo_snapshots_zero", "demo --snapshots 0", "from 1 to"},
    {"demo_snapshots_many", "demo --snapshots 100000", "from 1 to"},
    {"demo_snapshots_negative", "demo --snapshots -1", "--snapshots"},
    {"demo_snapshots_word", "demo --snapshots many", "'many'"},
    {"demo_snapshots_fraction", "demo --snapshots 1.5", "'1.5'"},
    {"demo_snapshots_trailing", "demo --snapshots 12x", "'12x'"},
    {"demo_snapshots_twice", "demo --snapshots 1 --snapshots 2", "--snapshots"},
    {"demo_interval_word", "demo --interval-ms soon", "'soon'"},
    {"demo_interval_long", "demo --interval-ms 9999999", "--interval-ms"},
    {"demo_children_zero", "demo --children 0", "--children"},
    {"demo_children_many", "demo --children 10000", "--children"},
    {"demo_json_folder_is_a_file", "demo --json /dev/null/figures.json", "/dev/null/figures.json"},
    {"demo_size_beside_a_database", "demo --db /etc/passwd --size-mib 8",
     "--db excludes --size-mib"},
    {"demo_quiet_with_value", "demo --quiet=perhaps", "--quiet"},
    {"bench_without_what", "bench", "engine"},
    {"bench_unknown", "bench store", "there is no 'store'"},
    {"bench_sizes_word", "bench engine --sizes-mib 256,big", "'big'"},
    {"bench_sizes_zero", "bench engine --sizes-mib 0", "--sizes-mib"},
    {"bench_repeats_zero", "bench engine --repeats 0", "--repeats"},
    {"bench_only_unknown", "bench engine --only nonsense", "there is no 'nonsense'"},
    {"bench_json_folder_missing", "bench engine --json nowhere/x.json", "nowhere/x.json"},
    {"torture_size_without_unit", "torture --size 256", "'256' is no size of an instance"},
    {"torture_size_small", "torture --size 0M", "write 1M to 4G"},
    {"torture_size_large", "torture --size 5G", "write 1M to 4G"},
    {"torture_does_not_fit", "torture --instances 1024 --size 4G", "would fit"},
    {"torture_no_instances", "torture --instances 0", "from 1 to"},
    {"torture_no_time", "torture --minutes 0", "--minutes"},
    {"torture_seed_word", "torture --seed many", "'many'"},
    {"torture_json_folder_missing", "torture --json nowhere/x.json", "nowhere/x.json"},
    {"doctor_argument", "doctor extra", "extra"},
    {"doctor_unknown_flag", "doctor --yaml", "--yaml"},
};

INSTANTIATE_TEST_SUITE_P(BadInput, Verso, testing::ValuesIn(bad_inputs),
                         [](const auto& bad) { return std::string(bad.param.name); });

/// Figures over the user's database would be the end of it, by whatever name it is called.
TEST(Demo, FiguresAreNotWrittenOverTheDatabase) {
    const test::TemporaryFolder folder;
    const test::Ran ran = test::run(fmt::format(
        "cd '{}' && cp /etc/passwd db && ln -s db link && ln db twin && for json in db ./db link "
        "twin; "
        "do '{}/verso' demo --db db --json $json 2>&1; echo code $?; done; cmp db /etc/passwd",
        folder.path(), VERSO_BINARY_DIR));
    EXPECT_EQ(ran.code, 0) << ran.output;
    EXPECT_EQ(std::ranges::count(ran.output, '\n'), 8) << ran.output;
    std::size_t refused = 0;
    for (std::size_t at = 0;
         (at = ran.output.find("is the database itself", at)) != ran.output.npos; ++at) {
        ++refused;
    }
    EXPECT_EQ(refused, 4U) << ran.output;
    EXPECT_EQ(ran.output.find("code 0"), ran.output.npos) << ran.output;
}

/// The hidden verbs get descriptors from their parent; a person who calls them gets no crash.
TEST(HiddenVerbs, DoNotCrashWhenAPersonRunsThem) {
    for (const char* verb : {"demo-child", "demo-child 99", "demo-child x", "bench-child",
                             "bench-child 99", "bench-child x"}) {
        const test::Ran ran =
            test::run(fmt::format("'{}/verso' {} 2>&1 </dev/null", VERSO_BINARY_DIR, verb));
        EXPECT_LT(ran.code, 128) << verb << " was killed by a signal: " << ran.output;
    }
}

}  // namespace
}  // namespace verso
