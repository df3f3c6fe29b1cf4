// The user's QEMU command line, what Verso reads out of it, and what it adds.
//
// Added:     a memfd for guest memory (unless the user names one), a monitor and a console in the
//            machine's folder, -display none, and for a child -incoming defer
// Replaced:  in a child, the file of each disk that may be written: -drive file=…; and its memfd is
//            never of huge pages: its memory arrives in pages of 4 KiB, in another mapping
// Refused:   what only one process at a time may have, or what would hide memory from the agent;
//            with one sentence, before anything is started
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "base/types.h"

namespace verso::vm {

/// A -drive that the guest may write to.
struct Drive {
    std::size_t word = 0;  // of the command: the option's value
    std::string file;      // where the guest's writes go now
    std::string next{};    // a layer that is the top already, or will be: QEMU knows (disks.h)
    friend bool operator==(const Drive&, const Drive&) = default;
};

struct CommandLine {
    std::vector<std::string> words;  // the user's, as they were
    u64 memory_bytes = 0;
    bool own_memfd = false;      // the user names a memory-backend-memfd
    std::size_t memfd_word = 0;  // of the command: that object's options
    bool huge = false;           // a root's memory is made of pages of 2 MiB (hugetlb)
    std::vector<Drive> drives;
};

inline constexpr u64 memory_bytes_default = u64{512} << 20;
inline constexpr u64 memory_bytes_max = u64{1} << 40;

/// "512M", "2G", "1048576K"; a plain number is MiB, as QEMU's -m has it.
Result<u64> read_size(std::string_view text);

inline constexpr u64 huge_page_bytes = u64{2} << 20;

/// `memory_bytes` 0: what -m says, or memory_bytes_default. `huge`: asked for; else what the user's
/// own memory-backend-memfd says.
Result<CommandLine> read_command_line(std::vector<std::string> words, u64 memory_bytes,
                                      bool huge = false);

/// What is executed: `drives` name the files of this process.
std::vector<std::string> command_for(const CommandLine& line, const std::string& folder,
                                     const std::vector<Drive>& drives, bool is_child);

/// key=value,key=value with ",," for a comma.
struct Option {
    std::string key;  // empty: a value alone
    std::string value;
};
std::vector<Option> read_options(std::string_view text);
std::string write_options(const std::vector<Option>& options);
/// The last of that key, or "".
std::string value_of(const std::vector<Option>& options, std::string_view key);

}  // namespace verso::vm
