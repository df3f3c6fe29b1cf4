// A line that begins with a hexadecimal range opens a mapping; "Key:  n kB" lines follow.
#include "cli/demo/smaps.h"

#include <charconv>
#include <fstream>
#include <string>
#include <string_view>

namespace verso::cli {
namespace {

bool read_range(std::string_view line, u64& begin, u64& end) {
    const char* last = line.data() + line.size();
    const auto first = std::from_chars(line.data(), last, begin, 16);
    if (first.ec != std::errc{} || first.ptr == last || *first.ptr != '-') {
        return false;
    }
    const auto second = std::from_chars(first.ptr + 1, last, end, 16);
    return second.ec == std::errc{} && second.ptr != last && *second.ptr == ' ';
}

/// "Pss:       12 kB" → bytes, for the key asked for.
bool read_field(std::string_view line, std::string_view key, u64& bytes) {
    if (!line.starts_with(key)) {
        return false;
    }
    line.remove_prefix(key.size());
    line.remove_prefix(std::min(line.find_first_not_of(' '), line.size()));
    u64 kib = 0;
    std::from_chars(line.data(), line.data() + line.size(), kib);
    bytes += kib << 10;
    return true;
}

}  // namespace

MemoryFigures smaps_figures(std::istream& smaps, std::span<const std::byte> range) {
    const u64 low = reinterpret_cast<u64>(range.data());
    const u64 high = low + range.size();
    MemoryFigures figures;
    bool inside = false;
    for (std::string line; std::getline(smaps, line);) {
        u64 begin = 0;
        u64 end = 0;
        if (read_range(line, begin, end)) {
            inside = begin < high && end > low;
        } else if (inside) {
            static_cast<void>(read_field(line, "Pss:", figures.pss) ||
                              read_field(line, "Private_Clean:", figures.private_own) ||
                              read_field(line, "Private_Dirty:", figures.private_own) ||
                              read_field(line, "Shared_Clean:", figures.shared) ||
                              read_field(line, "Shared_Dirty:", figures.shared));
        }
    }
    return figures;
}

MemoryFigures own_memory(std::span<const std::byte> range) {
    std::ifstream smaps("/proc/self/smaps");
    MemoryFigures figures = smaps_figures(smaps, range);
    std::ifstream rollup("/proc/self/smaps_rollup");
    for (std::string line; std::getline(rollup, line);) {
        read_field(line, "Pss:", figures.process_pss);
    }
    return figures;
}

}  // namespace verso::cli
