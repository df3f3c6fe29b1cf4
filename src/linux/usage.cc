// What the kernel's own books say about a range: /proc/self/smaps, added up. Whole mappings are
// counted, also those that the range only touches; a region's mapping has a userfaultfd or a file
// of its own and so is never merged with a neighbour's.
#include <charconv>
#include <string>

#include <fcntl.h>
#include <unistd.h>

#include "base/check.h"
#include "linux/calls.h"

namespace verso::host {
namespace {
/// "Rss:                 124 kB" → 126,976; nothing else touches `sum`.
void add_field(std::string_view line, std::string_view name, u64& sum) {
    if (!line.starts_with(name)) {
        return;
    }
    line.remove_prefix(std::min(line.size(), line.find_first_of("0123456789")));
    u64 kibibytes = 0;
    std::from_chars(line.data(), line.data() + line.size(), kibibytes);
    sum += kibibytes * 1024;
}

/// "7f00-7f10 rw-p …" → true and the two addresses; a line of figures starts with a capital letter.
bool parse_mapping(std::string_view line, u64& begin, u64& end) {
    const char* const stop = line.data() + line.size();
    const std::from_chars_result first = std::from_chars(line.data(), stop, begin, 16);
    if (first.ec != std::errc{} || first.ptr == stop || *first.ptr != '-') {
        return false;
    }
    return std::from_chars(first.ptr + 1, stop, end, 16).ec == std::errc{};
}
}  // namespace

kernel::Usage sum_usage(std::string_view smaps, u64 begin, u64 end) {
    kernel::Usage usage;
    bool inside = false;
    while (!smaps.empty()) {
        const std::size_t length = std::min(smaps.find('\n'), smaps.size());
        const std::string_view line = smaps.substr(0, length);
        smaps.remove_prefix(std::min(length + 1, smaps.size()));
        u64 low = 0;
        u64 high = 0;
        if (parse_mapping(line, low, high)) {
            inside = low < end && begin < high;
        } else if (inside) {
            add_field(line, "Rss:", usage.rss);
            add_field(line, "Pss:", usage.pss);
            add_field(line, "Anonymous:", usage.anonymous);
            add_field(line, "Swap:", usage.swap);
        }
    }
    return usage;
}

Outcome memory_usage(const Call& call, const Payload& payload) {
    VERSO_CHECK(payload.usage != nullptr, "nowhere to put the usage");
    // Why safe: opens a file for reading.
    const Fd fd{::open("/proc/self/smaps", O_RDONLY | O_CLOEXEC)};
    if (!fd.valid()) {
        return failure(errno);
    }
    std::string text;
    constexpr std::size_t step = std::size_t{64} << 10;
    for (;;) {
        const std::size_t before = text.size();
        text.resize(before + step);
        // Why safe: fills the part of the string that was just added.
        const ssize_t count = ::read(fd.get(), text.data() + before, step);
        text.resize(before + (count > 0 ? static_cast<std::size_t>(count) : 0));
        if (count < 0 && errno != EINTR) {
            return failure(errno);
        }
        if (count == 0) {
            break;
        }
    }
    *payload.usage = sum_usage(text, call.address, call.address + call.length);
    return Outcome::done();
}

}  // namespace verso::host
