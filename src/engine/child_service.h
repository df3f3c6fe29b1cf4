// The source's side of a child in another process, once they have shaken hands: fills the child for
// as long as both live, on a thread of its own. See wire.h for the conversation.
#pragma once

#include <atomic>
#include <map>
#include <string>

#include "engine/presence.h"
#include "engine/region.h"
#include "engine/wire.h"

namespace verso::engine {

/// Serves one child until it hangs up. The LocalFiller it holds keeps the region and the layer
/// alive.
class ChildService final : public Runtime::Service {
public:
    ChildService(kernel::Kernel& kernel, std::unique_ptr<Filler> filler, Fd socket, Fd stop);
    ~ChildService() override;
    ChildService(const ChildService&) = delete;
    ChildService& operator=(const ChildService&) = delete;

    /// The thread waits until the child exists, or is known never to.
    void decide(bool child_exists);
    /// Its userfaultfd and, where there is one, its pidfd.
    void set_child(std::vector<Fd> fds, u64 address, u64 lifeline, std::string name, u64 pages,
                   BaseFile base_file);
    int socket() const { return socket_.get(); }
    const FillTarget& target() const { return target_; }
    /// Socket, userfaultfd and, where there is one, pidfd: what takes to serve the child.
    std::vector<int> fds() const;
    /// It has been put away under that key, and is taken off when it has gone.
    void kept(Safekeeping& safe, std::string key);
    /// The child was served by somebody else before; before decide().
    void resumes() { resumes_ = true; }

    void run() override;
    void stop() override;

private:
    enum class State { waiting, serving, over };

    /// A child of our child: it maps the same file, and asks through its parent.
    struct Adopted {
        Fd uffd;
        FillTarget target;
    };
    static constexpr std::size_t adopted_max = 4096;
    // More than these, and both ends could come to wait for room in the other's socket.
    static constexpr unsigned moves_max = 16;

    bool wait_to_begin();
    bool serve_next();
    bool leaves_heirs();
    void outlast_the_socket();
    bool has_memory(Presence& presence) const;
    void handle(const wire::Message& message, std::vector<Fd> fds);
    void serve(const wire::Message& message);
    void adopt(const wire::Message& message, Fd uffd);
    void disown(u64 number);
    bool ask_move(u64 chunk);
    void conclude_move(const wire::Message& message);
    void tell(const wire::Message& message);
    void tell_lost(u64 page, u64 number);

    kernel::Kernel& kernel_;
    Fd socket_;
    Fd stop_;
    Fd uffd_;
    Fd process_;  // the child's
    bool heirs_ = false;
    bool resumes_ = false;
    Safekeeping* safe_ = nullptr;
    std::string key_;  // there
    std::atomic<bool> child_gone_{false};
    FillTarget target_;
    unsigned moves_asked_ = 0;  // and not yet answered
    std::map<u64, std::unique_ptr<Adopted>> adopted_;
    std::unique_ptr<Filler> filler_;  // after the targets: it disowns our own when it goes
    std::unique_ptr<kernel::Mutex> mutex_;
    std::unique_ptr<kernel::Condition> decided_;
    State state_ = State::waiting;  // guarded by mutex_
};

}  // namespace verso::engine
