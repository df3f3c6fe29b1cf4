// Workers, and what becomes of a difference.
#include "check/conform/conform.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <map>
#include <mutex>
#include <thread>

#include "check/litmus/claim.h"
#include "check/program/where.h"
#include "check/shrink/shrink.h"
#include "linux/linux_kernel.h"
#include "linux/world/machine.h"

namespace verso::check {
namespace {

constexpr u64 quick_patience_ms = 1'000;
constexpr u64 sure_patience_ms = 4'000;
/// Of so many programs, one may be of those that need the machine.
constexpr u64 machine_one_in = 16;
/// Its lock is others', too: held for so long, then left alone for so long.
constexpr u64 machine_turn_ns = 10'000'000'000;
constexpr u64 machine_rest_ns = 15'000'000'000;
constexpr u64 pool_of_huge_pages = 16;
constexpr u64 hang_once_in = 4096;
constexpr unsigned shrinks_per_key = 2;
/// What does not come again is tried anew when its like comes, but not for ever.
constexpr unsigned looks_per_key = 20;
constexpr unsigned rounds_max = 3;
constexpr unsigned choices_max = 4000;

u64 now_ns() { return host::LinuxKernel().now_ns(); }

/// What two runs of a program showed.
struct Both {
    Trace model;
    Trace kernel;
    std::optional<Difference> difference;
    std::optional<Broken> by_kernel;
    std::optional<Broken> by_model;
    bool found() const { return difference.has_value() || by_kernel.has_value(); }
    /// What stays the same while a program shrinks.
    std::string key() const {
        return difference  ? difference->key
               : by_kernel ? fmt::format("both break {}", by_kernel->promise)
                           : "";
    }
    std::size_t step() const {
        return difference ? difference->step : by_kernel ? by_kernel->step : 0;
    }
};

/// What the model's other answers make of what the kernel showed.
struct Answers {
    bool allowed = false;          // one of them shows the same
    const Known* known = nullptr;  // one of them shows the same but for what is known
};
Answers ask_all(const Program& program, const mm::Rules& rules, const Trace& kernel) {
    Answers answers;
    Enumerator every;
    for (unsigned tries = 0; tries < choices_max; ++tries) {
        const Trace model = run_on_model(rules, program, every);
        const std::optional<Difference> difference = compare(program, model, kernel);
        if (!difference) {
            answers.allowed = true;
            return answers;
        }
        if (answers.known == nullptr) {
            answers.known = known(program, model, kernel, difference->step, running_release());
        }
        if (!every.next()) {
            break;
        }
    }
    return answers;
}
bool model_allows(const Program& program, const mm::Rules& rules, const Trace& kernel) {
    return ask_all(program, rules, kernel).allowed;
}

Both run_both(const Program& program, const mm::Rules& rules, u64 patience_ms) {
    FirstChoice first;
    Both both;
    both.model = run_on_model(rules, program, first);
    both.kernel = run_on_running_kernel(program, patience_ms);
    both.difference = compare(program, both.model, both.kernel);
    both.by_kernel = broken_promise(program, both.kernel);
    both.by_model = broken_promise(program, both.model);
    return both;
}

Verdict verdict_on(const Both& both) {
    if (both.by_kernel) {
        return both.by_model ? Verdict::both_break : Verdict::breaks_promise;
    }
    return both.by_model ? Verdict::model_breaks : Verdict::differs;
}

const Known* known_of(const Program& program, const Both& both) {
    return known(program, both.model, both.kernel, both.step(), running_release());
}

Finding finding_of(const Program& program, const Both& both) {
    Finding finding;
    finding.program = program;
    finding.verdict = verdict_on(both);
    finding.key = both.key();
    const std::optional<Broken>& broken = both.by_kernel ? both.by_kernel : both.by_model;
    if (broken) {
        finding.promise = broken->promise;
        finding.sentence = fmt::format("step {}, {}", broken->step + 1, broken->text);
    } else {
        finding.sentence = both.difference ? both.difference->text : "";
    }
    finding.model = to_text(program, both.model);
    finding.kernel = to_text(program, both.kernel);
    const bool by_model_alone = both.by_model && !both.by_kernel;
    finding.claim = claim_against(program, by_model_alone ? both.model : both.kernel, both.step(),
                                  finding.sentence);
    finding.known = known_of(program, both);
    return finding;
}

/// What all workers found.
class Findings {
public:
    explicit Findings(const ConformOptions& options) : options_(options) {}

