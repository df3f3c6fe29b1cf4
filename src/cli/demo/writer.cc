// Transactions and timed stores. See writer.h.
#include "cli/demo/writer.h"

#include <optional>
#include <vector>

#include <sys/prctl.h>

#include "base/result.h"
#include "cli/demo/random.h"

namespace verso::cli {
namespace {

constexpr u64 log_rows_max = 4096;
constexpr u64 blob_every = 32;
constexpr auto probe_pause = std::chrono::microseconds(50);

}  // namespace

struct Writer::Statements {
    Random random;
    std::vector<std::byte> blob = std::vector<std::byte>(small_blob_bytes);
    Statement begin, commit, balance, log_add, log_drop, count, blob_drop, blob_add, children;

    static Result<Statements> prepare(Connection& connection, u64 seed) {
        Statements all{.random = Random(seed),
                       .begin = {},
                       .commit = {},
                       .balance = {},
                       .log_add = {},
                       .log_drop = {},
                       .count = {},
                       .blob_drop = {},
                       .blob_add = {},
                       .children = {}};
        const std::pair<Statement*, const char*> texts[] = {
            {&all.begin, "BEGIN IMMEDIATE"},
            {&all.commit, "COMMIT"},
            {&all.balance, "UPDATE verso_accounts SET balance = balance + ?2 WHERE id = ?1"},
            {&all.log_add, "INSERT INTO verso_log VALUES(?1, ?2, ?3, ?4)"},
            {&all.log_drop, "DELETE FROM verso_log WHERE id = ?1"},
            {&all.count, "UPDATE verso_meta SET sequence = ?1, log_rows = ?2"},
            {&all.blob_drop, "DELETE FROM verso_blobs WHERE id = ?1"},
            {&all.blob_add, "INSERT INTO verso_blobs VALUES(?1, ?2)"},
            {&all.children, "SELECT count(*) FROM verso_children"},
        };
        for (const auto& [statement, text] : texts) {
            auto prepared = connection.prepare(text);
            if (!prepared) {
                return pass(prepared);
            }
            *statement = std::move(*prepared);
        }
        return all;
    }
};

Writer::Writer(SpanFiles files, const Phases& phases) : files_(files), phases_(phases) {}

Writer::~Writer() { static_cast<void>(stop()); }

Result<void> Writer::start() {
    const RegionVfs vfs(files_);
    auto connection = Connection::open(vfs);
    if (!connection) {
        return pass(connection);
    }
    auto state = check_bank(*connection);
    if (!state) {
        return pass(state);
    }
    auto accounts = connection->number("SELECT accounts FROM verso_meta");
    auto oldest = connection->number("SELECT coalesce(min(id), 1) FROM verso_log");
    if (!accounts || !oldest) {
        return accounts ? pass(oldest) : pass(accounts);
    }
    accounts_ = static_cast<u64>(*accounts);
    log_first_ = static_cast<u64>(*oldest);
    committed_.store(state->sequence, std::memory_order_release);
    failure_.clear();
    running_.store(true, std::memory_order_release);
    thread_ = std::jthread([this](const std::stop_token& stop) { work(stop); });
    return {};
}

Result<void> Writer::stop() {
    thread_ = {};
    if (!failure_.empty()) {
        return fail(ErrorKind::system, 0, "the writer stopped: {}", std::exchange(failure_, {}));
    }
    return {};
}

i64 Writer::rows_of_children() {
    asked_.store(true, std::memory_order_release);
    while (running_.load(std::memory_order_acquire) && asked_.load(std::memory_order_acquire)) {
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    return running_.load(std::memory_order_acquire) ? answer_.load(std::memory_order_acquire) : -1;
}

void Writer::work(const std::stop_token& stop) {
    if (auto ended = loop(stop); !ended) {
        failure_ = ended.error().message;
    }
    running_.store(false, std::memory_order_release);
}

Result<void> Writer::loop(const std::stop_token& stop) {
    const RegionVfs vfs(files_);
    auto connection = Connection::open(vfs);
    if (!connection) {
        return pass(connection);
    }
    auto statements = Statements::prepare(*connection, seed_.fetch_add(1));
    if (!statements) {
        return pass(statements);
    }
    while (!stop.stop_requested()) {
        const u64 start = now_ns();
        if (auto done = transaction(*statements); !done) {
            return done;
        }
        const u64 end = now_ns();
        latency_[static_cast<unsigned>(phases_.of(start, end))].add(end - start);
        if (asked_.load(std::memory_order_acquire)) {
            auto rows = statements->children.number();
            answer_.store(rows ? *rows : -1, std::memory_order_release);
            asked_.store(false, std::memory_order_release);
        }
    }
    return {};
}

Result<void> Writer::transaction(Statements& statements) {
    if (auto begun = statements.begin.run(); !begun) {
        return begun;
    }
    if (auto moved = move_money(statements); !moved) {
        return moved;
    }
    if (committed() % blob_every == 0) {
        if (auto replaced = replace_blob(statements); !replaced) {
            return replaced;
        }
    }
    if (auto ended = statements.commit.run(); !ended) {
        return ended;
    }
    committed_.fetch_add(1, std::memory_order_acq_rel);
    return {};
}

Result<void> Writer::move_money(Statements& s) {
    const i64 source = static_cast<i64>(s.random.below(accounts_) + 1);
    const i64 target = static_cast<i64>(s.random.below(accounts_) + 1);
    const i64 amount = static_cast<i64>(s.random.below(100));
    const u64 sequence = committed() + 1;
    if (auto taken = s.balance.bind(1, source).bind(2, -amount).run(); !taken) {
        return taken;
    }
    if (auto given = s.balance.bind(1, target).bind(2, amount).run(); !given) {
        return given;
    }
    s.log_add.bind(1, static_cast<i64>(sequence)).bind(2, source).bind(3, target).bind(4, amount);
    if (auto added = s.log_add.run(); !added) {
        return added;
    }
    if (sequence - log_first_ >= log_rows_max) {
        if (auto gone = s.log_drop.bind(1, static_cast<i64>(log_first_)).run(); !gone) {
            return gone;
        }
        ++log_first_;
    }
    return s.count.bind(1, static_cast<i64>(sequence))
        .bind(2, static_cast<i64>(sequence + 1 - log_first_))
        .run();
}

Result<void> Writer::replace_blob(Statements& s) {
    const i64 id = static_cast<i64>(s.random.below(small_blobs) + 1);
    if (auto gone = s.blob_drop.bind(1, id).run(); !gone) {
        return gone;
    }
    s.random.fill(s.blob);
    return s.blob_add.bind(1, id).bind_blob(2, s.blob).run();
}

void StallProbe::start() {
    thread_ = std::jthread([this](const std::stop_token& stop) { work(stop); });
}

void StallProbe::work(const std::stop_token& stop) {
    // Why safe: changes only how late this thread's own sleeps may end (50 µs by default).
    ::prctl(PR_SET_TIMERSLACK, 1000UL, 0UL, 0UL, 0UL);
    const auto area = files_.probe_area();
    const u64 pages = to_pages(area.size());
    for (u64 round = 1; !stop.stop_requested(); ++round) {
        const std::atomic_ref<u64> word(
            *reinterpret_cast<u64*>(area.data() + to_bytes(round % pages)));
        const u64 start = now_ns();
        word.store(round, std::memory_order_seq_cst);
        const u64 end = now_ns();
        latency_[static_cast<unsigned>(phases_.of(start, end))].add(end - start);
        std::this_thread::sleep_for(probe_pause);
    }
}

}  // namespace verso::cli
