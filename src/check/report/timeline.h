// Timeline: what a program does to a machine, moment by moment, as tables of words. It is computed
// once, on the model under one kernel's rules, and then printed: for a terminal (terminal.h) or as
// a page for a browser (html.h).
//
//   Program + Rules ─▶ record ─▶ Timeline ─▶ terminal, HTML
//                      │ after each step: the State, in words (tables.h)
//                      │ in between: every step of the model, with all oracles (oracles.h)
//                      └ compared with the moment before: what this step changed is marked
//
// A moment is a step of the program, or one half of a step that the kernel does in two (a
// migration: entries are taken away, entries are put back), because what goes wrong goes wrong in
// between. Tables have rows with keys that stay, so that a cell can be found again in the moment
// before.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "check/program/program.h"
#include "mm/rules.h"

namespace verso::check::report {

/// Against the moment before. A row that is new is all `added`; one that went is shown once more,
/// `gone`, with what it last said.
enum class Mark : u8 { same, changed, added, gone };

struct Cell {
    std::string text;
    std::string was{};  // changed: what it said before
    Mark mark = Mark::same;
};

struct Row {
    std::string key;
    std::vector<Cell> cells{};  // one for each column
    Mark mark = Mark::same;     // changed: some cell is
};

/// Names of tables, in the order in which they are shown.
enum class About : u8 { entries, mappings, folios, file, swap, userfaultfds, threads };
std::string_view title_of(About about);

struct Table {
    About about = About::entries;
    std::vector<std::string> columns{};
    std::vector<Row> rows{};
};

/// An oracle that does not hold any more (mm/invariants.cc, mm/history.cc).
struct Violation {
    std::string oracle;    // "I9"
    std::string name;      // in two words
    bool promise = false;  // to programs; else one of the kernel's own rules: a promise in danger
    std::string what;      // where, in the program's own names
    std::string why;       // it matters
};

struct Moment {
    std::size_t step = 0;  // 1 …; 0: before the first one
    char half = '\0';      // 'a', 'b': of a step in two halves
    bool last = false;     // after all steps: the contents were read
    std::string title{};   // the step as it is written
    std::string outcome{};
    std::vector<std::string> meanwhile{};  // of who was asleep before this step: "t1:done"
    std::string meaning{};                 // what happened here, in a sentence or two
    std::string kernel{};                  // functions of the kernel that the model mirrors
    std::string unmet{};                   // what the program expected, and was not so
    std::vector<Violation> violations{};
    std::vector<Table> tables{};

    std::string number() const {
        return last ? "end" : std::to_string(step) + (half == 0 ? "" : std::string(1, half));
    }
};

struct Timeline {
    std::string kernel{};  // the preset's name
    Program program{};
    std::vector<Moment> moments{};
    std::vector<std::string> contents{};  // loads of the whole area at the end, each process
    std::string why_not{};                // what kept the program from going on

    std::size_t broken_promises() const;
};

/// Pages of a program that a timeline can be drawn of.
inline constexpr u32 pages_max = 16;

/// Runs it on the model. The program must have at most pages_max pages.
Timeline record(const Program& program, const mm::Rules& rules, std::string kernel);

/// Fills in the marks of `now`, and the rows that went, against the moment before.
void mark_changes(const Moment& before, Moment& now);

const Table* find_table(const Moment& moment, About about);
const Row* find_row(const Table& table, std::string_view key);
/// The kind of memory and the options, in words.
std::string memory_in_words(const Program& program);

}  // namespace verso::check::report
