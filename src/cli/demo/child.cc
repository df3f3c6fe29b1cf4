// A child's work. See child.h.
#include "cli/demo/child.h"

#include <algorithm>
#include <cstdio>
#include <cstring>

#include <fmt/format.h>

#include "base/result.h"
#include "cli/demo/smaps.h"

namespace verso::cli {
namespace {

void say(Answer& answer, const std::string& text) {
    const std::size_t count = std::min(text.size(), sizeof(answer.failure) - 1);
    std::memcpy(answer.failure, text.data(), count);
}

Result<bool> sound(Connection& connection) {
    auto complaint = integrity(connection);
    if (!complaint) {
        return pass(complaint);
    }
    if (!complaint->empty()) {
        return fail(ErrorKind::damaged, 0, "integrity_check: {}", *complaint);
    }
    auto state = check_bank(connection);
    if (!state) {
        return pass(state);
    }
    if (!state->holds) {
        return fail(ErrorKind::damaged, 0, "{}", state->why);
    }
    return true;
}

}  // namespace

int Child::serve() {
    while (true) {
        auto question = control_.receive<Question>();
        if (!question) {
            return 1;  // who asks has gone
        }
        if (question->verb == Verb::leave) {
            return 0;
        }
        Answer reply;
        if (auto done = answer(*question, reply); done) {
            reply.done = true;
        } else {
            say(reply, done.error().message);
        }
        if (!control_.send(reply)) {
            return 1;
        }
    }
}

Result<void> Child::answer(const Question& question, Answer& answer) {
    switch (question.verb) {
        case Verb::scan:
            answer.since_ns = since_ns_;
            scan(answer.figures);
            return {};
        case Verb::check: return check(answer);
        case Verb::fork: return fork_in_transaction(question.id, answer);
        case Verb::audit: return audit(answer);
        case Verb::memory: {
            auto memory = means_.memory();
            if (!memory) {
                return pass(memory);
            }
            answer.figures.memory = *memory;
            return {};
        }
        case Verb::leave: return {};
    }
    return fail(ErrorKind::peer, 0, "an unknown question");
}

void Child::scan(ChildFigures& figures) const {
    const u64 start = now_ns();
    u64 sum = 0;
    for (u64 at = 0; at < span_.size(); at += page_size) {
        u64 word = 0;
        std::memcpy(&word, span_.data() + at, sizeof word);
        sum += word;
    }
    figures.sum = sum;  // reported, so that no compiler may skip the reads
    figures.scan_ns = now_ns() - start;
    figures.pages = to_pages(span_.size());
}

Result<void> Child::check(Answer& answer) {
    auto files = SpanFiles::open(span_);
    if (!files) {
        return pass(files);
    }
    ChildFigures& figures = answer.figures;
    figures.hot_journal = files->journal_is_hot();
    const RegionVfs vfs(*files);
    const u64 start = now_ns();
    auto connection = Connection::open(vfs);
    if (!connection) {
        return pass(connection);
    }
    auto sequence = connection->number("SELECT sequence FROM verso_meta");
    if (!sequence) {
        return pass(sequence);
    }
    const u64 opened = now_ns();
    figures.open_ns = opened - start;
    figures.sequence = static_cast<u64>(*sequence);
    figures.rolled_back = figures.hot_journal && !files->journal_is_hot();
    auto held = sound(*connection);
    if (!held) {
        return pass(held);
    }
    figures.integrity_ns = now_ns() - opened;
    answer.sound = *held;
    return commit_own_writes(*connection);
}

Result<void> Child::commit_own_writes(Connection& connection) const {
    const std::string sql = fmt::format(
        "BEGIN IMMEDIATE; INSERT INTO verso_children VALUES({0}, 'child {0} was here');"
        "UPDATE verso_accounts SET balance = balance - {0} WHERE id <= 50;"
        "UPDATE verso_accounts SET balance = balance + {0} WHERE id > 50 AND id <= 100; COMMIT",
        id_);
    return connection.run(sql.c_str());
}

Result<void> Child::fork_in_transaction(u32 id, Answer& answer) {
    auto files = SpanFiles::open(span_);
    if (!files) {
        return pass(files);
    }
    const RegionVfs vfs(*files);
    auto connection = Connection::open(vfs);
    if (!connection) {
        return pass(connection);
    }
    // A tiny cache makes SQLite write half-changed pages into the database long before the commit.
    const std::string half_done = fmt::format(
        "PRAGMA cache_size=10; BEGIN IMMEDIATE; INSERT INTO verso_children VALUES({}, 'never');"
        "UPDATE verso_accounts SET balance = balance + 7 WHERE id <= 2000",
        uncommitted_id);
    if (auto begun = connection->run(half_done.c_str()); !begun) {
        return begun;
    }
    auto forked = means_.fork(id);
    if (!forked) {
        return pass(forked);
    }
    answer.since_ns = *forked;
    return connection->run("ROLLBACK");
}

Result<void> Child::audit(Answer& answer) const {
    auto files = SpanFiles::open(span_);
    if (!files) {
        return pass(files);
    }
    const RegionVfs vfs(*files);
    auto connection = Connection::open(vfs);
    if (!connection) {
        return pass(connection);
    }
    auto ids = connection->number("SELECT coalesce(sum(1 << id), 0) FROM verso_children");
    if (!ids) {
        return pass(ids);
    }
    answer.ids_seen = static_cast<u64>(*ids);
    auto state = check_bank(*connection);
    if (!state) {
        return pass(state);
    }
    answer.sound = state->holds;
    return {};
}

namespace {

Result<MemoryFigures> imported_memory(const Region& region) {
    auto report = region.memory();
    if (!report) {
        return pass(report);
    }
    MemoryFigures figures = own_memory(region.bytes());
    // Frozen pages that only this child maps look private in smaps, but belong to a memfd, which is
    // counted once, at the source. What is its own is what is anonymous.
    figures.private_own = report->private_bytes;
    figures.shared = report->shared_bytes;
    figures.frozen = report->frozen_bytes;
    figures.metadata = report->metadata_bytes;
    return figures;
}

}  // namespace

int imported_child(u32 id, Channel control, Channel import, Channel exports) {
    die_with_parent();
    Answer hello;
    hello.done = true;
    hello.since_ns = now_ns();
    if (!control.send(hello)) {
        return 1;
    }
    auto region = Region::import(
        import.fd(), {.name = fmt::format("child {}", id), .timeout_ms = answer_timeout_ms});
    const u64 since = now_ns();
    if (!region) {
        fmt::print(stderr, "verso demo: child {}: {}\n", id, region.error().message);
        return 1;
    }
    const auto export_snapshot = [&](u32) -> Result<u64> {
        auto snapshot = region->snapshot();
        if (!snapshot) {
            return pass(snapshot);
        }
        const u64 forked = now_ns();
        // The snapshot goes when this returns; the grandchild keeps all it needs.
        if (auto sent = snapshot->export_fork(exports.fd(), answer_timeout_ms); !sent) {
            return pass(sent);
        }
        return forked;
    };
    Child child(control, region->bytes(), id, since,
                {.fork = export_snapshot, .memory = [&] { return imported_memory(*region); }});
    return child.serve();
}

}  // namespace verso::cli