    /// Counts it; true if it is to be looked into.
    bool is_new(const std::string& key, bool is_known, const Program& program) {
        const std::lock_guard lock(guard_);
        ++report_.differences;
        Seen& seen = seen_[key];
        if (seen.count++ == 0) {
            seen.example = to_text(program);
        }
        const bool wanted = seen.programs.size() < (is_known ? 1 : shrinks_per_key);
        return wanted && seen.looked_into++ < looks_per_key;
    }
    void add(const std::string& key, const Finding& finding) {
        const std::string text = to_text(finding.program);
        const std::lock_guard lock(guard_);
        seen_[key].programs.push_back(text);
        const auto [at, added] = findings_.try_emplace(text, finding);
        if (added) {
            options_.on_finding(at->second);
        }
    }
    void count(u64 ConformReport::*what, u64 by = 1) {
        const std::lock_guard lock(guard_);
        report_.*what += by;
    }
    void spend(double ConformReport::*what, u64 ns) {
        const std::lock_guard lock(guard_);
        report_.*what += static_cast<double>(ns) / 1e9;
    }
    void machine_is_missing(const std::string& why) {
        const std::lock_guard lock(guard_);
        report_.machine_missing = why;
    }
    ConformReport report() {
        const std::lock_guard lock(guard_);
        for (const auto& [key, seen] : seen_) {
            if (seen.programs.empty()) {
                report_.unshown.push_back({key, seen.count, seen.example});
            } else {
                findings_.at(seen.programs.front()).count += seen.count;
            }
        }
        for (auto& [text, finding] : findings_) {
            report_.findings.push_back(finding);
        }
        return report_;
    }

private:
    struct Seen {
        u64 count = 0;
        unsigned looked_into = 0;
        std::string example;
        std::vector<std::string> programs;  // what it shrank to
    };
    const ConformOptions& options_;
    std::mutex guard_;
    ConformReport report_;                     // under guard_
    std::map<std::string, Seen> seen_;         // under guard_; by key
    std::map<std::string, Finding> findings_;  // under guard_; by shortest program
};

/// Where the next program's number comes from, and when there is none.
struct Supply {
    const Batch batch;
    const u64 programs_max;  // 0: no limit
    const u64 end_ns;        // 0: no limit
    std::atomic<u64> next = 0;

    std::optional<u64> take() {
        if (end_ns != 0 && now_ns() >= end_ns) {
            return std::nullopt;
        }
        const u64 index = next++;
        return programs_max != 0 && index >= programs_max ? std::nullopt : std::optional(index);
    }
};

class Worker {
public:
    Worker(const ConformOptions& options, Findings& findings, Supply& supply)
        : options_(options), findings_(findings), supply_(supply) {}

    void operator()() {
        if (supply_.batch == Batch::quick) {
            while (one_more()) {}
            return;
        }
        while (turn_at_the_machine()) {
            const u64 ready_ns = now_ns() + machine_rest_ns;
            while (now_ns() < ready_ns && (supply_.end_ns == 0 || now_ns() < supply_.end_ns)) {
                std::this_thread::sleep_for(std::chrono::milliseconds(50));
            }
        }
    }

private:
    /// False: all were run, or the machine is not to be had.
    bool turn_at_the_machine() {
        Result<std::shared_ptr<host::Machine>> machine = host::Machine::get();
        const Result<void> pool =
            machine ? (*machine)->huge_pages(pool_of_huge_pages) : Result<void>(pass(machine));
        if (!pool) {
            findings_.machine_is_missing(pool.error().message);
            return false;
        }
        const u64 over_ns = supply_.programs_max != 0 ? ~u64{0} : now_ns() + machine_turn_ns;
        while (now_ns() < over_ns) {
            if (!one_more()) {
                return false;
            }
        }
        return true;
    }

    bool one_more() {
        const std::optional<u64> index = supply_.take();
        if (!index) {
            return false;
        }
        const bool quick = supply_.batch == Batch::quick;
        const u64 begun = now_ns();
        one(*index);
        findings_.count(quick ? &ConformReport::quick : &ConformReport::machine);
        findings_.spend(quick ? &ConformReport::quick_seconds : &ConformReport::machine_seconds,
                        now_ns() - begun);
        return true;
    }

    void one(u64 index) {
        Program program = generate(options_.seed, index, options_.scope, supply_.batch);
        for (unsigned round = 0; round < rounds_max; ++round) {
            if (index % hang_once_in != 0) {
                avoid_hangs(program);
            }
            const Both both = run_both(program, options_.rules, quick_patience_ms);
            findings_.count(&ConformReport::steps, both.kernel.steps.size());
            if (!both.kernel.why_not.empty()) {
                findings_.count(&ConformReport::cut_short);
            }
            if (!both.found()) {
                return;
            }
            const Known* const directly = known_of(program, both);
            const Known* why = directly;
            if (why == nullptr && both.difference) {
                const Answers answers = ask_all(program, options_.rules, both.kernel);
                if (answers.allowed) {
                    findings_.count(&ConformReport::allowed);
                    return;
                }
                why = answers.known;
            }
            const std::string key = why != nullptr ? std::string(why->name) : both.key();
            if (findings_.is_new(key, why != nullptr, program) && why == directly) {
                look_into(program, both, index, key, why != nullptr);
            }
            if (both.step() >= program.steps.size()) {
                return;
            }
            program.steps.erase(program.steps.begin() + static_cast<std::ptrdiff_t>(both.step()));
        }
    }

    /// Reading the memory in the end counts as well.
    static bool ends_in_a_hang(const Program& program, std::size_t step, const Trace& model) {
        if (program.steps[step].verb != Verb::lock || model.steps.size() != program.steps.size()) {
            return false;
        }
        Program read = program;
        read.steps.push_back({.verb = Verb::load});
        return is_known_to_hang(read, program.steps.size(), model);
    }

