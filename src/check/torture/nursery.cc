// Both halves of a nursery, and the child.
#include "check/torture/nursery.h"

#include <cerrno>
#include <csignal>
#include <cstring>

#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "engine/importer.h"
#include "linux/world/wire.h"

namespace verso::check::torture {
namespace {
constexpr int exit_not_born = 3;      // exit code
constexpr int patience_ms = 300'000;  // of one who imports, on a machine that is made slow

[[noreturn]] void be_child(Fd socket, const Birth& birth, const Layout& layout,
                           const Shared::Header& header, Slot& slot) {
    follow_parent();
    ImportOptions options;
    options.name = "child";
    options.timeout_ms = patience_ms;
    Result<std::shared_ptr<engine::Region>> region =
        engine::import_child(runtime(), socket.get(), options);
    if (!region) {
        if (region.error().kind == ErrorKind::peer) {
            ::_exit(exit_not_born);  // who exports it says why
        }
        slot.report(fmt::format("round {}, importing a child", birth.round), region.error());
        ::_exit(0);
    }
    slot.add(Count::children_elsewhere);
    Life(**region, layout, header, slot, birth).live();
    slot.hear((*region)->damage(),
              fmt::format("round {}, a child in another process says", birth.round));
    region->reset();
    ::_exit(0);
}

[[noreturn]] void be_nursery(Fd socket, const Layout& layout, const Shared::Header& header,
                             Slot& slot) {
    follow_parent();
    host::Message message;
    Fd passed;
    while (host::receive(socket.get(), message, &passed) == host::Received::whole) {
        const Birth birth = message.take_one<Birth>();
        const pid_t child = ::fork();
        if (child == 0) {
            socket.reset();
            be_child(std::move(passed), birth, layout, header, slot);
        }
        passed.reset();
        int status = child < 0 ? -errno : 0;
        while (child > 0 && ::waitpid(child, &status, 0) < 0 && errno == EINTR) {}
        message.clear();
        message.put_one(status);
        if (!host::send(socket.get(), message)) {
            break;
        }
    }
    ::_exit(0);
}
}  // namespace

void follow_parent() {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    ::signal(SIGINT, SIG_IGN);
    ::signal(SIGTERM, SIG_DFL);
    ::signal(SIGHUP, SIG_IGN);
    ::signal(SIGCHLD, SIG_DFL);
}

Result<std::unique_ptr<Nursery>> Nursery::open(const Layout& layout, const Shared::Header& header,
                                               Slot& slot) {
    int pair[2] = {-1, -1};
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0) {
        return fail(ErrorKind::resource, errno, "no socket ({})", std::strerror(errno));
    }
    Fd ours(pair[0]);
    Fd theirs(pair[1]);
    const pid_t child = ::fork();
    if (child == 0) {
        ours.reset();
        be_nursery(std::move(theirs), layout, header, slot);
    }
    if (child < 0) {
        return fail(ErrorKind::resource, errno, "no process ({})", std::strerror(errno));
    }
    return std::unique_ptr<Nursery>(new Nursery(std::move(ours), child));
}

Nursery::~Nursery() {
    socket_.reset();  // it ends when it has nobody to listen to
    while (::waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {}
}

Result<Fd> Nursery::order(const Birth& birth) {
    int pair[2] = {-1, -1};
    if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0) {
        return fail(ErrorKind::resource, errno, "no socket ({})", std::strerror(errno));
    }
    Fd ours(pair[0]);
    const Fd theirs(pair[1]);
    host::Message message;
    message.put_one(birth);
    if (!host::send(socket_.get(), message, theirs.get())) {
        return fail(ErrorKind::peer, 0, "the process that makes children is gone");
    }
    return ours;
}

Result<std::string> Nursery::ending() {
    host::Message message;
    if (host::receive(socket_.get(), message, nullptr) != host::Received::whole) {
        return fail(ErrorKind::peer, 0, "the process that makes children is gone");
    }
    const int status = message.take_one<int>();
    if (status < 0) {
        return fmt::format("could not be made ({})", std::strerror(-status));
    }
    if (WIFSIGNALED(status)) {
        return fmt::format("was killed by signal {} ({})", WTERMSIG(status),
                           ::strsignal(WTERMSIG(status)));
    }
    return WEXITSTATUS(status) == exit_not_born ? std::string(Nursery::not_born)
           : WEXITSTATUS(status) == 0           ? ""
                                                : fmt::format("ended with {}", WEXITSTATUS(status));
}

}  // namespace verso::check::torture
