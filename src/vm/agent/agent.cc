// The agent that is preloaded into QEMU: see the header.
#include "vm/agent/agent.h"

#include <array>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

#include <dlfcn.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <nlohmann/json.hpp>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "verso/verso.hpp"
#include "vm/keeper.h"
#include "vm/server.h"
#include "vm/socket.h"

namespace verso::vm {
namespace {

constexpr int import_timeout_ms = 60'000;

/// Every signal blocked in this thread, and in those that it starts meanwhile.
class SignalsBlocked {
public:
    SignalsBlocked() {
        sigset_t all;
        sigfillset(&all);
        ::pthread_sigmask(SIG_SETMASK, &all, &before_);
    }
    ~SignalsBlocked() { ::pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
    SignalsBlocked(const SignalsBlocked&) = delete;
    SignalsBlocked& operator=(const SignalsBlocked&) = delete;

private:
    sigset_t before_{};
};

struct Place {
    void* address = nullptr;
    std::size_t size = 0;
};

struct Memory {
    void* address = nullptr;
    std::size_t size = 0;
    Fd memfd;  // a root's
};

class Agent {
public:
    Agent(std::string socket, std::string name, int import_fd)
        : socket_(std::move(socket)), name_(std::move(name)), import_(import_fd) {}

    bool is_child() const { return import_.valid(); }
    /// Called once, with the mapping of a root's memory that was just made.
    void remember(void* address, std::size_t size, int memfd);
    /// Called once: makes a child's memory at that address.
    bool import(void* address, std::size_t size);
    bool owns(const void* address) const {
        const auto* const at = static_cast<const std::byte*>(address);
        const auto* const first = static_cast<const std::byte*>(memory_.address);
        return is_child() && ready_.load() && at >= first && at < first + memory_.size;
    }
    /// Is this the mapping of a child's memory over what QEMU has reserved for it?
    bool reserved(const void* address, std::size_t size) const {
        return address != nullptr && reserved_.address == address && reserved_.size == size;
    }
    std::atomic<unsigned> mappings{0};

private:
    void listen();
    Json answer(const Json& request, const std::vector<Fd>& fds);
    static Json read_clock();
    Json lend_memory(const std::vector<Fd>& fds);