    void avoid_hangs(Program& program) {
        FirstChoice first;
        const Trace model = run_on_model(options_.rules, program, first);
        for (std::size_t i = 0; i < model.steps.size(); ++i) {
            if (is_known_to_hang(program, i, model) || ends_in_a_hang(program, i, model) ||
                is_known_to_leak(program, i)) {
                program.steps.erase(program.steps.begin() + static_cast<std::ptrdiff_t>(i));
                avoid_hangs(program);
                return;
            }
        }
    }

    /// What is unknown stays so while it shrinks: a key speaks of the first page that differs only,
    /// and the others may be what is known.
    void look_into(const Program& program, const Both& both, u64 index, const std::string& name,
                   bool is_known) {
        const std::string key = both.key();
        const auto is_so = [&](const Program& of, const Both& shown) {
            return shown.key() == key && (known_of(of, shown) != nullptr) == is_known;
        };
        const Both again = run_both(program, options_.rules, sure_patience_ms);
        if (!is_so(program, again)) {
            findings_.count(&ConformReport::unrepeatable);
            return;
        }
        Shrinker shrinker([&](const Program& simpler) {
            return is_so(simpler, run_both(simpler, options_.rules, quick_patience_ms));
        });
        const Program shortest = shrinker.shrink(program, both.step());
        const Both shown = run_both(shortest, options_.rules, sure_patience_ms);
        if (!is_so(shortest, shown)) {
            findings_.count(&ConformReport::unrepeatable);
            return;
        }
        if (!is_known && shown.difference && model_allows(shortest, options_.rules, shown.kernel)) {
            findings_.count(&ConformReport::allowed);
            return;
        }
        Finding finding = finding_of(shortest, shown);
        finding.index = index;
        findings_.add(name, finding);
    }

    const ConformOptions& options_;
    Findings& findings_;
    Supply& supply_;
};

}  // namespace

std::string_view name_of(Verdict verdict) {
    constexpr std::string_view names[] = {"the kernel breaks a promise",
                                          "kernel and model break a promise", "they differ",
                                          "the model breaks a promise"};
    return names[static_cast<std::size_t>(verdict)];
}

/// Is there anything in the scope that needs it?
static bool wants_machine(const Scope& scope) {
    const bool hugetlb = scope.kinds.empty() || std::ranges::any_of(scope.kinds, is_hugetlb);
    return hugetlb || scope.calls.empty() || std::ranges::any_of(scope.calls, needs_machine);
}

ConformReport conform(const ConformOptions& options) {
    static_cast<void>(host::Keeper::get());  // while there is one thread
    const u64 end_ns =
        options.seconds_max == 0 ? 0 : now_ns() + static_cast<u64>(options.seconds_max * 1e9);
    const bool both = wants_machine(options.scope);
    const u64 of_machine = both ? options.programs_max / machine_one_in : 0;
    Findings findings(options);
    Supply quick{Batch::quick, options.programs_max - of_machine, end_ns};
    Supply machine{Batch::machine, of_machine, end_ns};
    std::vector<std::thread> threads;
    for (unsigned i = 0; i < options.workers; ++i) {
        threads.emplace_back(Worker(options, findings, quick));
    }
    if (both && (of_machine != 0 || options.programs_max == 0)) {
        threads.emplace_back(Worker(options, findings, machine));
    }
    for (std::thread& thread : threads) {
        thread.join();
    }
    return findings.report();
}

/// What a program needs of the machine, for as long as the answer lives.
static std::shared_ptr<host::Machine> machine_for(const Program& program) {
    const bool swaps = std::ranges::any_of(program.steps, [](const Step& step) {
        return step.verb == Verb::advise && step.mode == static_cast<u64>(kernel::Advice::pageout);
    });
    if (!swaps && !is_hugetlb(program.kind)) {
        return nullptr;
    }
    Result<std::shared_ptr<host::Machine>> machine = host::Machine::get();
    if (!machine) {
        return nullptr;  // not root: tried as it is
    }
    if (is_hugetlb(program.kind)) {
        static_cast<void>((*machine)->huge_pages(pool_of_huge_pages));
    }
    if (swaps) {
        const std::lock_guard lock((*machine)->guard());
        static_cast<void>((*machine)->swap());
    }
    return *machine;
}

std::optional<Finding> examine(const Program& program, const mm::Rules& rules, std::string* note) {
    const std::shared_ptr<host::Machine> machine = machine_for(program);
    const Both both = run_both(program, rules, sure_patience_ms);
    if (note != nullptr && !both.kernel.why_not.empty()) {
        *note = "as far as the kernel's run went: " + both.kernel.why_not;
    }
    if (!both.found()) {
        return std::nullopt;
    }
    // As the runs do: what one of the model's other choices shows is no difference.
    if (both.difference && known_of(program, both) == nullptr &&
        model_allows(program, rules, both.kernel)) {
        if (note != nullptr) {
            *note = "with other choices than the first, which are shown here";
        }
        return std::nullopt;
    }
    return finding_of(program, both);
}

}  // namespace verso::check
