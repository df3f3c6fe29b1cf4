// Reading and writing the files of a catalogue.
#include "check/litmus/catalogue.h"

#include <algorithm>
#include <fstream>
#include <sstream>

#include <fmt/format.h>

namespace verso::check {
namespace {
namespace fs = std::filesystem;

std::string read_file(const fs::path& path) {
    std::ifstream file(path);
    std::ostringstream text;
    text << file.rdbuf();
    return text.str();
}

Result<std::vector<fs::path>> files_of(const std::vector<std::string>& paths) {
    std::vector<fs::path> files;
    for (const std::string& path : paths) {
        std::error_code error;
        if (!fs::is_directory(path, error)) {
            if (!fs::is_regular_file(path, error)) {
                return fail(ErrorKind::invalid_argument, 0,
                            "there is no file or folder '{}'; name a .litmus file or a folder",
                            path);
            }
            files.emplace_back(path);
            continue;
        }
        const std::size_t before = files.size();
        for (const auto& entry : fs::recursive_directory_iterator(path, error)) {
            if (entry.path().extension() == ".litmus") {
                files.push_back(entry.path());
            }
        }
        if (files.size() == before) {
            return fail(ErrorKind::invalid_argument, 0,
                        "the folder '{}' holds no .litmus file; name another", path);
        }
        std::sort(files.begin() + static_cast<std::ptrdiff_t>(before), files.end());
    }
    return files;
}

ExpectedVerdicts read_expected(const fs::path& path) {
    ExpectedVerdicts kept;
    std::istringstream lines(read_file(path));
    for (std::string line; std::getline(lines, line);) {
        const std::size_t colon = line.find(": ");
        if (colon == std::string::npos) {
            continue;
        }
        Expected& one = kept.emplace_back(Expected{.machine = line.substr(0, colon)});
        one.verdict = line.substr(colon + 2);
        constexpr std::size_t digits = 8;
        if (const std::size_t blank = one.verdict.rfind(' ');
            blank != std::string::npos && one.verdict.size() - blank - 1 == digits) {
            one.course = one.verdict.substr(blank + 1);
            one.verdict.resize(blank);
        }
    }
    return kept;
}

}  // namespace

Expected CatalogueEntry::expected_on(std::string_view machine) const {
    const auto same = std::ranges::find(expected, machine, &Expected::machine);
    return same == expected.end() ? Expected{} : *same;
}

std::string course_text(const Judgement& judgement) {
    return judgement.course == 0 ? "" : fmt::format("{:08x}", judgement.course);
}

Result<std::vector<CatalogueEntry>> read_catalogue(const std::vector<std::string>& paths) {
    Result<std::vector<fs::path>> files = files_of(paths);
    if (!files) {
        return pass(files);
    }
    std::vector<CatalogueEntry> entries;
    for (const fs::path& path : *files) {
        Result<Litmus> litmus = parse_litmus(read_file(path), path.string());
        if (!litmus) {
            return pass(litmus);
        }
        entries.push_back({path, std::move(*litmus), read_expected(expected_path(path))});
    }
    return entries;
}

fs::path expected_path(const fs::path& text) {
    return fs::path(text).replace_extension(".expected");
}

bool write_expected(const CatalogueEntry& entry) {
    std::ofstream file(expected_path(entry.path));
    for (const Expected& one : entry.expected) {
        file << one.machine << ": " << one.verdict << (one.course.empty() ? "" : " ") << one.course
             << '\n';
    }
    return static_cast<bool>(file.flush());
}

}  // namespace verso::check
