// The project's own files, as the house tests see them: path from the root, and lines.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace verso::house {

struct File {
    std::string path;  // from the project's root: src/base/fd.h
    std::vector<std::string> lines;
};

/// A finding, as a compiler would print it: path:line: what.
using Findings = std::vector<std::string>;

std::string root();
File read_file(const std::string& path_from_root);
File file_of(std::string path, std::string_view text);

/// Every file below the given folders whose name ends in one of the endings; sorted.
std::vector<File> files_below(const std::vector<std::string>& folders,
                              const std::vector<std::string>& endings);
/// Every C++ and C file of the project.
std::vector<File> all_code();

std::string at(const File& file, std::size_t line_index, std::string_view what);
std::string joined(const Findings& findings);

}  // namespace verso::house
