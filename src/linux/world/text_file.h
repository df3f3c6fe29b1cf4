// The small files by which a kernel tells its state and takes its settings (/proc, /sys).
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "base/types.h"

namespace verso::host {

/// All of it; empty if it cannot be read.
std::string read_text(const std::string& path);
/// The number that it begins with; 0 if there is none.
u64 read_number(const std::string& path);
/// The number behind a name at the beginning of a line, as in /proc/vmstat; 0 if there is none.
u64 number_after(std::string_view text, std::string_view name);
Result<void> write_text(const std::string& path, const std::string& text);

}  // namespace verso::host
