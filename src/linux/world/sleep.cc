// What /proc tells of a thread. A wait for a userfaultfd's reader is known by the function that
// sleeps (handle_userfault, userfaultfd_event_wait_completion; both since 4.11): /proc/…/wchan
// names it, to whoever may trace the process.
#include "linux/world/sleep.h"

#include <string>
#include <string_view>

#include <fmt/format.h>

#include "linux/world/text_file.h"

namespace verso::host {
namespace {
std::string text_of(pid_t process, pid_t thread, std::string_view file) {
    return read_text(fmt::format("/proc/{}/task/{}/{}", process, thread, file));
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
    return number_after(text_of(process, thread, "status"), "voluntary_ctxt_switches");
}

}  // namespace verso::host
