// Where the state of all of one user's machines is, and who may change it:
//
//   $XDG_RUNTIME_DIR/verso, else /run/user/UID/verso, else /tmp/verso-UID      (mode 0700)
//     server.sock  server.log       the page server
//     .lock-NAME  .lock-server      never removed: a lock on a file that is gone protects nobody
//     NAME/                         one machine: vm.json qmp.sock agent.sock console.sock
//                                   console.log qemu.log *.qcow2 *.state
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/fd.h"
#include "base/result.h"

namespace verso::vm {

class RuntimeDir {
public:
    /// Makes it if need be; refuses one that somebody else could write to.
    static Result<RuntimeDir> open();
    static Result<RuntimeDir> open_at(std::string path);

    const std::string& path() const { return path_; }
    std::string folder(std::string_view name) const;
    std::string file(std::string_view name, std::string_view what) const;
    std::string server_socket() const { return path_ + "/server.sock"; }
    std::string server_log() const { return path_ + "/server.log"; }
    /// Of all machines that have a folder, sorted.
    std::vector<std::string> names() const;

private:
    explicit RuntimeDir(std::string path) : path_(std::move(path)) {}
    std::string path_;
};

inline constexpr std::size_t name_bytes_max = 32;
/// Letters, digits, '-', '_' and '.', beginning with a letter or digit.
Result<void> check_name(std::string_view name);

/// A lock between processes that goes with its holder, however that ends.
class FileLock {
public:
    /// ErrorKind::resource if somebody else has it for longer than that.
    static Result<FileLock> take(const RuntimeDir& dir, std::string_view name, int timeout_ms);
    /// Whoever has a duplicate of it holds the lock as well.
    int fd() const { return file_.get(); }

private:
    explicit FileLock(Fd file) : file_(std::move(file)) {}
    Fd file_;
};

}  // namespace verso::vm
