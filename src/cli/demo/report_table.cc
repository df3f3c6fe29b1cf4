// The person's half of the report.
#include <algorithm>

#include <fmt/format.h>

#include "cli/demo/report.h"

namespace verso::cli {
namespace {

std::string time_text(double ns) {
    if (ns < 1e3) {
        return fmt::format("{:.0f} ns", ns);
    }
    if (ns < 1e6) {
        return fmt::format("{:.1f} µs", ns / 1e3);
    }
    return ns < 1e9 ? fmt::format("{:.2f} ms", ns / 1e6) : fmt::format("{:.2f} s", ns / 1e9);
}

std::string mib_text(double bytes) { return fmt::format("{:.1f} MiB", bytes / (1 << 20)); }
std::string count_text(double count) { return fmt::format("{:.0f}", count); }
std::string rate_text(double per_second) { return fmt::format("{:.0f}/s", per_second); }

/// Pads by what a terminal shows: µ and … are one column but several bytes.
std::string left(const std::string& text, std::size_t width) {
    const auto columns =
        static_cast<std::size_t>(std::count_if(text.begin(), text.end(), [](char c) {
            return (static_cast<unsigned char>(c) & 0xc0) != 0x80;
        }));
    return text + std::string(width > columns ? width - columns : 0, ' ');
}
std::string right(const std::string& text, std::size_t width) {
    return left("", left(text, width).size() - text.size()) + text;
}

std::string row(const std::string& what, double verso, double rival, std::string (*text)(double)) {
    const std::string ratio = rival > 0 && verso >= 0 ? fmt::format("{:.3g}", verso / rival) : "–";
    return fmt::format("  {}{}{}{}\n", left(what, 46), right(verso < 0 ? "–" : text(verso), 13),
                       right(rival < 0 ? "–" : text(rival), 13), right(ratio, 10));
}

template <class Items, class Get>
double median(const Items& items, Get get) {
    std::vector<double> values;
    values.reserve(items.size());
    for (const auto& item : items) {
        values.push_back(static_cast<double>(get(item)));
    }
    if (values.empty()) {
        return -1;
    }
    std::sort(values.begin(), values.end());
    return values[values.size() / 2];
}

template <class Items, class Get>
double most(const Items& items, Get get) {
    double value = -1;
    for (const auto& item : items) {
        value = std::max(value, static_cast<double>(get(item)));
    }
    return value;
}

double per_second(const Latency& latency) {
    return latency.total_ns == 0
               ? -1
               : static_cast<double>(latency.count) * 1e9 / static_cast<double>(latency.total_ns);
}

/// −1 if nothing was measured, so that the table shows a dash and not a zero.
double or_dash(const Latency& latency, u64 ns) {
    return latency.count == 0 ? -1 : static_cast<double>(ns);
}

std::string stall_rows(const Side& verso, const Side& rival) {
    static constexpr const char* titles[phase_count] = {"outside snapshots", "during snapshots",
                                                        "while children work"};
    std::string out = "the writer's stall: one store to the next page, every 50 µs\n";
    for (const unsigned at : {1U, 0U, 2U}) {
        const Latency& a = verso.phases[at].store;
        const Latency& b = rival.phases[at].store;
        const std::string title = titles[at];
        out += row(title + ", p50", or_dash(a, a.p50_ns), or_dash(b, b.p50_ns), time_text);
        out += row(title + ", p99", or_dash(a, a.p99_ns), or_dash(b, b.p99_ns), time_text);
        out += row(title + ", longest", or_dash(a, a.max_ns), or_dash(b, b.max_ns), time_text);
    }
    out += "the writer's transactions\n";
    for (const unsigned at : {1U, 0U, 2U}) {
        const Latency& a = verso.phases[at].transaction;
        const Latency& b = rival.phases[at].transaction;
        const std::string title = titles[at];
        out += row(title + ", per second", per_second(a), per_second(b), rate_text);
        out += row(title + ", p99", or_dash(a, a.p99_ns), or_dash(b, b.p99_ns), time_text);
        out += row(title + ", longest", or_dash(a, a.max_ns), or_dash(b, b.max_ns), time_text);
    }
    return out;
}

std::string snapshot_rows(const Side& verso, const Side& rival) {
    const auto arm = [](const SnapshotFigures& s) { return s.arm_ns; };
    const auto cut = [](const SnapshotFigures& s) { return s.cut_ns; };
    std::string out = "a snapshot (fork(2): the call itself)\n";
    if (!verso.snapshots.empty() && !rival.snapshots.empty()) {
        out +=
            row("first, which protects everything", static_cast<double>(verso.snapshots[0].arm_ns),
                static_cast<double>(rival.snapshots[0].arm_ns), time_text);
    }
    out += row("median", median(verso.snapshots, arm), median(rival.snapshots, arm), time_text);
    out += row("longest", most(verso.snapshots, arm), most(rival.snapshots, arm), time_text);
    out += row("no write goes on for, median", median(verso.snapshots, cut), -1, time_text);
    return out;
}

std::string child_rows(const Side& verso, const Side& rival) {
    const auto run = [](const ChildFigures& c) { return c.run_ns; };
    const auto with_process = [](const ChildFigures& c) { return c.run_ns + c.process_ns; };
    const auto scan = [](const ChildFigures& c) { return c.scan_ns; };
    const auto pss = [](const ChildFigures& c) { return c.memory.pss; };
    const auto own = [](const ChildFigures& c) { return c.memory.private_own; };
    const auto shared = [](const ChildFigures& c) { return c.memory.shared; };
    const auto& a = verso.children;
    const auto& b = rival.children;
    std::string out = "a child process\n";
    out += row("can run after, median", median(a, run), median(b, run), time_text);
    out += row("… counting the start of a new program", median(a, with_process),
               median(b, with_process), time_text);
    out += row("first read of every page, median", median(a, scan), median(b, scan), time_text);
    out += row("its memory: proportional share (Pss)", median(a, pss), median(b, pss), mib_text);
    out += row("its memory: private", median(a, own), median(b, own), mib_text);
    out += row("its memory: shared", median(a, shared), median(b, shared), mib_text);
    return out;
}

std::string memory_rows(const Side& verso, const Side& rival) {
    const auto value = [](u64 bytes) { return static_cast<double>(bytes); };
    std::string out = "memory with everything alive\n";
    out += row("the live database (fork(2): its share)", value(verso.memory.source),
               value(rival.memory.source), mib_text);
    out += row("snapshots: old versions (fork(2): their share)", value(verso.memory.snapshots),
               value(rival.memory.snapshots), mib_text);
    out += row("children", value(verso.memory.children), value(rival.memory.children), mib_text);
    out += row("tables and bitmaps", value(verso.memory.metadata), -1, mib_text);
    out += row("together", value(verso.memory.total()), value(rival.memory.total()), mib_text);
    out += row("besides, only for the rewind", value(verso.memory.rewind_copy),
               value(rival.memory.rewind_copy), mib_text);
    out += "rewind to the first snapshot (fork(2) has none: all bytes are copied back)\n";
    out += row("time", value(verso.rewind.ns), value(rival.rewind.ns), time_text);
    out += row("pages", value(verso.rewind.pages), value(rival.rewind.pages), count_text);
    return out;
}

std::string snapshot_list(const Side& side) {
    std::string out =
        "verso's snapshots\n   #      call    no writes  protected   captured  released after\n";
    for (std::size_t at = 0; at < side.snapshots.size(); ++at) {
        const SnapshotFigures& s = side.snapshots[at];
        out += fmt::format(
            "  {:>2}{}{}{:>11}{:>11}  {}\n", at + 1,
            right(time_text(static_cast<double>(s.arm_ns)), 11),
            right(time_text(static_cast<double>(s.cut_ns)), 12), s.pages_protected,
            s.pages_captured,
            s.released_after == 0 ? "the end" : fmt::format("snapshot {}", s.released_after));
    }
    return out;
}

std::string child_list(const Side& side) {
    std::string out = fmt::format(
        "{}'s children\n   #  of            can run  first read   rolled back   private       "
        "Pss\n",
        side.name);
    for (const ChildFigures& c : side.children) {
        const std::string of = c.parent != 0     ? fmt::format("child {}", c.parent)
                               : c.snapshot != 0 ? fmt::format("snapshot {}", c.snapshot)
                                                 : std::string("the source");
        out += fmt::format("  {:>2}  {}{}{}{:>14}{}{}\n", c.id, left(of, 12),
                           right(time_text(static_cast<double>(c.run_ns)), 9),
                           right(time_text(static_cast<double>(c.scan_ns)), 12),
                           c.rolled_back ? "yes" : "none needed",
                           right(mib_text(static_cast<double>(c.memory.private_own)), 10),
                           right(mib_text(static_cast<double>(c.memory.pss)), 10));
    }
    return out;
}

std::string check_list(const Side& side) {
    std::string out = fmt::format("checks: {}\n", side.name);
    for (const Check& check : side.checks) {
        out += fmt::format("  {}  {}{}\n", check.held ? "ok    " : "FAILED", check.what,
                           check.detail.empty() ? "" : fmt::format(" ({})", check.detail));
    }
    return out;
}

}  // namespace

std::string table_of(const Side& verso, const Side& rival) {
    std::string out = fmt::format(
        "\n{} MiB database in a region of {} MiB\n  verso:   {}\n  fork(2): {}\n\n",
        verso.database_bytes >> 20, verso.span_bytes >> 20, verso.memory_kind, rival.memory_kind);
    out += fmt::format("  {}{}{}{}\n", left("", 46), right(verso.name, 13), right(rival.name, 13),
                       right("ratio", 10));
    out += snapshot_rows(verso, rival) + stall_rows(verso, rival) + child_rows(verso, rival) +
           memory_rows(verso, rival);
    out += "\n" + snapshot_list(verso) + "\n" + child_list(verso) + "\n" + child_list(rival);
    out += "\n" + check_list(verso) + "\n" + check_list(rival);
    return out;
}

}  // namespace verso::cli
