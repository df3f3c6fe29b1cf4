// How fork(2) does the work. See fork_side.h.
#include "cli/demo/fork_side.h"

#include <cerrno>
#include <cstring>
#include <fstream>

#include <fmt/format.h>
#include <poll.h>
#include <sqlite3.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/result.h"
#include "cli/demo/smaps.h"

namespace verso::cli {
namespace {

Result<std::span<std::byte>> map(u64 bytes, int kind) {
    // Why safe: a new mapping wherever the kernel likes; nothing existing is replaced.
    void* address =
        ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, kind | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (address == MAP_FAILED) {
        return fail(ErrorKind::resource, errno, "no {} MiB of memory for the fork(2) side: {}",
                    bytes >> 20, std::strerror(errno));
    }
    return std::span(static_cast<std::byte*>(address), bytes);
}

/// A process forked from this one: `body` is all it does.
template <class Body>
Result<Process> forked(u64& called_ns, u64& returned_ns, Body body) {
    called_ns = now_ns();
    // Why safe: see fork_side.h for why the child may go on; it never returns from here.
    const pid_t pid = ::fork();
    if (pid == 0) {
        const u64 since = now_ns();
        die_with_parent();
        // Why safe: ends the process without running what belongs to the parent.
        ::_exit(body(since));
    }
    returned_ns = now_ns();
    if (pid < 0) {
        return fail(ErrorKind::resource, errno, "fork(2) failed: {}", std::strerror(errno));
    }
    return Process(pid);
}

/// Everything that a forked child does; also how it forks a child of its own.
int child_life(Channel& control, Channel* grandchild, std::span<std::byte> span, u32 id,
               u64 since) {
    Process own_child;
    const auto fork_again = [&](u32 new_id) -> Result<u64> {
        u64 called = 0;
        u64 returned = 0;
        auto process = forked(called, returned, [&](u64 since_then) {
            control.close();  // the parent's; ours is the other
            return child_life(*grandchild, nullptr, span, new_id, since_then);
        });
        if (!process) {
            return pass(process);
        }
        own_child = std::move(*process);
        grandchild->close();
        return called;
    };
    Child child(control, span, id, since,
                {.fork = fork_again,
                 .memory = [span]() -> Result<MemoryFigures> { return own_memory(span); }});
    const int code = child.serve();
    const std::string end = own_child.pid() > 0 ? own_child.wait() : std::string();
    return end.empty() ? code : 1;
}

}  // namespace

Result<std::unique_ptr<ForkSide>> ForkSide::create(u64 span_bytes) {
    sqlite3_shutdown();
    if (sqlite3_config(SQLITE_CONFIG_SINGLETHREAD) != SQLITE_OK ||
        sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0) != SQLITE_OK ||
        sqlite3_initialize() != SQLITE_OK) {
        return fail(ErrorKind::unsupported, 0,
                    "this SQLite cannot be set to one thread, which a child of fork(2) needs");
    }
    auto span = map(span_bytes, MAP_PRIVATE);
    auto saved = map(span_bytes, MAP_SHARED);
    if (!span || !saved) {
        return span ? pass(saved) : pass(span);
    }
    return std::unique_ptr<ForkSide>(new ForkSide(*span, *saved));
}

ForkSide::~ForkSide() {
    holders_.clear();  // processes first: they hold the memory
    // Why safe: our own mappings, and nobody has a pointer into them any more.
    ::munmap(span_.data(), span_.size());
    ::munmap(saved_.data(), saved_.size());
}

std::string ForkSide::memory_kind() const {
    std::ifstream file("/sys/kernel/mm/transparent_hugepage/enabled");
    std::string choices;
    std::getline(file, choices);
    return fmt::format(
        "private anonymous memory, transparent huge pages as the system has them ({})",
        choices.empty() ? "not offered" : choices);
}

Result<SnapshotFigures> ForkSide::take_snapshot() {
    auto control = Channel::pair();
    if (!control) {
        return pass(control);
    }
    const bool first = holders_.empty();
    u64 called = 0;
    u64 returned = 0;
    auto process = forked(called, returned, [&](u64 since) {
        if (first) {
            std::memcpy(saved_.data(), span_.data(), span_.size());
            Answer copied;
            copied.done = true;
            static_cast<void>(control->second.send(copied));
        }
        return child_life(control->second, nullptr, span_, 0, since);
    });
    if (!process) {
        return pass(process);
    }
    Member& holder = holders_.emplace_back();
    holder.process = std::move(*process);
    holder.control = std::move(control->first);
    return SnapshotFigures{.arm_ns = returned - called, .cut_ns = returned - called};
}

void ForkSide::release(unsigned snapshot, SnapshotFigures&) {
    static_cast<void>(holders_[snapshot].control.send(Question{.verb = Verb::leave}));
    static_cast<void>(holders_[snapshot].process.wait());
    holders_[snapshot].control.close();
}

Result<std::span<const std::byte>> ForkSide::first_bytes() {
    if (!saved_is_full_) {
        pollfd waiting{.fd = holders_[0].control.fd(), .events = POLLIN, .revents = 0};
        // Why safe: fills one struct of ours, waits for nothing.
        if (::poll(&waiting, 1, 0) == 0) {
            return std::span<const std::byte>{};
        }
        auto copied = holders_[0].control.receive<Answer>();
        if (!copied) {
            return pass(copied);
        }
        saved_is_full_ = true;
    }
    return std::span<const std::byte>(saved_);
}

Result<void> ForkSide::fork_source(unsigned, bool will_fork, Member& child) {
    auto control = Channel::pair();
    auto grandchild = will_fork ? Channel::pair() : Result<std::pair<Channel, Channel>>{};
    if (!control || !grandchild) {
        return control ? pass(grandchild) : pass(control);
    }
    u64 returned = 0;
    const u32 id = child.figures.id;
    auto process = forked(child.forked_ns, returned, [&](u64 since) {
        return child_life(control->second, will_fork ? &grandchild->first : nullptr, span_, id,
                          since);
    });
    if (!process) {
        return pass(process);
    }
    child.process = std::move(*process);
    child.control = std::move(control->first);
    child.grandchild = std::move(grandchild->second);
    child.figures.snapshot = 0;  // of the process as it is now: fork(2) has no other moment
    return {};
}

Result<void> ForkSide::fork_child(Member& parent, Member& child) {
    auto forked_at = ask(parent, Verb::fork, child.figures.id);
    if (!forked_at) {
        return pass(forked_at);
    }
    child.forked_ns = forked_at->since_ns;
    child.control = std::move(parent.grandchild);
    return {};
}

Result<MemoryTotal> ForkSide::memory_total(const std::vector<Member>& children) {
    MemoryTotal total{.source = own_memory(span_).pss, .rewind_copy = own_memory(saved_).pss};
    for (Member& holder : holders_) {
        if (!holder.control.valid()) {
            continue;
        }
        auto answer = ask(holder, Verb::memory);
        if (!answer) {
            return pass(answer, "a snapshot's process");
        }
        total.snapshots += answer->figures.memory.pss;
    }
    for (const Member& child : children) {
        total.children += child.figures.memory.pss;
    }
    return total;
}

Result<void> ForkSide::rewind(Rewind& rewind) {
    const u64 start = now_ns();
    std::memcpy(span_.data(), saved_.data(), span_.size());
    rewind.ns = now_ns() - start;
    rewind.pages = to_pages(span_.size());
    return {};
}

}  // namespace verso::cli
