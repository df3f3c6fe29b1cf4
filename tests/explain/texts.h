// Programs that the tests explain, and ways to find a cell again.
#pragma once

#include <string>
#include <string_view>

#include <gtest/gtest.h>

#include "check/report/timeline.h"

namespace verso::check::report {

/// The lost write of Linux 5.19: the end of a migration builds the entry anew from vm_page_prot.
inline constexpr const char* lost_write = "SS: store; REGISTER(WP); WRITEPROTECT; migrate; store";

inline Timeline timeline_of(std::string_view text, const std::string& kernel = "6.18") {
    const Result<Program> program = parse(text);
    EXPECT_TRUE(program.has_value()) << text << ": " << (program ? "" : program.error().message);
    return record(program.value_or(Program{}), *mm::preset(kernel), kernel);
}

/// "4b": of the moment that has this number; an empty one if there is none.
inline const Moment& moment_of(const Timeline& timeline, std::string_view number) {
    static const Moment none;
    for (const Moment& moment : timeline.moments) {
        if (moment.number() == number) {
            return moment;
        }
    }
    ADD_FAILURE() << "no moment " << number;
    return none;
}

inline const Cell& cell_of(const Moment& moment, About about, std::string_view key,
                           std::string_view column) {
    static const Cell none;
    const Table* const table = find_table(moment, about);
    const Row* const row = table == nullptr ? nullptr : find_row(*table, key);
    for (std::size_t i = 0; row != nullptr && i < table->columns.size(); ++i) {
        if (table->columns[i] == column) {
            return row->cells[i];
        }
    }
    ADD_FAILURE() << "no cell " << key << ", " << column << " in step " << moment.number();
    return none;
}

inline Mark mark_of(const Moment& moment, About about, std::string_view key) {
    const Table* const table = find_table(moment, about);
    const Row* const row = table == nullptr ? nullptr : find_row(*table, key);
    EXPECT_NE(row, nullptr) << "no row " << key << " in step " << moment.number();
    return row == nullptr ? Mark::same : row->mark;
}

}  // namespace verso::check::report
