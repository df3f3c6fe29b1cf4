// Comparing moments: with the one before, and with another kernel's.
#include "check/report/timeline.h"

#include <algorithm>

#include <fmt/format.h>

namespace verso::check::report {
namespace {

/// A row that is there no longer, as it last was. One that was shown as gone is not shown again.
void keep_rows_that_went(const Table& before, Table& now) {
    for (std::size_t i = 0; i < before.rows.size(); ++i) {
        const Row& old = before.rows[i];
        if (old.mark == Mark::gone || find_row(now, old.key) != nullptr) {
            continue;
        }
        Row row = old;
        row.mark = Mark::gone;
        for (Cell& cell : row.cells) {
            cell.mark = Mark::gone;
            cell.was.clear();
        }
        const std::size_t at = std::min(i, now.rows.size());
        now.rows.insert(now.rows.begin() + static_cast<std::ptrdiff_t>(at), std::move(row));
    }
}

void mark_row(const Row* before, Row& now) {
    const bool is_new = before == nullptr || before->mark == Mark::gone;
    now.mark = is_new ? Mark::added : Mark::same;
    for (std::size_t i = 0; i < now.cells.size(); ++i) {
        Cell& cell = now.cells[i];
        if (is_new) {
            cell.mark = Mark::added;
        } else if (before->cells[i].text != cell.text) {
            cell.mark = Mark::changed;
            cell.was = before->cells[i].text;
            now.mark = Mark::changed;
        }
    }
}

}  // namespace

std::string_view title_of(About about) {
    constexpr std::string_view titles[] = {"page table", "mappings",     "folios",         "file",
                                           "swap",       "userfaultfds", "waiting threads"};
    return titles[static_cast<std::size_t>(about)];
}

const Table* find_table(const Moment& moment, About about) {
    const auto found = std::ranges::find(moment.tables, about, &Table::about);
    return found == moment.tables.end() ? nullptr : &*found;
}

const Row* find_row(const Table& table, std::string_view key) {
    const auto found = std::ranges::find(table.rows, key, &Row::key);
    return found == table.rows.end() ? nullptr : &*found;
}

void mark_changes(const Moment& before, Moment& now) {
    for (Table& table : now.tables) {
        const Table* const old = find_table(before, table.about);
        for (Row& row : table.rows) {
            mark_row(old == nullptr ? nullptr : find_row(*old, row.key), row);
        }
        if (old != nullptr) {
            keep_rows_that_went(*old, table);
        }
    }
}

std::size_t Timeline::broken_promises() const {
    std::size_t count = 0;
    for (const Moment& moment : moments) {
        count += static_cast<std::size_t>(
            std::ranges::count(moment.violations, true, &Violation::promise));
    }
    return count;
}

std::string memory_in_words(const Program& program) {
    constexpr std::string_view kinds[] = {
        "anonymous memory",      "shared shmem (memfd)",   "a private mapping of shmem",
        "shared hugetlb memory", "private hugetlb memory", "a shared mapping of an ordinary file",
        "a private file mapping"};
    std::string text = program.huge ? "a huge page"
                                    : fmt::format("{} {}page{}", program.pages,
                                                  is_hugetlb(program.kind) ? "huge " : "",
                                                  program.pages == 1 ? "" : "s");
    return text + " of " + std::string(kinds[static_cast<std::size_t>(program.kind)]);
}

}  // namespace verso::check::report
