// Where the state of all machines is: see the header.
#include "vm/runtime_dir.h"

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "vm/socket.h"

namespace verso::vm {
namespace fs = std::filesystem;

namespace {

constexpr std::size_t socket_name_max = 107;
constexpr std::size_t longest_below = 2 + name_bytes_max + 12;  // "/", NAME, "/", "console.sock"

std::string chosen_path() {
    const char* const given = std::getenv("XDG_RUNTIME_DIR");
    if (given != nullptr && *given == '/') {
        return std::string(given) + "/verso";
    }
    const std::string user = std::to_string(::getuid());
    std::error_code ignored;
    if (fs::is_directory("/run/user/" + user, ignored)) {
        return "/run/user/" + user + "/verso";
    }
    return "/tmp/verso-" + user;
}

}  // namespace

Result<RuntimeDir> RuntimeDir::open() { return open_at(chosen_path()); }

Result<RuntimeDir> RuntimeDir::open_at(std::string path) {
    if (path.size() + longest_below > socket_name_max) {
        return fail(ErrorKind::invalid_argument, ENAMETOOLONG,
                    "the folder '{}' is too long a name for sockets in it; set XDG_RUNTIME_DIR to "
                    "one of at most {} bytes",
                    path, socket_name_max - longest_below);
    }
    if (::mkdir(path.c_str(), 0700) != 0 && errno != EEXIST) {
        return fail(ErrorKind::system, errno, "the folder '{}' cannot be made: {}", path,
                    std::strerror(errno));
    }
    struct stat found {};
    if (::lstat(path.c_str(), &found) != 0 || !S_ISDIR(found.st_mode)) {
        return fail(ErrorKind::system, ENOTDIR, "'{}' is not a folder; move it away", path);
    }
    if (found.st_uid != ::getuid() || (found.st_mode & 0077) != 0) {
        return fail(ErrorKind::invalid_argument, EPERM,
                    "the folder '{}' is open to other users; it must be yours, with mode 0700",
                    path);
    }
    return RuntimeDir(std::move(path));
}

std::string RuntimeDir::folder(std::string_view name) const {
    return path_ + "/" + std::string(name);
}

std::string RuntimeDir::file(std::string_view name, std::string_view what) const {
    return folder(name) + "/" + std::string(what);
}

std::vector<std::string> RuntimeDir::names() const {
    std::vector<std::string> found;
    std::error_code error;
    for (fs::directory_iterator at(path_, error), end; !error && at != end; at.increment(error)) {
        const std::string name = at->path().filename().string();
        std::error_code ignored;
        if (at->is_directory(ignored) && check_name(name)) {
            found.push_back(name);
        }
    }
    std::sort(found.begin(), found.end());
    return found;
}

Result<void> check_name(std::string_view name) {
    const auto letter = [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    };
    const bool right = !name.empty() && name.size() <= name_bytes_max && letter(name.front()) &&
                       std::all_of(name.begin(), name.end(), [&](char c) {
                           return letter(c) || c == '-' || c == '_' || c == '.';
                       });
    if (!right) {
        return fail(ErrorKind::invalid_argument, EINVAL,
                    "'{}' is not a name: at most {} letters, digits, '-', '_' or '.', beginning "
                    "with a letter or digit",
                    name, name_bytes_max);
    }
    return {};
}

Result<FileLock> FileLock::take(const RuntimeDir& dir, std::string_view name, int timeout_ms) {
    const std::string path = dir.path() + "/.lock-" + std::string(name);
    // Why safe: a file in a folder that only this user can write to.
    Fd file(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
    if (!file.valid()) {
        return fail(ErrorKind::system, errno, "'{}' cannot be opened: {}", path,
                    std::strerror(errno));
    }
    const Deadline deadline(timeout_ms);
    while (::flock(file.get(), LOCK_EX | LOCK_NB) != 0) {
        if (errno != EWOULDBLOCK && errno != EINTR) {
            return fail(ErrorKind::system, errno, "'{}' cannot be locked: {}", path,
                        std::strerror(errno));
        }
        if (deadline.over()) {
            return fail(ErrorKind::resource, EBUSY,
                        "another `verso vm` is at work on '{}'; try again when it is done", name);
        }
        pause_ms(5);
    }
    return FileLock(std::move(file));
}

}  // namespace verso::vm
