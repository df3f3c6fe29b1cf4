// A catalogue: a folder of litmus texts, each with the verdicts that are expected of it beside it.
//
//   litmus/zap/a-hole-keeps-the-marker.litmus      the text
//   litmus/zap/a-hole-keeps-the-marker.expected    "5.19: Forbidden", "linux 6.18: Ok", a line each
#pragma once

#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "check/litmus/litmus.h"

namespace verso::check {

/// Machine and verdict, in the file's order.
using ExpectedVerdicts = std::vector<std::pair<std::string, std::string>>;

struct CatalogueEntry {
    std::filesystem::path path;
    Litmus litmus;
    ExpectedVerdicts expected;

    /// Empty: nothing is kept.
    std::string expected_on(std::string_view machine) const;
};

/// Files, and what folders hold at any depth, by name. The first text that is wrong is an error,
/// and so is a folder without any.
Result<std::vector<CatalogueEntry>> read_catalogue(const std::vector<std::string>& paths);

std::filesystem::path expected_path(const std::filesystem::path& text);
/// False: the file could not be written.
bool write_expected(const CatalogueEntry& entry);

}  // namespace verso::check
