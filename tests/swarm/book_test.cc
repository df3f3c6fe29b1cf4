// The books of a simulated run: what a snapshot may show, and what it may not.
#include <cstring>

#include <gtest/gtest.h>

#include "check/swarm/book.h"

namespace verso::check::swarm {
namespace {

/// A page that holds these words.
std::array<std::byte, page_size> page_with(std::initializer_list<std::pair<u32, u64>> words) {
    std::array<std::byte, page_size> bytes{};
    for (const auto& [word, value] : words) {
        std::memcpy(bytes.data() + offset_of(word), &value, sizeof value);
    }
    return bytes;
}

Words seen(u32 page, std::initializer_list<std::pair<u32, u64>> words) {
    Words all{page, {}};
    for (const auto& [word, value] : words) {
        all.value[word] = value;
    }
    return all;
}

TEST(Places, TheFirstAndTheLastWordOfAPageAreAmongThem) {
    EXPECT_EQ(offset_of(0), 0U);
    EXPECT_EQ(offset_of(words_per_page - 1), page_size - 8);
    EXPECT_EQ(offset_of(words_per_page), page_size);
}

TEST(Books, AMemoryThatNobodyWroteReadsZeroes) {
    Book book(2);
    EXPECT_EQ(book.saw(1, page_with({})), "");
    EXPECT_NE(book.saw(1, page_with({{3, 7}})), "");
}

TEST(Books, ALostStoreIsSeen) {
    Book book(1);
    book.wrote(3, 7);
    EXPECT_EQ(book.saw(0, page_with({{3, 7}})), "");
    EXPECT_NE(book.saw(0, page_with({})), "");
    EXPECT_NE(book.saw(u32{3}, u64{0}), "");
}

TEST(Books, AByteWhereNobodyWritesIsSeen) {
    Book book(1);
    auto page = page_with({});
    page[100] = std::byte{1};
    EXPECT_NE(book.saw(0, page), "");
}

/// Store x to page 0, then y to page 1, both during the snapshot.
class TwoStores : public testing::Test {
protected:
    TwoStores() {
        const Book::Begun begun = book.begin();
        book.wrote(0, 5);
        book.wrote(words_per_page, 6);
        moment = book.end(begun);
    }
    Book book{2};
    std::shared_ptr<Moment> moment;
};

TEST_F(TwoStores, EachPointBetweenThemIsAMoment) {
    EXPECT_EQ(moment->candidates(), 3U);
    EXPECT_TRUE(moment->saw(seen(0, {{0, 5}})));
    EXPECT_TRUE(moment->saw(seen(1, {})));
    EXPECT_EQ(moment->candidates(), 1U);
}

TEST_F(TwoStores, TheLaterOneWithoutTheEarlierIsNone) {
    EXPECT_TRUE(moment->saw(seen(1, {{0, 6}})));
    EXPECT_FALSE(moment->saw(seen(0, {})));
}

TEST_F(TwoStores, ALookDecidesForAllThatFollow) {
    EXPECT_TRUE(moment->saw(seen(0, {})));
    EXPECT_TRUE(moment->saw(seen(0, {})));
    EXPECT_FALSE(moment->saw(seen(0, {{0, 5}})));
}

TEST_F(TwoStores, WhatIsStoredAfterwardsIsNotInIt) {
    book.wrote(0, 9);
    EXPECT_FALSE(moment->saw(seen(0, {{0, 9}})));
}

TEST_F(TwoStores, AChildSeesItsSourcesMomentUnderWhatItWrote) {
    Book child(2, moment);
    child.wrote(1, 8);
    EXPECT_EQ(child.saw(0, page_with({{0, 5}, {1, 8}})), "");
    EXPECT_EQ(moment->candidates(), 2U);  // the child was a look, too
    EXPECT_NE(child.saw(0, page_with({{1, 8}})), "");
}

TEST_F(TwoStores, AChildsSnapshotAsksItsSourceForWhatTheChildDidNotWrite) {
    Book child(2, moment);
    child.wrote(0, 1);
    const auto frozen = child.end(child.begin());
    EXPECT_TRUE(frozen->saw(seen(0, {{0, 1}})));
    EXPECT_TRUE(frozen->saw(seen(1, {{0, 6}})));
    EXPECT_EQ(moment->candidates(), 1U);
    EXPECT_FALSE(moment->saw(seen(0, {})));
}

TEST_F(TwoStores, ARewoundMemoryIsWhatItWas) {
    book.wrote(0, 9);
    book.rewound(moment);
    EXPECT_TRUE(moment->saw(seen(0, {})));
    EXPECT_EQ(book.saw(0, page_with({})), "");
    EXPECT_NE(book.saw(1, page_with({{0, 6}})), "");
}

TEST_F(TwoStores, ARewindChangesWhatWasWrittenSince) {
    const u64 before = book.clock();
    book.wrote(words_per_page + 1, 9);
    const u64 written = book.clock();
    book.rewound(moment);
    EXPECT_EQ(book.last_changes()[0], before - 1);  // it may be as it was
    EXPECT_GT(book.last_changes()[1], written);
}

}  // namespace
}  // namespace verso::check::swarm
