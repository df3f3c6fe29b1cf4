// The parts that a search stands on: the table of states, and nodes as differences.
#include "check/explore/visited.h"

#include <thread>

#include <gtest/gtest.h>

#include "check/explore/node.h"
#include "mm/model.h"
#include "mm/random_program.h"

namespace verso::check::explore {
namespace {

Fingerprint print_of(u64 number) {
    const u64 words[] = {number, ~number};
    return fingerprint_of(words);
}

TEST(VisitedTable, KnowsWhatWasAddedAndNothingElse) {
    Visited table;
    for (u64 i = 0; i < 100'000; ++i) {
        EXPECT_TRUE(table.add(print_of(i), true));
    }
    for (u64 i = 0; i < 100'000; ++i) {
        EXPECT_FALSE(table.add(print_of(i), false));
    }
}

TEST(VisitedTable, KeepsEverythingWhenItGrows) {
    Visited table;
    for (u64 i = 0; i < 100'000; ++i) {
        table.add(print_of(i), true);
    }
    table.grow(table.capacity() * 4);
    u64 count = 0;
    table.for_each([&](const Fingerprint&) { ++count; });
    EXPECT_EQ(count, 100'000U);
    EXPECT_FALSE(table.add(print_of(77'777), true));
    EXPECT_TRUE(table.add(print_of(100'001), true));
}

TEST(VisitedTable, TellsStatesApartThatShareAKey) {
    Visited table;
    EXPECT_TRUE(table.add({5, 1}, true));
    EXPECT_TRUE(table.add({5, 2}, true));
    EXPECT_FALSE(table.add({5, 1}, true));
}

TEST(VisitedTable, GivesEachStateToExactlyOneOfTwoThreads) {
    Visited table;
    std::array<u64, 2> fresh{};
    const auto add_all = [&](std::size_t who) {
        for (u64 i = 0; i < 60'000; ++i) {
            fresh[who] += table.add(print_of(i), false) ? 1 : 0;
        }
    };
    {
        const std::jthread other(add_all, 1);
        add_all(0);
    }
    EXPECT_EQ(fresh[0] + fresh[1], 60'000U);
}

TEST(PackedNode, IsTheNodeAgainAndEqualOnlyForEqualNodes) {
    RandomChoice choice(7);
    mm::Shape shape;
    const mm::Rules rules = mm::mainline();
    const Node first{mm::boot(shape), mm::History(mm::boot(shape), rules).past()};
    const Packer packer(first);
    Node node = first;
    for (int i = 0; i < 2000; ++i) {
        Node next = node;
        mm::Machine machine{next.state, rules, choice};
        const mm::Call call = mm::random_call(next.state, choice);
        (void)mm::step(machine, call);
        if (!next.flat()) {
            node = first;
            continue;
        }
        Packer::Packed one;
        Packer::Packed two;
        const auto packed = packer.pack(next, one);
        const auto before = packer.pack(node, two);
        EXPECT_EQ(std::ranges::equal(packed, before), next.state == node.state) << "call " << i;
        EXPECT_EQ(Packer::size(packed.data()), packed.size());
        Node back = first;
        packer.unpack(packed.data(), back);
        EXPECT_EQ(back.state, next.state);
        node = next;
    }
}

}  // namespace
}  // namespace verso::check::explore
