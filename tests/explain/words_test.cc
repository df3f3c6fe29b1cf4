// Whoever reads a timeline finds each of its words explained; each step says what it means.
#include <set>

#include "check/report/glossary.h"
#include "explain/texts.h"

namespace verso::check::report {
namespace {

/// Between them they meet every kind of entry.
const std::vector<std::pair<const char*, const char*>> programs = {
    {lost_write, "6.18"},
    {"A, 2 pages: store@0; load@1; reclaim@0; load@0", "6.18"},
    {"A, unpopulated: REGISTER(WP); WRITEPROTECT; load", "6.18"},
    {"A, async: REGISTER(WP); arm; store; arm", "6.18"},
    {"SS, poison: REGISTER(MISSING); POISON; load", "6.18"},
    {"A: GUARD_INSTALL; load", "6.18"},
    {"SS: store; REGISTER(WP); WRITEPROTECT; hint; load", "6.18"},
    {"A, huge: HUGEPAGE; store; split; store@1", "6.18"},
    {"A: store; munmap", "6.18"},
    {"HS: store; REGISTER(WP); WRITEPROTECT; store", "6.18"},
    {"A: store; fork; migrate; child store", "6.18"},
};

TEST(Glossary, ExplainsEveryWordOfAPageTable) {
    std::set<std::string> met;
    for (const auto& [text, kernel] : programs) {
        const Timeline timeline = timeline_of(text, kernel);
        EXPECT_EQ(timeline.why_not, "") << text;
        for (const Moment& moment : timeline.moments) {
            const Table& table = *find_table(moment, About::entries);
            for (const Row& row : table.rows) {
                for (std::size_t i = 0; i < row.cells.size(); ++i) {
                    for (const std::string& word :
                         words_of(About::entries, table.columns[i], row.cells[i].text)) {
                        EXPECT_NE(find_term(About::entries, word), nullptr)
                            << "'" << word << "' in " << text;
                        met.insert(word);
                    }
                }
            }
        }
    }
    for (const char* word : {"none", "present", "swap", "migration", "marker", "huge", "guard",
                             "poisoned", "zero page", "not mapped", "no access", "scan"}) {
        EXPECT_TRUE(met.contains(word)) << "no program here shows " << word;
    }
}

TEST(Glossary, HasNoExplanationOfAWordThatItDoesNotHave) {
    EXPECT_EQ(find_term(About::entries, "folly"), nullptr);
    EXPECT_EQ(find_term(About::swap, "uffd-wp"), nullptr);
}

TEST(Glossary, NamesOnlyTheTermsThatOccur) {
    const Timeline timeline = timeline_of("A: store");
    bool present = false;
    for (const Term* const term : terms_of(timeline)) {
        EXPECT_NE(term->word, "migration");
        present = present || term->word == "present";
    }
    EXPECT_TRUE(present);
}

TEST(Meaning, EveryStepSaysWhatHappened) {
    for (const auto& [text, kernel] : programs) {
        for (const Moment& moment : timeline_of(text, kernel).moments) {
            EXPECT_EQ(moment.meaning.empty(), moment.number() == "0")
                << "step " << moment.number() << " of " << text;
        }
    }
}

TEST(Meaning, AStoreToAProtectedPageThatStaysWritableMeetsNoFault) {
    const Timeline timeline = timeline_of(lost_write, "5.19");
    EXPECT_EQ(timeline.moments.back().kernel, "none: no fault");
}

TEST(Meaning, ARefusedCallIsCalledRefused) {
    const Timeline timeline = timeline_of("A: REGISTER(MISSING); COPY; COPY");
    EXPECT_EQ(timeline.moments.back().outcome, "EEXIST");
    EXPECT_EQ(timeline.moments.back().meaning, "The call is refused.");
}

TEST(Verdict, NamesThePromiseAndWhereTheDangerBegan) {
    EXPECT_EQ(verdict_of(timeline_of(lost_write, "5.19")),
              "A promise was broken in step 5 (store): lost write. The danger began in step 2 "
              "(REGISTER(WP)): writable by default.");
    EXPECT_EQ(verdict_of(timeline_of(lost_write, "6.18")), "No promise was broken.");
}

}  // namespace
}  // namespace verso::check::report