    std::string socket_;
    std::string name_;
    Fd import_;
    static thread_local Place reserved_;  // while this thread imports
    Memory memory_;
    std::atomic<bool> ready_{false};
    Keeper keeper_;
    std::mutex loan_mutex_;
    std::optional<Loan> loan_;
};

thread_local Place Agent::reserved_;

Agent* agent = nullptr;  // made once, never taken down

void complain(const std::string& what) {
    fmt::print(stderr, "verso agent: {}\n", what);
    std::fflush(stderr);
}

void Agent::remember(void* address, std::size_t size, int memfd) {
    // Why safe: a duplicate of a descriptor that QEMU has open during this very call.
    memory_ = {address, size, Fd(::fcntl(memfd, F_DUPFD_CLOEXEC, 0))};
    ready_.store(true);
    listen();
}

bool Agent::import(void* address, std::size_t size) {
    const SignalsBlocked blocked;
    reserved_ = {address, size};
    Result<Region> child = Region::import(import_.get(), {address, name_, import_timeout_ms});
    reserved_ = {};
    if (!child) {
        complain(child.error().message);
        return false;
    }
    if (child->size() != size || child->bytes().data() != address) {
        complain(fmt::format("the source has {} bytes of memory and this machine {}", child->size(),
                             size));
        return false;
    }
    memory_ = {address, size, Fd()};
    keeper_.put(name_, std::move(*child));
    ready_.store(true);
    listen();
    return true;
}

void Agent::listen() {
    const SignalsBlocked blocked;
    Result<Fd> listening = listen_at(socket_, SocketKind::packets);
    if (!listening) {
        complain(listening.error().message);
        return;
    }
    std::thread([this, kept = std::make_shared<Fd>(std::move(*listening))] {
        serve_requests(
            kept->get(),
            [this](const Json& request, const std::vector<Fd>& fds) {
                return answer(request, fds);
            },
            [] { return false; });
    }).detach();
}

Json Agent::answer(const Json& request, const std::vector<Fd>& fds) {
    const std::string verb = text_at(request, "do");
    if (verb == "memory") {
        return {{"ok", true}, {"bytes", memory_.size}, {"mappings", mappings.load()}};
    }
    if (verb == "clock") {
        return read_clock();
    }
    if (verb == "lend") {
        return lend_memory(fds);
    }
    return keeper_.answer(request, fds);
}

/// QEMU's own function, which any thread may call; it is there where QEMU shows its symbols to its
/// modules, as Debian's does.
Json Agent::read_clock() {
    constexpr int virtual_clock = 1;  // QEMU_CLOCK_VIRTUAL
    using Read = i64 (*)(int);
    // Why safe: looks a name up; called as QEMU declares it.
    static const auto read = reinterpret_cast<Read>(::dlsym(RTLD_DEFAULT, "qemu_clock_get_ns"));
    if (read == nullptr) {
        return {{"ok", false}, {"error", "this QEMU does not show its guest's clock"}};
    }
    constexpr int tries = 20;  // this thread may be put aside between looking at one and the other
    u64 closest_ns = ~u64{0};
    Json closest;
    for (int i = 0; i < tries; ++i) {
        const u64 before_ns = now_ns();
        const i64 guest_ns = read(virtual_clock);
        const u64 took_ns = now_ns() - before_ns;
        if (took_ns < closest_ns) {
            closest_ns = took_ns;
            closest = {{"ok", true}, {"guest_ns", guest_ns}, {"host_ns", before_ns + took_ns / 2}};
        }
    }
    return closest;
}

Json Agent::lend_memory(const std::vector<Fd>& fds) {
    if (fds.size() != 1 || is_child()) {
        return {{"ok", false}, {"error", "only a root's memory is lent, to one socket"}};
    }
    const std::scoped_lock lock(loan_mutex_);
    loan_.reset();  // to a server that has died: nothing is in force any more
    AdoptOptions memory;
    memory.memfd = memory_.memfd.get();
    memory.address = memory_.address;
    memory.size = memory_.size;
    memory.name = name_;
    Result<Loan> made = lend(fds[0].get(), memory);
    if (!made) {
        return refusal(made.error());
    }
    loan_.emplace(std::move(*made));
    return {{"ok", true}};
}

bool is_guest_memory(int fd) {
    std::array<char, 64> target{};
    const std::string link = "/proc/self/fd/" + std::to_string(fd);
    const ssize_t length = ::readlink(link.c_str(), target.data(), target.size() - 1);
    return length > 0 && std::string_view(target.data()).starts_with("/memfd:memory-backend-memfd");
}

std::string taken_from_environment(const char* name) {
    const char* const value = std::getenv(name);
    const std::string copy = value == nullptr ? "" : value;
    ::unsetenv(name);
    return copy;
}

__attribute__((constructor)) void begin() {
    const std::string socket = taken_from_environment(agent_socket_variable);
    const std::string name = taken_from_environment(agent_name_variable);
    const std::string import_fd = taken_from_environment(agent_import_variable);
    ::unsetenv("LD_PRELOAD");
    if (!socket.empty()) {
        agent = new Agent(socket, name, import_fd.empty() ? -1 : agent_import_fd);
    }
}

/// By number, not through the C library: its own mmap is what this replaces, and looking that up
/// may itself need memory.
void* map_really(void* address, std::size_t length, int access, int flags, int fd, off_t offset) {
    // Why safe: exactly what the caller asked for.
    const long made = ::syscall(SYS_mmap, address, length, access, flags, fd, offset);
    return reinterpret_cast<void*>(made);  // NOLINT(performance-no-int-to-ptr)
}

void* map_watched(void* address, std::size_t length, int access, int flags, int fd, off_t offset) {
    // The engine demands that the place is free, and QEMU has reserved it, for exactly this: were
    // it unmapped first, another thread's memory, or the engine's own, might come to lie there.
    if (agent != nullptr && (flags & MAP_PRIVATE) != 0 && agent->reserved(address, length)) {
        const int replacing = (flags & ~MAP_FIXED_NOREPLACE) | MAP_FIXED;
        return map_really(address, length, access, replacing, fd, offset);
    }
    const bool candidate = agent != nullptr && fd >= 0 && (flags & MAP_SHARED) != 0 && offset == 0;
    if (!candidate || !is_guest_memory(fd) || agent->mappings.fetch_add(1) != 0) {
        return map_really(address, length, access, flags, fd, offset);
    }
    if (!agent->is_child()) {
        void* const made = map_really(address, length, access, flags, fd, offset);
        if (made != MAP_FAILED) {
            agent->remember(made, length, fd);
        }
        return made;
    }
    if ((flags & MAP_FIXED) == 0 || !agent->import(address, length)) {
        errno = ENOMEM;
        return MAP_FAILED;
    }
    return address;
}

}  // namespace
}  // namespace verso::vm

extern "C" {

void* mmap64(void* address, size_t length, int access, int flags, int fd, off64_t offset) {
    return verso::vm::map_watched(address, length, access, flags, fd, offset);
}

void* mmap(void* address, size_t length, int access, int flags, int fd, off_t offset) {
    return verso::vm::map_watched(address, length, access, flags, fd, offset);
}

/// QEMU wishes huge and merged pages for its RAM. For a child's neither may be: khugepaged and KSM
/// would replace pages that the engine has placed.
int madvise(void* address, size_t length, int advice) {
    const bool unwanted = advice == MADV_HUGEPAGE || advice == MADV_MERGEABLE;
    if (unwanted && verso::vm::agent != nullptr && verso::vm::agent->owns(address)) {
        return 0;
    }
    // Why safe: exactly what the caller asked for.
    return static_cast<int>(::syscall(SYS_madvise, address, length, advice));
}
}
