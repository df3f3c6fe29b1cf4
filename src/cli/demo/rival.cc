// A Side taken apart into packets and put together again. See rival.h.
#include "cli/demo/rival.h"

#include <algorithm>
#include <cstring>

#include "base/result.h"
#include "cli/demo/fork_side.h"

namespace verso::cli {
namespace {

constexpr std::size_t text_max = 480;

enum class Kind : u32 { progress, failure, snapshot, child, check, summary };

/// What remains of a Side when its vectors and texts are sent on their own.
struct Summary {
    u64 build_ns = 0;
    u64 span_bytes = 0;
    u64 database_bytes = 0;
    u32 alive_most = 0;
    std::array<PhaseFigures, phase_count> phases;
    MemoryTotal memory;
    Rewind rewind;
};

struct Packet {
    Kind kind{};
    bool held = false;
    char text[text_max] = {};
    char detail[text_max] = {};
    SnapshotFigures snapshot;
    ChildFigures child;
    Summary summary;
};

struct Request {
    char db[4096] = {};
    u64 size_mib = 0;
    u64 span_bytes = 0;
    u32 snapshots = 0;
    u32 interval_ms = 0;
    u32 children = 0;
};

void copy(std::span<char> out, const std::string& text) {
    const std::size_t count = std::min(text.size(), out.size() - 1);
    std::memcpy(out.data(), text.data(), count);
}

Packet with_text(Kind kind, const std::string& text) {
    Packet packet;
    packet.kind = kind;
    copy(packet.text, text);
    return packet;
}

void send_side(Channel& control, const Side& side) {
    // A demo that has gone needs no answers: failures to send end this process soon enough.
    Packet packet;
    packet.kind = Kind::snapshot;
    for (const SnapshotFigures& snapshot : side.snapshots) {
        packet.snapshot = snapshot;
        static_cast<void>(control.send(packet));
    }
    packet.kind = Kind::child;
    for (const ChildFigures& child : side.children) {
        packet.child = child;
        static_cast<void>(control.send(packet));
    }
    for (const Check& check : side.checks) {
        packet = with_text(Kind::check, check.what);
        packet.held = check.held;
        copy(packet.detail, check.detail);
        static_cast<void>(control.send(packet));
    }
    packet = with_text(Kind::summary, side.memory_kind);
    packet.summary = {.build_ns = side.build_ns,
                      .span_bytes = side.span_bytes,
                      .database_bytes = side.database_bytes,
                      .alive_most = side.alive_most,
                      .phases = side.phases,
                      .memory = side.memory,
                      .rewind = side.rewind};
    copy(packet.detail, side.name);
    static_cast<void>(control.send(packet));
}

/// true: that was the last packet.
bool receive_into(Side& side, const Packet& packet, const Progress& progress) {
    switch (packet.kind) {
        case Kind::progress: progress(packet.text); return false;
        case Kind::snapshot: side.snapshots.push_back(packet.snapshot); return false;
        case Kind::child: side.children.push_back(packet.child); return false;
        case Kind::check:
            side.checks.push_back({packet.text, packet.held, packet.detail});
            return false;
        case Kind::summary:
            side.memory_kind = packet.text;
            side.name = packet.detail;
            side.build_ns = packet.summary.build_ns;
            side.span_bytes = packet.summary.span_bytes;
            side.database_bytes = packet.summary.database_bytes;
            side.alive_most = packet.summary.alive_most;
            side.phases = packet.summary.phases;
            side.memory = packet.summary.memory;
            side.rewind = packet.summary.rewind;
            return true;
        case Kind::failure: return true;
    }
    return true;
}

}  // namespace

Result<Side> run_rival(const Work& work, u64 span_bytes, const Progress& progress) {
    auto control = Channel::pair();
    if (!control) {
        return pass(control);
    }
    auto process = Process::spawn({"rival"}, {control->second.fd()});
    if (!process) {
        return pass(process);
    }
    control->second.close();
    Request request{.size_mib = work.size_mib,
                    .span_bytes = span_bytes,
                    .snapshots = work.snapshots,
                    .interval_ms = work.interval_ms,
                    .children = work.children};
    copy(request.db, work.db);
    if (auto sent = control->first.send(request); !sent) {
        return pass(sent);
    }
    Side side;
    for (bool last = false; !last;) {
        auto packet = control->first.receive<Packet>();
        if (!packet) {
            return pass(packet, "the fork(2) side");
        }
        if (packet->kind == Kind::failure) {
            return fail(ErrorKind::system, 0, "the fork(2) side: {}", packet->text);
        }
        last = receive_into(side, *packet, progress);
    }
    const std::string end = process->wait();
    if (!end.empty()) {
        return fail(ErrorKind::peer, 0, "the fork(2) side {}", end);
    }
    return side;
}

int rival_process(Channel control) {
    die_with_parent();
    auto request = control.receive<Request>();
    if (!request) {
        return 1;
    }
    const Work work{.db = request->db,
                    .size_mib = request->size_mib,
                    .snapshots = request->snapshots,
                    .interval_ms = request->interval_ms,
                    .children = request->children};
    const Progress progress = [&control](const std::string& line) {
        static_cast<void>(control.send(with_text(Kind::progress, line)));
    };
    auto contender = ForkSide::create(request->span_bytes);
    if (!contender) {
        static_cast<void>(control.send(with_text(Kind::failure, contender.error().message)));
        return 1;
    }
    const auto prepared = prepare((*contender)->memory(), work);
    const auto side = prepared ? run_side(**contender, *prepared, work, progress)
                               : Result<Side>(tl::unexpected<Error>(prepared.error()));
    if (!side) {
        static_cast<void>(control.send(with_text(Kind::failure, side.error().message)));
        return 1;
    }
    send_side(control, *side);
    return 0;
}

}  // namespace verso::cli
