// Runs, and prints what came of it.
#include "cli/conform.h"

#include <algorithm>
#include <atomic>

#include "check/conform/conform.h"
#include "check/litmus/claim.h"
#include "check/program/where.h"

namespace verso::cli {
namespace {

constexpr u64 programs_unless_said = 20'000;

void print(const check::Finding& finding) {
    fmt::print("── {}{}{}\n", name_of(finding.verdict),
               finding.promise.empty() ? "" : " (" + finding.promise + ")",
               finding.known == nullptr ? "" : fmt::format(", known: {}", finding.known->name));
    fmt::print(
        "{}\n   {}\n model:\n{} kernel:\n{} in C: verso conform --program '{}' --write DIR\n",
        to_text(finding.program), finding.sentence, finding.model, finding.kernel,
        to_text(finding.program));
    std::fflush(stdout);
}

check::Scope scope_of(const ConformOptions& options) {
    check::Scope scope;
    for (const std::string& name : options.kinds) {
        for (const check::Kind kind : check::every_kind) {
            if (check::name_of(kind) == name) {
                scope.kinds.push_back(kind);
            }
        }
    }
    for (const std::string& word : options.calls) {
        if (word != "quick") {
            scope.calls.push_back(word);
            continue;
        }
        for (const std::string_view one : check::call_words()) {
            if (!check::needs_machine(one)) {
                scope.calls.emplace_back(one);
            }
        }
    }
    return scope;
}

/// Named after what is known, else numbered.
void write_down(const check::Finding& finding, const std::string& folder) {
    static std::atomic<u64> unknown = 0;
    if (folder.empty()) {
        return;
    }
    const Result<std::string> written =
        check::write_claim(folder,
                           finding.known != nullptr ? std::string(finding.known->name)
                                                    : fmt::format("difference-{}", ++unknown),
                           finding.claim);
    fmt::print(" {}\n",
               written ? "written: " + *written : "not written: " + written.error().message);
}

int run_one(const check::Program& program, const mm::Rules& rules, const std::string& folder) {
    std::string note;
    const std::optional<check::Finding> finding = check::examine(program, rules, &note);
    if (!finding) {
        FirstChoice first;
        fmt::print("model and kernel agree, and keep their promises{}:\n{}",
                   note.empty() ? "" : ", " + note,
                   to_text(program, check::run_on_model(rules, program, first)));
        return 0;
    }
    print(*finding);
    write_down(*finding, folder);
    return 1;
}

void print_summary(const check::ConformReport& report, u64 seed, u64 workers) {
    const auto rate = [](u64 count, double seconds) {
        return seconds > 0 ? static_cast<double>(count) / seconds : 0;
    };
    const double each_s = report.quick_seconds / static_cast<double>(workers);
    fmt::print(
        "seed {}: {} programs, {} steps, compared after every step; {:.0f} quick programs/s\n",
        seed, report.quick + report.machine, report.steps, rate(report.quick, each_s));
    fmt::print("  {} of them with triggers or a pool of huge pages, {:.0f}/s{}\n", report.machine,
               rate(report.machine, report.machine_seconds),
               report.machine_missing.empty() ? "" : ": " + report.machine_missing);
    fmt::print(
        "  {} differences; {} the model allows, {} did not come again; {} programs ended "
        "early because a trigger did not act\n",
        report.differences, report.allowed, report.unrepeatable, report.cut_short);
    for (const check::Finding& finding : report.findings) {
        fmt::print("  {:>8}  {:<33} {:<4} {}\n", finding.count,
                   finding.known != nullptr ? finding.known->name : name_of(finding.verdict),
                   finding.promise, to_text(finding.program));
    }
    for (const auto& [key, count, program] : report.unshown) {
        fmt::print("  {:>8}  not shown a second time: {}: {}\n", count, key, program);
    }
}

}  // namespace

std::vector<std::string_view> conform_kinds() {
    std::vector<std::string_view> names;
    for (const check::Kind kind : check::every_kind) {
        names.push_back(check::name_of(kind));
    }
    return names;
}

std::vector<std::string_view> conform_calls() {
    std::vector<std::string_view> words = check::call_words();
    words.emplace_back("quick");
    return words;
}

std::vector<std::string_view> conform_rules() {
    std::vector<std::string_view> names;
    for (const mm::Switch& one : mm::switches()) {
        names.push_back(one.name);
    }
    return names;
}

int conform(const ConformOptions& options) {
    mm::Rules rules = check::rules_of_running_kernel();
    for (const mm::Switch& one : mm::switches()) {
        if (one.name == options.broken_rule) {
            rules.*one.value = !(rules.*one.value);
        }
    }
    if (!options.program.empty()) {
        const Result<check::Program> program = check::parse(options.program);
        if (!program) {
            fmt::print(stderr, "verso: {}; write it as in docs/mm.md\n", program.error().message);
            return 2;
        }
        return run_one(*program, rules, options.write);
    }
    check::ConformOptions what;
    what.seed = options.seed;
    what.programs_max =
        options.programs == 0 && options.minutes == 0 ? programs_unless_said : options.programs;
    what.seconds_max = static_cast<double>(options.minutes) * 60;
    what.workers = static_cast<unsigned>(options.workers);
    what.scope = scope_of(options);
    what.rules = rules;
    what.on_finding = [&](const check::Finding& finding) {
        if (finding.known == nullptr || options.all) {
            print(finding);
            write_down(finding, options.write);
        }
    };
    const check::ConformReport report = check::conform(what);
    print_summary(report, options.seed, options.workers);
    const bool all_known = std::ranges::all_of(
        report.findings, [](const check::Finding& one) { return one.known != nullptr; });
    return all_known ? 0 : 1;
}

}  // namespace verso::cli
