// verso torture: asking for a run, and printing its report.
#include "cli/torture.h"

#include <atomic>
#include <charconv>
#include <csignal>
#include <cstdio>
#include <fstream>
#include <random>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "check/torture/torture.h"
#include "cli/commit.h"

namespace verso::cli {
namespace {

namespace run = check::torture;
using Json = nlohmann::ordered_json;
using run::Count;

int refuse(const std::string& message) {
    fmt::print(stderr, "verso: {}\n", message);
    return 2;
}

// ── the request ──────────────────────────────────────────────────────────────────────────────────

/// "256M", "1G"; 0 if it is neither.
u64 bytes_of(std::string_view text) {
    u64 count = 0;
    const char* const end = text.data() + text.size();
    const auto [at, error] = std::from_chars(text.data(), end, count);
    const std::string_view unit(at, static_cast<std::size_t>(end - at));
    const unsigned shift = unit == "G" ? 30 : unit == "M" ? 20 : 0;
    return error != std::errc{} || shift == 0 || count > 1U << 20 ? 0 : count << shift;
}

/// Short enough to be typed.
u64 fresh_seed() {
    std::random_device device;
    return device() % 1'000'000'000 + 1;
}

std::atomic<int> signal_seen{0};
static_assert(std::atomic<int>::is_always_lock_free);

/// Until it goes, the signals that ask a program to end are only noted.
class Notice {
public:
    Notice() {
        for (std::size_t i = 0; i < asks.size(); ++i) {
            struct sigaction action {};
            action.sa_handler = [](int signal) { signal_seen.store(signal); };
            // Why safe: the handler stores into a lock-free atomic; put back by the destructor.
            ::sigaction(asks[i], &action, &before_[i]);
        }
    }
    ~Notice() {
        for (std::size_t i = 0; i < asks.size(); ++i) {
            // Why safe: what was there before.
            ::sigaction(asks[i], &before_[i], nullptr);
        }
    }
    Notice(const Notice&) = delete;
    Notice& operator=(const Notice&) = delete;

private:
    static constexpr std::array asks = {SIGINT, SIGTERM, SIGHUP};
    std::array<struct sigaction, asks.size()> before_{};
};

std::string again(const TortureOptions& options, u64 seed) {
    return fmt::format("verso torture --instances {} --size {} --minutes {} --seed {}",
                       options.instances, options.size, options.minutes, seed);
}

// ── the report ───────────────────────────────────────────────────────────────────────────────────

std::string time_text(u64 ns) {
    return ns < 10'000       ? fmt::format("{} ns", ns)
           : ns < 10'000'000 ? fmt::format("{} us", ns / 1000)
                             : fmt::format("{} ms", ns / 1'000'000);
}

void print(const char* name, const Latency& stores) {
    fmt::print("  {:<22} {:>8} {:>8} {:>8} {:>8}   of {} stores\n", name, time_text(stores.p50_ns),
               time_text(stores.p99_ns), time_text(stores.p999_ns), time_text(stores.max_ns),
               stores.count);
}

void print(const run::Acted& acted) {
    fmt::print("  {:<16} {:<9} {}\n", acted.name, acted.acted ? "acted" : "DID NOT",
               acted.acted ? acted.how : acted.why_not);
    std::string counters;
    for (const run::Acted::Counter& counter : acted.counters) {
        counters +=
            fmt::format("{}{} {}", counters.empty() ? "" : ", ", counter.name, counter.value);
    }
    if (!counters.empty()) {
        fmt::print("  {:<16} {:<9} {}\n", "", "", counters);
    }
}

void print(const run::Report& report, const TortureOptions& options) {
    const u64 shots = std::max<u64>(report[Count::snapshots], 1);
    fmt::print("\n{} instances of {} for {} s{}\n\nchildren and snapshots\n", options.instances,
               options.size, report.ran_ms / 1000, report.interrupted ? ", interrupted" : "");
    fmt::print("  {} verified byte by byte, {} pages wrong, {} pages lost\n",
               run::as_text(report[Count::bytes_verified]), report[Count::pages_wrong],
               report[Count::pages_lost]);
    fmt::print(
        "  {} snapshots; for want of memory {} were refused, and {} old pages; arming took {} on "
        "average, its cut {}\n",
        report[Count::snapshots], report[Count::refused], report[Count::pages_given_up],
        time_text(report[Count::arm_ns] / shots), time_text(report[Count::cut_ns] / shots));
    fmt::print(
        "  {} children in other processes, {} in the same, {} children of children, "
        "{} snapshots read through, {} rewinds\n",
        report[Count::children_elsewhere], report[Count::children_here],
        report[Count::grandchildren], report[Count::views], report[Count::rewinds]);
    fmt::print(
        "\nfaults served\n  {} of writers, {} of children; {} old pages stored, {} mapped "
        "into children, {} copied, {} taken back\n",
        report[Count::write_faults], report[Count::fill_faults], report[Count::pages_captured],
        report[Count::pages_mapped], report[Count::pages_copied], report[Count::pages_revoked]);
    fmt::print(
        "\nsingle stores of the writers ({} pages written)\n  {:<22} {:>8} {:>8} {:>8} "
        "{:>8}\n",
        report[Count::steps], "", "p50", "p99", "p99.9", "longest");
    print("during snapshots", report.stores_during);
    print("first of each page", report.stores_between);
    fmt::print(
        "\nwhat the kernel was made to do ({} spells; counted by the kernel, for the whole "
        "machine)\n",
        report.spells);
    for (const run::Acted& acted : report.acted) {
        print(acted);
    }
    fmt::print(
        "\nmemory: {} at most in the instances' group, {} in swap, braked for {} ms, {} "
        "processes killed for memory\n",
        run::as_text(report.used_most_bytes), run::as_text(report.swapped_most_bytes),
        report.braked_ms, report.killed_for_memory);
}

Json to_json(const Latency& stores) {
    return {{"count", stores.count},       {"p50_ns", stores.p50_ns},
            {"p99_ns", stores.p99_ns},     {"p999_ns", stores.p999_ns},
            {"longest_ns", stores.max_ns}, {"total_ns", stores.total_ns}};
}

Json to_json(const run::Acted& acted) {
    Json counters = Json::object();
    for (const run::Acted::Counter& counter : acted.counters) {
        counters[counter.name] = counter.value;
    }
    return {{"name", acted.name},
            {"how", acted.how},
            {"acted", acted.acted},
            {"why_not", acted.why_not},
            {"counters", counters}};
}

Json to_json(const run::Report& report, const TortureOptions& options, u64 seed) {
    static constexpr std::array names = {
        "bytes_verified", "pages_wrong",  "pages_lost",   "pages_given_up", "failures",
        "pages_written",  "snapshots",    "views",        "children_here",  "children_elsewhere",
        "grandchildren",  "rewinds",      "write_faults", "fill_faults",    "pages_captured",
        "pages_revoked",  "pages_mapped", "pages_copied", "moves",          "page_outs",
        "collapses",      "merges",       "refused",      "arm_ns",         "cut_ns"};
    static_assert(names.size() == run::count_number);
    Json json = {{"commit", commit()},
                 {"command", again(options, seed)},
                 {"seed", seed},
                 {"instances", options.instances},
                 {"size", options.size},
                 {"ran_ms", report.ran_ms},
                 {"interrupted", report.interrupted},
                 {"mismatches", report.mismatches()}};
    for (u32 count = 0; count < run::count_number; ++count) {
        json[names[count]] = report.counts[count];
    }
    json["stores_during_snapshots"] = to_json(report.stores_during);
    json["first_stores_of_pages"] = to_json(report.stores_between);
    json["triggers"] = Json::array();
    for (const run::Acted& acted : report.acted) {
        json["triggers"].push_back(to_json(acted));
    }
    json["memory"] = {{"need_bytes", report.plan.need_bytes},
                      {"allowed_bytes", report.plan.memory_bytes},
                      {"scarce_bytes", report.plan.scarce_bytes},
                      {"swap_bytes", report.plan.swap_bytes},
                      {"used_most_bytes", report.used_most_bytes},
                      {"swapped_most_bytes", report.swapped_most_bytes},
                      {"braked_ms", report.braked_ms},
                      {"killed_for_memory", report.killed_for_memory}};
    json["first_failures"] = report.failures;
    return json;
}

int conclude(const run::Report& report, const TortureOptions& options, u64 seed) {
    print(report, options);
    if (!options.json.empty()) {
        std::ofstream file(options.json);
        file << to_json(report, options, seed).dump(2) << "\n";
        if (!file.flush()) {
            fmt::print(stderr, "verso: {} could not be written\n", options.json);
            return 1;
        }
    }
    for (const std::string& failure : report.failures) {
        fmt::print("\nWRONG: {}\n", failure);
    }
    if (!report.held()) {
        fmt::print("\n{} failures, seed {}; the same again, as far as threads allow:\n  {}\n",
                   report[Count::failures], seed, again(options, seed));
        return 1;
    }
    fmt::print("\n{}: {} bytes verified, 0 mismatches\n",
               report.interrupted ? "interrupted, nothing wrong so far" : "held",
               report[Count::bytes_verified]);
    return report.interrupted ? 1 : 0;
}
}  // namespace

int torture(const TortureOptions& options) {
    run::Options request;
    request.instances = options.instances;
    request.bytes = bytes_of(options.size);
    request.ms = static_cast<u64>(options.minutes * 60'000);
    request.seed = options.seed == 0 ? fresh_seed() : options.seed;
    if (request.bytes < run::bytes_min || request.bytes > run::bytes_max) {
        return refuse(fmt::format(
            "'{}' is no size of an instance; write 1M to 4G, for example 256M", options.size));
    }
    request.say = [](const std::string& line) {
        fmt::print("{}\n", line);
        static_cast<void>(std::fflush(stdout));
    };
    request.interrupted = [] { return signal_seen.load() != 0; };
    const Notice notice;
    Result<run::Report> report = run::torture(request);
    if (!report) {
        return refuse(report.error().message);
    }
    return conclude(*report, options, request.seed);
}

}  // namespace verso::cli
