// verso vm: virtual machines under QEMU, forked and rewound while they run. What happens is in
// vm/verbs.h; here it is said, as a few lines or as one JSON object.
#pragma once

#include <optional>
#include <string>
#include <vector>

namespace verso::cli {

struct VmOptions {
    std::string name;                  // every verb but ls
    std::string memory;                // run
    bool huge = false;                 // run
    std::vector<std::string> command;  // run
    std::string moment;                // snapshot, rewind
    std::string from;                  // fork
    std::string child;                 // fork
    std::string hook;                  // fork
    std::optional<std::string> ask;    // fork
    std::string answer;                // fork
    unsigned count = 1;                // fork
    bool log = false;                  // console
    bool json = false;
};
int vm_run(const VmOptions& options);
int vm_list(const VmOptions& options);
int vm_console(const VmOptions& options);
int vm_snapshot(const VmOptions& options);
int vm_fork(const VmOptions& options);
int vm_rewind(const VmOptions& options);
int vm_stop(const VmOptions& options);
int vm_remove(const VmOptions& options);

/// The page server, what starts it again when it is killed, and what lets a guest go on when its
/// verb is; verbs start them: `verso vm-safe FOLDER`, `vm-server FOLDER`, `vm-guard FOLDER NAME`.
int vm_safe(int argc, char** argv);
int vm_server(int argc, char** argv);
int vm_guard(int argc, char** argv);

}  // namespace verso::cli
