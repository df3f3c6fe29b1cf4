// Finding where groups are, making one, limiting it.
#include "linux/world/memory_group.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <optional>
#include <sstream>

#include <sys/stat.h>
#include <unistd.h>

#include "linux/world/text_file.h"

namespace verso::host {
namespace {
struct Where {
    std::string folder;  // in which groups are made
    bool second = false;
};

bool has_word(std::string_view list, std::string_view word, char between) {
    for (std::size_t at = 0; at <= list.size();) {
        const std::size_t end = std::min(list.find(between, at), list.size());
        if (list.substr(at, end - at) == word) {
            return true;
        }
        at = end + 1;
    }
    return false;
}

/// Where a hierarchy is mounted: the first of that type that has the word among its options.
std::string mount_of(std::string_view type, std::string_view option) {
    std::istringstream mounts(read_text("/proc/self/mounts"));
    std::string device;
    std::string folder;
    std::string kind;
    std::string options;
    for (std::string rest; mounts >> device >> folder >> kind >> options;) {
        std::getline(mounts, rest);
        if (kind == type && (option.empty() || has_word(options, option, ','))) {
            return folder;
        }
    }
    return {};
}

/// v1: our own group's path below the hierarchy with the memory controller.
std::string own_path() {
    std::istringstream groups(read_text("/proc/self/cgroup"));
    for (std::string line; std::getline(groups, line);) {
        const std::size_t first = line.find(':');
        const std::size_t second = line.find(':', first + 1);
        if (second != std::string::npos &&
            has_word(std::string_view(line).substr(first + 1, second - first - 1), "memory", ',')) {
            return line.substr(second + 1);
        }
    }
    return {};
}

/// v2: at the root, because a group that has processes of its own can have no children with limits.
std::optional<Where> find_place() {
    const std::string first = mount_of("cgroup", "memory");
    if (!first.empty()) {
        const std::string inside = first + own_path();
        std::error_code error;
        return Where{std::filesystem::is_directory(inside, error) ? inside : first, false};
    }
    const std::string root = mount_of("cgroup2", "");
    std::string controllers = root.empty() ? "" : read_text(root + "/cgroup.subtree_control");
    controllers.resize(std::min(controllers.size(), controllers.find('\n')));
    return has_word(controllers, "memory", ' ') ? std::optional(Where{root, true}) : std::nullopt;
}

void remove_left_behind(const std::string& folder, std::string_view name_begin) {
    std::error_code error;
    std::filesystem::directory_iterator at(folder, error);
    for (; !error && at != std::filesystem::directory_iterator(); at.increment(error)) {
        if (at->path().filename().string().starts_with(name_begin.substr(1))) {
            ::rmdir(at->path().c_str());  // refused while a process is in it
        }
    }
}
}  // namespace

Result<std::unique_ptr<MemoryGroup>> MemoryGroup::make(Keeper& keeper,
                                                       std::string_view name_begin) {
    const std::optional<Where> where = find_place();
    if (!where) {
        return fail(ErrorKind::unsupported, ENOENT,
                    "no memory control groups are mounted where groups could be made");
    }
    remove_left_behind(where->folder, name_begin);
    std::unique_ptr<MemoryGroup> group(new MemoryGroup(
        fmt::format("{}{}{}", where->folder, name_begin, ::getpid()), where->second));
    Result<Promise> removed = Promise::make(keeper, {Undo::Kind::remove_group, group->folder_, {}});
    if (!removed) {
        return pass(removed);
    }
    group->removed_ = std::move(*removed);
    if (::mkdir(group->folder_.c_str(), 0755) != 0) {
        return fail(ErrorKind::unsupported, errno, "no control group {} could be made ({})",
                    group->folder_, std::strerror(errno));
    }
    if (!group->second_) {
        Result<void> calm = write_text(group->folder_ + "/memory.oom_control", "1");
        if (!calm) {  // then memory may not be made scarce in it
            return pass(calm);
        }
    }
    return group;
}

MemoryGroup::~MemoryGroup() {
    const Undo undo{Undo::Kind::remove_group, folder_, {}};
    if (!undo.perform() && errno != ENOENT) {
        fmt::print(stderr, "the control group {} could not be removed: {}\n", folder_,
                   std::strerror(errno));
    }
}

Result<void> MemoryGroup::limit(u64 bytes) {
    const char* const none = second_ ? "max" : "-1";
    Result<void> limited = write_text(file("memory.limit_in_bytes", "memory.high"),
                                      bytes == no_limit ? none : fmt::format("{}", bytes));
    limit_ = limited ? bytes : limit_;
    return limited;
}

Result<void> MemoryGroup::press(u64 bytes) {
    const u64 used = used_bytes();
    const u64 before = limit_;
    const Result<void> pressed = limit(used - std::min(used, bytes));
    Result<void> lifted = limit(before);
    return pressed ? lifted : pressed;
}

u64 MemoryGroup::used_bytes() const {
    return read_number(file("memory.usage_in_bytes", "memory.current"));
}

bool MemoryGroup::is_stalled() const {
    return !second_ && number_after(read_text(folder_ + "/memory.oom_control"), "under_oom") != 0;
}

u64 MemoryGroup::times_met() const {
    return second_ ? number_after(read_text(folder_ + "/memory.events"), "high")
                   : read_number(folder_ + "/memory.failcnt");
}

}  // namespace verso::host
