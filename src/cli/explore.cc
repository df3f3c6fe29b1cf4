// verso explore: see the header.
#include "cli/explore.h"

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cstdio>
#include <mutex>
#include <thread>

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>
#include <unistd.h>

#include "check/conform/promise.h"
#include "check/explore/explore.h"
#include "check/explore/token.h"
#include "check/litmus/claim.h"
#include "check/program/where.h"

namespace verso::cli {
namespace {

namespace search = check::explore;
using search::Counterexample;
using search::Ending;
using search::Report;

/// Nothing was found, but not because everything was searched.
constexpr int out_of_memory = 3;

int refuse(const std::string& message) {
    fmt::print(stderr, "verso: {}\n", message);
    return 2;
}

/// "512M", "4G".
Result<u64> bytes_of(std::string_view text) {
    u64 count = 0;
    const char* const end = text.data() + text.size();
    const auto [at, error] = std::from_chars(text.data(), end, count);
    const std::string_view unit(at, static_cast<std::size_t>(end - at));
    const unsigned shift = unit == "G" ? 30 : unit == "M" ? 20 : 0;
    if (error != std::errc{} || shift == 0 || count == 0 || count > 1U << 20) {
        return fail(ErrorKind::invalid_argument, 0,
                    "'{}' is no amount of memory; write for example 512M or 4G", text);
    }
    const u64 bytes = count << shift;
    if (bytes < u64{64} << 20) {
        return fail(ErrorKind::invalid_argument, 0, "a search needs 64M at least, not {}", text);
    }
    return bytes;
}

/// On a terminal one line that changes, twice a second; else a line every ten seconds.
class ProgressLine {
public:
    void show(const search::Progress& progress) {
        const std::lock_guard lock(mutex_);
        const auto now = std::chrono::steady_clock::now();
        if (now - last_ < (terminal_ ? std::chrono::milliseconds(500) : std::chrono::seconds(10))) {
            return;
        }
        last_ = now;
        const std::string of =
            progress.expected > 0 ? fmt::format(" of about {:.1e}", progress.expected) : "";
        fmt::print(stderr, "{}step {}: {:L}{} states, {:.2f} M/s, {:.0f} s{}",
                   terminal_ ? "\r" : "", progress.depth, progress.states, of,
                   static_cast<double>(progress.states) / progress.seconds / 1e6, progress.seconds,
                   terminal_ ? "\033[K" : "\n");
        std::fflush(stderr);
        shown_ = true;
    }
    void clear() {
        const std::lock_guard lock(mutex_);
        if (terminal_ && shown_) {
            fmt::print(stderr, "\r\033[K");
        }
    }

private:
    std::mutex mutex_;
    // Why safe: asks what stderr is.
    bool terminal_ = ::isatty(STDERR_FILENO) == 1;
    bool shown_ = false;
    std::chrono::steady_clock::time_point last_ = std::chrono::steady_clock::now();
};

std::string size_text(double bytes) {
    return bytes >= 1e9 ? fmt::format("{:.1f} GB", bytes / 1e9)
                        : fmt::format("{:.0f} MB", bytes / 1e6);
}

std::string ending_text(const Report& report, const ExploreOptions& options) {
    switch (report.ending) {
        case Ending::complete:
            return fmt::format(
                "complete: no program of any length goes further (the last new "
                "state is {} steps away)",
                report.depth == 0 ? 0 : report.depth - 1);
        case Ending::steps: return fmt::format("all programs of {} steps", report.depth);
        case Ending::found:
            return fmt::format("stopped at the first; all programs of {} steps had none",
                               report.depth);
        case Ending::memory:
            return fmt::format(
                "stopped: the {} of --memory are used; all programs of {} steps "
                "were searched, those of {} in part",
                options.memory, report.depth, report.depth + 1);
        case Ending::estimated: return "estimated only";
    }
    return {};
}

/// The runs of the model are tried for one that breaks a promise, because the search knows which
/// answers of the kernel lead there and the notation has no word for them.
check::Litmus claim_of(const check::Program& program, const mm::Rules& rules,
                       const std::string& sentence) {
    constexpr unsigned runs_max = 200;
    Enumerator every;
    check::Trace first;
    for (unsigned run = 0; run < runs_max; ++run) {
        check::Trace trace = check::run_on_model(rules, program, every);
        if (const auto broken = check::broken_promise(program, trace)) {
            return check::claim_against(program, trace, broken->step, sentence);
        }
        first = run == 0 ? std::move(trace) : std::move(first);
        if (!every.next()) {
            break;
        }
    }
    const std::size_t last = program.steps.empty() ? 0 : program.steps.size() - 1;
    return check::claim_against(program, first, last, sentence);
}

/// `rules`: "A", or "A:B" of a comparison.
void write_down(const std::string& text, const std::string& sentence, const std::string& rules,
                const std::string& folder, const std::string& name) {
    if (folder.empty()) {
        return;
    }
    const Result<check::Program> program = check::parse(text);
    const Result<mm::Rules> parsed = search::parse_rules(rules.substr(0, rules.find(':')));
    if (text.empty() || !program || !parsed) {
        fmt::print(stderr, "{}: not written: the notation has no word for one of its steps\n",
                   name);
        return;
    }
    const Result<std::string> written =
        check::write_claim(folder, name, claim_of(*program, *parsed, sentence));
    fmt::print(stderr, "{}\n",
               written ? "written: " + *written : "not written: " + written.error().message);
}

void print_one(const Counterexample& one) {
    fmt::print("{}{}\n", one.exception ? "known exception " : "", one.sentence);
    fmt::print("  begins   {}\n  program  {}\n", one.beginning, fmt::join(one.acts, "; "));
    if (one.litmus.empty()) {
        fmt::print("  litmus   none: the notation has no word for one of its steps\n");
    } else {
        fmt::print("  litmus   {}\n", one.litmus);
    }
    fmt::print("  token    {}\n", one.token);
    fmt::print("  replay   verso explore --replay '{}'\n", one.token);
    fmt::print("  in C     the same with --write DIR\n");
}

/// Everything that was found, each program once, with all beginnings that it works from.
void print_all(const std::vector<Counterexample>& found) {
    for (std::size_t i = 0; i < found.size(); ++i) {
        const auto same = [&](const Counterexample& other) {
            return other.acts == found[i].acts && other.exception == found[i].exception &&
                   other.sentence == found[i].sentence;
        };
        const auto first = std::ranges::find_if(found, same);
        if (first != found.begin() + static_cast<std::ptrdiff_t>(i)) {
            continue;
        }
        std::vector<std::string> beginnings;
        for (const Counterexample& other : found) {
            if (same(other)) {
                beginnings.push_back(other.beginning);
            }
        }
        print_one(found[i]);
        if (beginnings.size() > 1) {
            fmt::print("  likewise {}\n",
                       fmt::join(beginnings.begin() + 1, beginnings.end(), "; "));
        }
    }
}

void print_coverage(const Report& report) {
    const auto switches = mm::switches();
    fmt::print(
        "\nrules: how many of {:L} sampled steps would have gone otherwise with the switch "
        "the other way round\n",
        report.mattered.asked);
    for (std::size_t i = 0; i < switches.size(); ++i) {
        if (report.mattered.times[i] != 0) {
            fmt::print("  {:<34} {:>10L}   first at step {}\n", switches[i].name,
                       report.mattered.times[i], report.mattered.first_depth[i]);
        }
    }
    std::vector<std::string_view> never;
    for (std::size_t i = 0; i < switches.size(); ++i) {
        if (report.mattered.times[i] == 0) {
            never.push_back(switches[i].name);
        }
    }
    fmt::print("  never: {}\n", never.empty() ? "none" : fmt::format("{}", fmt::join(never, " ")));
}

void print_text(const Report& report, const ExploreOptions& options) {
    print_all(report.found);
    if (report.found.empty()) {
        fmt::print("nothing found\n");
    }
    fmt::print("{}\n", ending_text(report, options));
    for (const std::string& one : report.skipped) {
        fmt::print("left out, for these rules do not have it: {}\n", one);
    }
    const double rate = static_cast<double>(report.states) / report.seconds;
    fmt::print(
        "{:L} states, {:L} steps of the model ({:L} tried), {} acts, {:.3f} s, "
        "{:.2f} M states/s, {}\n",
        report.states, report.edges, report.tried, report.acts, report.seconds, rate / 1e6,
        size_text(static_cast<double>(report.bytes)));
    if (report.resumed_depth != 0) {
        fmt::print("went on from a checkpoint of {} steps, whose figures are in these\n",
                   report.resumed_depth);
    }
    fmt::print("states are told apart by 128 bits: odds that two were taken for one {:.0e}\n",
               search::collision_odds(report.states));
    if (report.outside != 0) {
        fmt::print(
            "{:L} steps led out of the scope's room (more than 3 mappings, 1 message in a "
            "queue, 3 threads) and were not followed\n",
            report.outside);
    }
    if (options.coverage) {
        print_coverage(report);
    }
}

void print_json(const Report& report, const ExploreOptions& options) {
    nlohmann::ordered_json json;
    json["rules"] = options.rules;
    json["scope"] = options.scope;
    json["ending"] = ending_text(report, options);
    json["depth"] = report.depth;
    json["states"] = report.states;
    json["states_of_step"] = report.level_states;
    json["steps"] = report.edges;
    json["tried"] = report.tried;
    json["outside"] = report.outside;
    json["resumed_depth"] = report.resumed_depth;
    json["seconds"] = report.seconds;
    json["states_per_second"] = static_cast<double>(report.states) / report.seconds;
    json["bytes"] = report.bytes;
    json["collision_odds"] = search::collision_odds(report.states);
    json["found"] = nlohmann::ordered_json::array();
    for (const Counterexample& one : report.found) {
        json["found"].push_back({{"sentence", one.sentence},
                                 {"exception", one.exception},
                                 {"beginning", one.beginning},
                                 {"acts", one.acts},
                                 {"litmus", one.litmus},
                                 {"token", one.token}});
    }
    json["skipped"] = report.skipped;
    for (std::size_t i = 0; options.coverage && i < mm::switches().size(); ++i) {
        json["mattered"][std::string(mm::switches()[i].name)] = report.mattered.times[i];
    }
    fmt::print("{}\n", json.dump(2));
}

int replay(const std::string& token, const std::string& folder) {
    const Result<search::Replay> made = search::replay(token);
    if (!made) {
        return refuse(made.error().message);
    }
    fmt::print("{}\n", made->beginning);
    std::size_t number = 0;
    for (const search::ReplayStep& step : made->steps) {
        fmt::print("{:>3}  {:<28} {:<24} {}\n", ++number, step.act, step.outcome, step.entries);
    }
    if (!made->litmus.empty()) {
        fmt::print("litmus   {}\n", made->litmus);
    }
    if (!made->same_end) {
        fmt::print("it ends in another state than when it was found: the model has changed\n");
    }
    fmt::print("{}\n", made->broken.empty() ? "nothing is broken" : made->broken);
    if (!made->broken.empty()) {
        const std::size_t begin = token.find('/') + 1;  // v1/RULES/…
        write_down(made->litmus, made->broken, token.substr(begin, token.find('/', begin) - begin),
                   folder, "counterexample");
    }
    return made->broken.empty() && made->same_end ? 0 : 1;
}

Result<search::Request> request_of(const ExploreOptions& options) {
    Result<search::Scope> scope = search::parse_scope(options.scope);
    if (!scope) {
        return pass(scope);
    }
    Result<mm::Oracles> oracles = search::parse_oracles(options.oracle);
    if (!oracles) {
        return pass(oracles);
    }
    Result<u64> memory = bytes_of(options.memory);
    if (!memory) {
        return pass(memory);
    }
    const u64 cores = std::max(1U, std::thread::hardware_concurrency());
    search::Request request;
    request.rules =
        options.rules + (options.against.empty() ? std::string() : ":" + options.against);
    request.scope = std::move(*scope);
    request.oracles = *oracles;
    request.every = options.all;
    request.estimate_only = options.estimate;
    request.coverage = options.coverage;
    request.workers = static_cast<unsigned>(options.threads != 0 ? options.threads : cores);
    request.memory_bytes = *memory;
    request.checkpoint = options.checkpoint;
    request.resume = options.resume;
    return request;
}

}  // namespace

int explore(const ExploreOptions& options) {
    if (!options.replay.empty()) {
        return replay(options.replay, options.write);
    }
    const Result<search::Request> request = request_of(options);
    if (!request) {
        return refuse(request.error().message);
    }
    ProgressLine line;
    search::Listener listener;
    listener.progress = [&](const search::Progress& progress) { line.show(progress); };
    listener.estimate = [&](const search::Estimate& estimate) {
        line.clear();
        fmt::print(options.estimate ? stdout : stderr,
                   "estimate, from {} levels: {:.1e} states, {:.0f} s, {}\n", estimate.levels,
                   estimate.states, estimate.seconds, size_text(estimate.bytes));
    };
    const Result<Report> report = search::explore(*request, listener);
    line.clear();
    if (!report) {
        return refuse(report.error().message);
    }
    options.json ? print_json(*report, options) : print_text(*report, options);
    for (std::size_t i = 0; i < report->found.size(); ++i) {
        write_down(report->found[i].litmus, report->found[i].sentence, options.rules, options.write,
                   fmt::format("counterexample-{}", i + 1));
    }
    for (const Counterexample& one : report->found) {
        if (!one.exception) {
            return 1;
        }
    }
    if (report->ending == Ending::memory) {
        fmt::print(stderr,
                   "verso: the {} of --memory did not suffice; give more{}, or fewer steps, kinds "
                   "or calls\n",
                   options.memory,
                   options.checkpoint.empty() ? "" : " with --resume " + options.checkpoint);
        return out_of_memory;
    }
    return 0;
}

}  // namespace verso::cli
