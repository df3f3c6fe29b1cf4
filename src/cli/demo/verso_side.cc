// How Verso does the work. See verso_side.h.
//
//      this process ──control──▶ child A ◀──pair──▶ child B ◀──control── this process
//           └───export_fork(data)──▶┘ └──export_fork────▶┘
#include "cli/demo/verso_side.h"

#include <fmt/format.h>

#include "base/check.h"
#include "base/result.h"

namespace verso::cli {
namespace {

/// Starts a process that waits for a region on `import`; `exports` is where its own child will be.
Result<void> start(Member& child, const Channel& import, const Channel* exports) {
    auto control = Channel::pair();
    if (!control) {
        return pass(control);
    }
    std::vector<int> sockets = {control->second.fd(), import.fd()};
    if (exports != nullptr) {
        sockets.push_back(exports->fd());
    }
    const u64 started = now_ns();
    auto process = Process::spawn({"region", std::to_string(child.figures.id)}, sockets);
    if (!process) {
        return pass(process);
    }
    child.process = std::move(*process);
    child.control = std::move(control->first);
    control->second.close();  // the child has its own; if it dies, we notice
    auto hello = child.control.receive<Answer>();
    if (!hello) {
        return pass(hello);
    }
    child.figures.process_ns = hello->since_ns - started;
    return {};
}

}  // namespace

Result<std::unique_ptr<VersoSide>> VersoSide::create(u64 span_bytes) {
    auto region = Region::create({.size = span_bytes, .name = "verso demo"});
    if (!region) {
        return pass(region);
    }
    if (region->backend() != Backend::userfaultfd) {
        return fail(ErrorKind::unsupported, 0,
                    "the demo forks memory into other processes, which needs userfaultfd, and this "
                    "process may not use it ({}); run it as root, or see `verso doctor`",
                    region->describe());
    }
    return std::unique_ptr<VersoSide>(new VersoSide(std::move(*region)));
}

Result<SnapshotFigures> VersoSide::take_snapshot() {
    auto snapshot = region_.snapshot();
    if (!snapshot) {
        return pass(snapshot);
    }
    const SnapshotReport report = snapshot->report();
    snapshots_.emplace_back(std::move(*snapshot));
    return SnapshotFigures{.arm_ns = report.arm_ns,
                           .cut_ns = report.cut_ns,
                           .protect_calls = report.protect_calls,
                           .pages_protected = report.pages_protected};
}

void VersoSide::release(unsigned snapshot, SnapshotFigures& figures) {
    look(snapshot, figures);
    snapshots_[snapshot].reset();
}

Snapshot& VersoSide::alive(unsigned snapshot) {
    VERSO_CHECK(snapshot < snapshots_.size(), "snapshot {} of {}", snapshot, snapshots_.size());
    std::optional<Snapshot>& held = snapshots_[snapshot];
    VERSO_CHECK(held.has_value(), "snapshot {} is used after its release", snapshot);
    return *held;
}

void VersoSide::look(unsigned snapshot, SnapshotFigures& figures) {
    figures.pages_captured = alive(snapshot).report().pages_captured;
}

Result<void> VersoSide::fork_source(unsigned snapshot, bool will_fork, Member& child) {
    auto data = Channel::pair();
    auto grandchild = will_fork ? Channel::pair() : Result<std::pair<Channel, Channel>>{};
    if (!data || !grandchild) {
        return data ? pass(grandchild) : pass(data);
    }
    auto started = start(child, data->second, will_fork ? &grandchild->first : nullptr);
    if (!started) {
        return started;
    }
    data->second.close();
    child.grandchild = std::move(grandchild->second);
    child.forked_ns = now_ns();
    return alive(snapshot).export_fork(data->first.fd(), answer_timeout_ms);
}

Result<void> VersoSide::fork_child(Member& parent, Member& child) {
    if (auto started = start(child, parent.grandchild, nullptr); !started) {
        return started;
    }
    parent.grandchild.close();
    auto forked = ask(parent, Verb::fork, child.figures.id);
    if (!forked) {
        return pass(forked);
    }
    child.forked_ns = forked->since_ns;
    return {};
}

Result<MemoryTotal> VersoSide::memory_total(const std::vector<Member>& children) {
    auto report = region_.memory();
    if (!report) {
        return pass(report);
    }
    MemoryTotal total{.source = report->live_bytes,
                      .snapshots = report->frozen_bytes,
                      .metadata = report->metadata_bytes};
    for (const Member& child : children) {
        total.children += child.figures.memory.private_own + child.figures.memory.frozen;
        total.metadata += child.figures.memory.metadata;
    }
    return total;
}

Result<void> VersoSide::rewind(Rewind& rewind) {
    auto report = region_.rewind(alive(0));
    if (!report) {
        return pass(report);
    }
    rewind.ns = report->ns;
    rewind.pages = report->pages_restored;
    return {};
}

}  // namespace verso::cli
