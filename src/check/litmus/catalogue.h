// A catalogue: a folder of litmus texts, each with the verdicts that are expected of it beside it.
//
//   litmus/zap/a-hole-keeps-the-marker.litmus      the text
//   litmus/zap/a-hole-keeps-the-marker.expected    "5.19: Forbidden 6d1c09fe", …, a line each
//
// Behind the verdict of a model stands the course (litmus.h): a rule that came to do something else
// changes it, also where no condition looks.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "check/litmus/litmus.h"

namespace verso::check {

struct Expected {
    std::string machine{};
    std::string verdict{};
    std::string course{};  ///< empty: a kernel's, which has none
};
/// In the file's order.
using ExpectedVerdicts = std::vector<Expected>;

struct CatalogueEntry {
    std::filesystem::path path;
    Litmus litmus;
    ExpectedVerdicts expected;

    /// Empty: nothing is kept.
    Expected expected_on(std::string_view machine) const;
};

/// Files, and what folders hold at any depth, by name. The first text that is wrong is an error,
/// and so is a folder without any.
Result<std::vector<CatalogueEntry>> read_catalogue(const std::vector<std::string>& paths);

std::filesystem::path expected_path(const std::filesystem::path& text);
/// "1f09a2c4"; empty where there is none.
std::string course_text(const Judgement& judgement);
/// False: the file could not be written.
bool write_expected(const CatalogueEntry& entry);

}  // namespace verso::check
