// What /proc tells of a thread. A wait for a userfaultfd's reader is known by the function that
// sleeps (handle_userfault, userfaultfd_event_wait_completion; both since 4.11): /proc/…/wchan
// names it, to whoever may trace the process.
#include "linux/world/sleep.h"

#include <array>
#include <charconv>
#include <string>
#include <string_view>

#include <fcntl.h>
#include <unistd.h>

#include <fmt/format.h>

#include "base/fd.h"

namespace verso::host {
namespace {
std::string text_of(pid_t process, pid_t thread, std::string_view file) {
    const std::string path = fmt::format("/proc/{}/task/{}/{}", process, thread, file);
    // Why safe: opens a file for reading.
    const Fd fd{::open(path.c_str(), O_RDONLY | O_CLOEXEC)};
    std::array<char, 4096> text;
    // Why safe: fills a local array, by its size.
    const ssize_t count = fd.valid() ? ::read(fd.get(), text.data(), text.size()) : 0;
    return {text.data(), count > 0 ? static_cast<std::size_t>(count) : 0};
}
}  // namespace

Doing doing_of(pid_t process, pid_t thread) {
    const std::string stat = text_of(process, thread, "stat");
    const std::size_t name_end = stat.rfind(')');
    if (name_end == std::string::npos || name_end + 2 >= stat.size()) {
        return Doing::gone;
    }
    switch (stat[name_end + 2]) {
        case 'S':
        case 'D': break;
        case 'Z':
        case 'X': return Doing::gone;
        default: return Doing::runs;
    }
    const std::string where = text_of(process, thread, "wchan");
    return where.find("userfault") != std::string::npos ? Doing::is_blocked : Doing::sleeps;
}

u64 sleeps_of(pid_t process, pid_t thread) {
    const std::string status = text_of(process, thread, "status");
    constexpr std::string_view key = "\nvoluntary_ctxt_switches:\t";
    const std::size_t at = status.find(key);
    u64 count = 0;
    if (at != std::string::npos) {
        std::from_chars(status.data() + at + key.size(), status.data() + status.size(), count);
    }
    return count;
}

}  // namespace verso::host
