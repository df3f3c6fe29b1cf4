// Where the guests of a run live, and their end: a folder of its own with the state of Verso's
// machines and the files of the rivals, in memory where there is a tmpfs. Whatever ends the run,
// Ctrl-C included, ends every QEMU and the page server that it started, and removes the folder.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "base/result.h"
#include "vm/process.h"
#include "vm/runtime_dir.h"

namespace verso::cli::bench {

class Stage {
public:
    /// `guest`: a folder with vmlinuz and initrd.
    static Result<std::unique_ptr<Stage>> open(const std::string& guest);
    ~Stage();
    Stage(const Stage&) = delete;
    Stage& operator=(const Stage&) = delete;

    const vm::RuntimeDir& dir() const { return dir_; }
    std::string file(const std::string& name) const { return folder_ + "/" + name; }
    const std::string& guest() const { return guest_; }
    /// A name that no machine of this run has had.
    std::string fresh(const std::string& kind);
    /// A rival's QEMU, to be ended with the run.
    void adopt(const vm::ProcessId& process);
    /// Ends every QEMU and the page server: after something failed half-way.
    void end_machines();
    /// An error once Ctrl-C has been typed.
    Result<void> wanted() const;
    Result<void> rest_ms(u64 ms) const;

private:
    Stage(std::string folder, vm::RuntimeDir dir, std::string guest);
    void watch();

    std::string folder_;
    vm::RuntimeDir dir_;
    std::string guest_;
    std::mutex mutex_;  // of what follows
    std::vector<vm::ProcessId> adopted_;
    u64 machines_ = 0;
    std::atomic<bool> interrupted_{false};
    std::atomic<bool> over_{false};
    std::thread watcher_;
};

}  // namespace verso::cli::bench
