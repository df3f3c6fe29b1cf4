// A recorded run: what each step changed is marked, what goes wrong is said where it goes wrong.
#include "check/report/timeline.h"

#include "explain/texts.h"

namespace verso::check::report {
namespace {

std::vector<std::string> oracles_of(const Moment& moment) {
    std::vector<std::string> names;
    for (const Violation& one : moment.violations) {
        names.push_back(one.oracle);
    }
    return names;
}

TEST(Timeline, HasAMomentForEachStepAndOneBeforeThem) {
    const Timeline timeline = timeline_of("A: store; load; store");
    ASSERT_EQ(timeline.moments.size(), 4U);
    EXPECT_EQ(timeline.moments.front().number(), "0");
    EXPECT_EQ(timeline.moments.back().title, "store");
}

TEST(Timeline, ShowsAMigrationInItsTwoHalves) {
    const Timeline timeline = timeline_of(lost_write);
    const Cell& between = cell_of(moment_of(timeline, "4a"), About::entries, "0", "entry");
    EXPECT_TRUE(between.text.starts_with("migration")) << between.text;
    EXPECT_EQ(cell_of(moment_of(timeline, "4b"), About::entries, "0", "entry").text, "present");
}

TEST(Timeline, MarksACellThatChangedWithWhatItSaidBefore) {
    const Timeline timeline = timeline_of(lost_write);
    const Cell& write = cell_of(moment_of(timeline, "3"), About::entries, "0", "write");
    EXPECT_EQ(write.mark, Mark::changed);
    EXPECT_EQ(write.was, "yes");
    EXPECT_EQ(write.text, "no");
    EXPECT_EQ(cell_of(moment_of(timeline, "3"), About::entries, "0", "dirty").mark, Mark::same);
}

TEST(Timeline, MarksNothingWhereNothingChanged) {
    const Timeline timeline = timeline_of("A: store; load");
    for (const Table& table : moment_of(timeline, "2").tables) {
        for (const Row& row : table.rows) {
            EXPECT_EQ(row.mark, Mark::same) << title_of(table.about) << " " << row.key;
        }
    }
}

TEST(Timeline, MarksAFolioThatCameAndOneThatWent) {
    const Timeline timeline = timeline_of(lost_write);
    EXPECT_EQ(mark_of(moment_of(timeline, "1"), About::folios, "A"), Mark::added);
    EXPECT_EQ(mark_of(moment_of(timeline, "4b"), About::folios, "A"), Mark::gone);
    EXPECT_EQ(mark_of(moment_of(timeline, "4b"), About::folios, "B"), Mark::added);
    EXPECT_EQ(find_row(*find_table(moment_of(timeline, "5"), About::folios), "A"), nullptr);
}

TEST(Timeline, ShowsWhereProtectionIsLostAndWhichStoreNobodyHearsOf) {
    const Timeline timeline = timeline_of(lost_write, "5.19");
    const Moment& end_of_migration = moment_of(timeline, "4b");
    EXPECT_EQ(oracles_of(end_of_migration), std::vector<std::string>{"I1"});
    EXPECT_EQ(cell_of(end_of_migration, About::entries, "0", "write").text, "yes");
    EXPECT_EQ(cell_of(end_of_migration, About::entries, "0", "uffd-wp").text, "yes");
    EXPECT_EQ(oracles_of(moment_of(timeline, "5")), std::vector<std::string>{"I9"});
    EXPECT_EQ(moment_of(timeline, "5").violations.at(0).what,
              "a write to page 0 got through, though it is protected");
    EXPECT_EQ(timeline.broken_promises(), 1U);
}

TEST(Timeline, ShowsNothingBrokenWhereTheKernelIsMended) {
    const Timeline timeline = timeline_of(lost_write, "6.18");
    for (const Moment& moment : timeline.moments) {
        EXPECT_TRUE(moment.violations.empty()) << moment.number();
    }
    EXPECT_EQ(moment_of(timeline, "5").outcome, "SIGBUS");
    EXPECT_EQ(cell_of(moment_of(timeline, "4b"), About::entries, "0", "write").text, "no");
}

TEST(Timeline, ShowsWhoSleepsAndWhoGoesOn) {
    const Timeline timeline =
        timeline_of("A, messages: store; REGISTER(WP); WRITEPROTECT; t1 store; messages; clear");
    const Moment& asleep = moment_of(timeline, "4");
    EXPECT_EQ(asleep.outcome, "blocked");
    EXPECT_EQ(cell_of(asleep, About::threads, "t1", "waits for").text,
              "an answer to its fault at page 0");
    EXPECT_EQ(moment_of(timeline, "6").meanwhile, std::vector<std::string>{"t1:done"});
    EXPECT_EQ(mark_of(moment_of(timeline, "6"), About::threads, "t1"), Mark::gone);
}

TEST(Timeline, ShowsAMessageUnreadThenUnansweredThenNoMore) {
    const Timeline timeline =
        timeline_of("A, messages: REGISTER(MISSING); t1 store; messages; ZEROPAGE");
    constexpr const char* fault = "fault (WRITE) at page 0, t1 waits";
    const auto said = [&](const char* number, const char* column) {
        return cell_of(moment_of(timeline, number), About::userfaultfds, "userfaultfd 1", column)
            .text;
    };
    EXPECT_EQ(said("2", "unread"), fault);
    EXPECT_EQ(said("3", "unread"), "–");
    EXPECT_EQ(said("3", "unanswered"), fault);
    EXPECT_EQ(said("4", "unanswered"), "–");
}

TEST(Timeline, SaysWhatWasExpectedAndDidNotCome) {
    const Timeline timeline = timeline_of("A: store -> SIGSEGV; load -> = 1");
    EXPECT_EQ(moment_of(timeline, "1").unmet, "SIGSEGV");
    EXPECT_EQ(moment_of(timeline, "2").unmet, "");
}

TEST(Timeline, EndsWhereTheProgramCannotGoOnAndSaysWhy) {
    const Timeline timeline = timeline_of("A: store; child store");
    EXPECT_EQ(timeline.moments.size(), 2U);
    EXPECT_NE(timeline.why_not, "");
}

}  // namespace
}  // namespace verso::check::report
