// Reading and writing the files of a catalogue.
#include "check/litmus/catalogue.h"

#include <algorithm>
#include <fstream>
#include <sstream>

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
        if (const std::size_t colon = line.find(": "); colon != std::string::npos) {
            kept.emplace_back(line.substr(0, colon), line.substr(colon + 2));
        }
    }
    return kept;
}

}  // namespace

std::string CatalogueEntry::expected_on(std::string_view machine) const {
    const auto same = std::ranges::find(expected, machine, &ExpectedVerdicts::value_type::first);
    return same == expected.end() ? "" : same->second;
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
    for (const auto& [machine, verdict] : entry.expected) {
        file << machine << ": " << verdict << '\n';
    }
    return static_cast<bool>(file.flush());
}

}  // namespace verso::check
