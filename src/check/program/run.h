// Running a program, and what it shows: the outcome of each step in one word, and what the pages in
// play hold afterwards, as far as pagemap and PAGEMAP_SCAN say (PM-4 of the specification). Traces
// of one program on two machines are compared as they are: what differs between machines (frame
// numbers, addresses, the size of a huge page) is not in them.
#pragma once

#include <utility>

#include "check/program/program.h"
#include "kernel/world.h"

namespace verso::check {

/// One address: its pagemap word and its PAGEMAP_SCAN categories (0 where there is no such call).
struct PageFacts {
    u64 word = 0;
    u64 categories = 0;

    /// In the specification's alphabet: N, P, Pu, S (also a page that migrates), Su, K(WP),
    /// K(POISONED), K(GUARD), K(WRITTEN); with `f` behind it: of a file or shared.
    std::string text() const;
    bool written() const;
    bool soft_dirty() const;
    /// Without what no program can be sure of: frame, slot, whether mapped once; and of an empty
    /// address that is not tracked, whether there is a page table (SC-22, SC-23, SC-26).
    friend bool operator==(const PageFacts& a, const PageFacts& b);
};

struct Seen {
    std::string outcome;                 // "done", "= 3", "SIGBUS", "EEXIST", "partly 1", …
    std::vector<PageFacts> first;        // the area, in the first process; of a huge page two pages
    std::vector<PageFacts> second;       // the second area, once it is in use
    std::vector<PageFacts> child;        // the area, in the child
    std::vector<std::string> threads{};  // that were in a call before this step: "t1:blocked"
    friend bool operator==(const Seen&, const Seen&) = default;
};

struct Trace {
    std::vector<Seen> steps;            // shorter than the program if it could not go on
    std::vector<std::string> contents;  // loads of the whole area at the end, both processes
    std::string why_not;                // what kept it from going on
    u64 course = 0;  // of the model: every step and its whole state after each, in one number
};

/// Where a program lives, for whoever looks on.
struct Layout {
    u64 unit = page_size;  // bytes in a page of the program
    u64 pages = 1;         // in each area
    u64 first = 0;         // addresses of the areas
    u64 second = 0;
    int child = -1;  // the process that `fork` began, while it lives
    std::vector<std::pair<std::string, int>> threads{};  // that began a call: name, number in the
                                                         // world
};
/// Is told before and after each step, once sleepers that it woke have gone on; what the runner
/// itself looks at (`seen` has no pages yet) happens outside. A step that could not be made has no
/// after.
class Onlooker {
public:
    virtual ~Onlooker() = default;
    virtual void before(std::size_t step, const Layout& layout) = 0;
    virtual void after(std::size_t step, const Layout& layout, const Seen& seen) = 0;
    /// The contents were read, or the program could not go on.
    virtual void at_the_end(const Layout& layout) = 0;
};

Trace run(kernel::World& world, const Program& program, Onlooker* onlooker = nullptr);

/// The first expectation that was not met, as a sentence; empty: all were.
std::string unmet(const Program& program, const Trace& trace);
/// Where two traces of a program part, as a sentence; empty: nowhere.
std::string difference(const Program& program, const Trace& one, const Trace& two);
/// One line for each step.
std::string to_text(const Program& program, const Trace& trace);
std::string to_text(const Seen& seen);
/// Does this word describe what was seen of that step?
bool matches(const Step& step, const Seen& seen, std::string_view word);

}  // namespace verso::check
