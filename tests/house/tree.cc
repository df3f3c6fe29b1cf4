// Reads the source tree that this build was configured from (VERSO_SOURCE_DIR).
#include "house/tree.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>

#include <fmt/core.h>

namespace verso::house {
namespace fs = std::filesystem;

std::string root() { return VERSO_SOURCE_DIR; }

File file_of(std::string path, std::string_view text) {
    File file{std::move(path), {}};
    std::istringstream stream{std::string(text)};
    for (std::string line; std::getline(stream, line);) {
        file.lines.push_back(line);
    }
    return file;
}

File read_file(const std::string& path_from_root) {
    std::ifstream stream(fs::path(root()) / path_from_root, std::ios::binary);
    std::ostringstream text;
    text << stream.rdbuf();
    return file_of(path_from_root, text.str());
}

std::vector<File> files_below(const std::vector<std::string>& folders,
                              const std::vector<std::string>& endings) {
    std::vector<std::string> paths;
    for (const std::string& folder : folders) {
        const fs::path top = fs::path(root()) / folder;
        if (!fs::is_directory(top)) {
            continue;
        }
        for (const auto& entry : fs::recursive_directory_iterator(top)) {
            const std::string name = entry.path().string();
            const bool wanted = std::any_of(endings.begin(), endings.end(),
                                            [&](const auto& e) { return name.ends_with(e); });
            if (entry.is_regular_file() && wanted) {
                paths.push_back(fs::relative(entry.path(), root()).string());
            }
        }
    }
    std::sort(paths.begin(), paths.end());
    std::vector<File> files;
    files.reserve(paths.size());
    for (const std::string& path : paths) {
        files.push_back(read_file(path));
    }
    return files;
}

std::vector<File> all_code() {
    return files_below({"include", "src", "tests", "bench", "examples", "fuzz"},
                       {".h", ".hpp", ".cc", ".c"});
}

std::string at(const File& file, std::size_t line_index, std::string_view what) {
    return fmt::format("{}:{}: {}", file.path, line_index + 1, what);
}

std::string joined(const Findings& findings) {
    std::string text;
    for (const std::string& finding : findings) {
        text += finding + "\n";
    }
    return text;
}

}  // namespace verso::house
