// InlineVector against std::vector, and what it promises beyond: where the elements are follows
// from the size, and equal vectors that fit are equal bytes.
#include "base/inline_vector.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <vector>

namespace verso {
namespace {

using Short = InlineVector<u32, 3>;

/// Elements that have vectors inside.
struct Shelf {
    u32 name = 0;
    Short books{};
    bool flat() const { return books.flat(); }
    friend bool operator==(const Shelf&, const Shelf&) = default;
};
using Shelves = InlineVector<Shelf, 2>;

std::vector<u32> elements(const Short& from) { return {from.begin(), from.end()}; }

template <class T>
bool same_bytes(const T& one, const T& two) {
    return std::memcmp(static_cast<const void*>(&one), static_cast<const void*>(&two),
                       sizeof(one)) == 0;
}

/// One change, made to both. Sizes go from 0 to about 8, so that the border at 3 is crossed often.
void change(Short& mine, std::vector<u32>& theirs, u32 kind, u32 number) {
    const std::size_t at = theirs.empty() ? 0 : number % theirs.size();
    const auto offset = static_cast<std::ptrdiff_t>(at);
    if (kind % 8 < 3 && theirs.size() < 8) {
        mine.push_back(number);
        theirs.push_back(number);
    } else if (kind % 8 == 3 && theirs.size() < 8) {
        mine.insert(mine.begin() + at, number);
        theirs.insert(theirs.begin() + offset, number);
    } else if (kind % 8 == 4 && !theirs.empty()) {
        mine.erase(mine.begin() + at);
        theirs.erase(theirs.begin() + offset);
    } else if (kind % 8 == 5) {
        mine.erase(mine.begin() + at, mine.end());
        theirs.erase(theirs.begin() + offset, theirs.end());
    } else if (kind % 8 == 6) {
        mine.resize(number % 8, 7);
        theirs.resize(number % 8, 7);
    } else {
        const auto odd = [](u32 one) { return one % 2 == 1; };
        erase_if(mine, odd);
        std::erase_if(theirs, odd);
    }
}

RC_GTEST_PROP(InlineVector, HoldsWhatAVectorHolds, (const std::vector<std::pair<u32, u32>>& how)) {
    Short mine;
    std::vector<u32> theirs;
    for (const auto& [kind, number] : how) {
        change(mine, theirs, kind, number);
        RC_ASSERT(elements(mine) == theirs);
        RC_ASSERT(mine.flat() == (theirs.size() <= 3));
        const Short copy = mine;
        RC_ASSERT(copy == mine);
        Short assigned{1, 2, 3, 4};
        assigned = mine;
        RC_ASSERT(elements(assigned) == theirs);
        const Short moved = std::move(assigned);
        RC_ASSERT(elements(moved) == theirs);
    }
}

RC_GTEST_PROP(InlineVector, EqualOnesThatFitAreEqualBytesWhateverTheyHeldBefore,
              (const std::vector<std::pair<u32, u32>>& how)) {
    Short used;
    std::vector<u32> theirs;
    for (const auto& [kind, number] : how) {
        change(used, theirs, kind, number);
        if (used.flat()) {
            RC_ASSERT(same_bytes(used, Short(theirs.begin(), theirs.end())));
        }
    }
}

TEST(InlineVector, IsEqualToOneThatGrewInAnotherWay) {
    Short grown{1, 2, 3, 4, 5};
    grown.resize(3);
    EXPECT_EQ(grown, (Short{1, 2, 3}));
    EXPECT_TRUE(same_bytes(grown, Short{1, 2, 3}));
    EXPECT_NE(grown, (Short{1, 2, 4}));
    EXPECT_NE(grown, (Short{1, 2}));
}

TEST(InlineVector, OfVectorsCopiesWhatLiesOutside) {
    Shelves shelves(1);
    shelves[0].books = {1, 2, 3, 4};
    EXPECT_FALSE(shelves.flat());
    Shelves copy = shelves;
    shelves[0].books[0] = 9;
    EXPECT_EQ(copy[0].books[0], 1U);
    EXPECT_NE(copy, shelves);
    copy = shelves;
    EXPECT_EQ(copy, shelves);
    copy[0].books.pop_back();
    EXPECT_TRUE(copy.flat());
}

TEST(InlineVector, OfVectorsKeepsThemWhenItGrowsAndShrinks) {
    Shelves shelves;
    for (u32 i = 0; i < 9; ++i) {
        shelves.insert(shelves.begin(), Shelf{i, Short(i, i)});
    }
    for (u32 i = 0; i < 9; ++i) {
        EXPECT_EQ(shelves[8 - i], (Shelf{i, Short(i, i)}));
    }
    shelves.erase(shelves.begin(), shelves.begin() + 7);
    ASSERT_EQ(shelves.size(), 2U);
    EXPECT_EQ(shelves[1], Shelf{});
    EXPECT_TRUE(shelves.flat());
    EXPECT_TRUE(same_bytes(shelves, Shelves{Shelf{1, Short{1}}, Shelf{}}));
}

TEST(InlineVector, TakesAnElementOfItself) {
    Short numbers{1, 2, 3};
    numbers.push_back(numbers[0]);
    numbers.insert(numbers.begin(), numbers[3]);
    EXPECT_EQ(numbers, (Short{1, 1, 2, 3, 1}));
}

}  // namespace
}  // namespace verso
