// Looks for programs that kill mutants which the catalogue leaves alive: texts that meet such a
// mutant are changed a little (edit.h), or a program is drawn anew; what tells a mutant from the
// model is shrunk as far as it still does, and written as a text of litmus/ways.
#include <algorithm>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <set>

#include <fmt/format.h>
#include <sys/mman.h>

#include "base/check.h"
#include "check/conform/generate.h"
#include "check/litmus/print_c/print_c.h"
#include "check/program/where.h"
#include "check/shrink/shrink.h"
#include "mm/rules.h"
#include "mutants/edit.h"
#include "mutants/mutants.h"

namespace verso::bench {
namespace {
namespace fs = std::filesystem;

using check::Judgement;
using check::Litmus;
using check::Program;

constexpr u64 runs_max = 48;
constexpr u64 limit_ns = 1'000'000'000;
constexpr std::size_t tried_at_once = 32;

struct Base {
    Judgement::Kind verdict{};
    u32 course = 0;
    bool good = false;  // not in too many ways
    unsigned char met[mutants_max];
};

/// Shared with the child that fills it.
Base& base() {
    // Why safe: fresh memory, kept for the whole run.
    static void* const at =
        ::mmap(nullptr, sizeof(Base), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    VERSO_CHECK(at != MAP_FAILED, "no shared memory: errno {}", errno);
    return *static_cast<Base*>(at);
}

Litmus text_of(const Program& program) {
    Litmus litmus;
    litmus.title = "x";
    litmus.program = program;
    return litmus;
}

Judgement judged(const Program& program, const std::string& preset) {
    return judge_on_model(*mm::preset(preset), text_of(program), runs_max);
}

void note_base(const Program& program, const std::string& preset) {
    forget_met();
    const Judgement now = judged(program, preset);
    base().verdict = now.kind;
    base().course = now.course;
    base().good = !now.cut;  // one that cannot go on says so, too
    std::ranges::copy(verso_met, base().met);
}

bool is_other(const Program& program, const std::string& preset, int mutant) {
    verso_mutant = mutant;
    const Judgement now = judged(program, preset);
    return now.course != base().course || now.kind != base().verdict;
}

bool can_be_written(const Program& program) {
    const Litmus litmus = text_of(program);
    const Result<Litmus> again = check::parse_litmus(to_text(litmus), "x");
    return !program.steps.empty() && again && *again == litmus &&
           check::to_c(litmus, "x").has_value();
}

/// Which of those mutants does it tell from the model, on that preset?
std::vector<int> told_apart(const Program& program, const std::string& preset,
                            const std::vector<int>& mutants) {
    std::vector<int> told;
    std::size_t at = 0;
    const auto limit = [](std::size_t) { return limit_ns; };
    for (std::size_t from = 0; from < mutants.size();) {
        const Attempt attempt = in_a_child(
            mutants.size() - from,
            [&](std::size_t i) { return is_other(program, preset, mutants[from + i]); }, limit, at);
        if (attempt == Attempt::same) {
            break;
        }
        told.push_back(mutants[from + at]);
        from += at + 1;
    }
    return told;
}

bool make_base(const Program& program, const std::string& preset) {
    std::size_t at = 0;
    base().good = false;
    const Attempt attempt = in_a_child(
        1,
        [&](std::size_t) {
            note_base(program, preset);
            return false;
        },
        [](std::size_t) { return limit_ns; }, at);
    return attempt == Attempt::same && base().good;
}

/// What 6.18 makes of it, in words behind the steps, if it goes one way only.
void say_what_is_seen(Program& program) {
    const Judgement judgement = judged(program, "6.18");
    if (judgement.runs != 1 || judgement.could_not_go_on != 0) {
        return;
    }
    const check::Trace trace = run_on_model(*mm::preset("6.18"), program);
    for (std::size_t i = 0; i < trace.steps.size(); ++i) {
        check::Step& step = program.steps[i];
        const check::Seen& seen = trace.steps[i];
        const bool plain =
            seen.outcome.starts_with("= ") || seen.outcome.find(' ') == std::string::npos;
        if (plain && !seen.outcome.empty() && step.verb != check::Verb::messages) {
            step.expected.push_back(seen.outcome == "SIGBUS" ? "msg" : seen.outcome);
        }
        const auto& pages = step.child ? seen.child : step.at.second ? seen.second : seen.first;
        std::string entries;
        for (std::size_t at = step.at.first; at < pages.size(); ++at) {
            entries += (entries.empty() ? "" : " ") + pages[at].text();
        }
        if (!entries.empty()) {
            step.expected.push_back("[" + entries + "]");
        }
    }
    if (!unmet(program, trace).empty() || !can_be_written(program)) {
        for (check::Step& step : program.steps) {
            step.expected.clear();
        }
    }
}

class Grower {
public:
    Grower(const std::vector<Trial>& trials, std::vector<Wanted> wanted, const GrowOptions& options)
        : trials_(trials), options_(options), choice_(options.seed) {
        for (Wanted& one : wanted) {
            const int mutant = one.mutant;
            tries_[mutant] = 0;
            wanted_.emplace(mutant, std::move(one));
        }
        for (std::size_t i = 0; i < trials.size(); ++i) {
            for (const auto& [mutant, one] : wanted_) {
                if (trials[i].met[static_cast<std::size_t>(mutant)]) {
                    meeting_[mutant].push_back(i);
                }
            }
        }
    }

    int run() {
        const auto spent = [begun = now_ns()] {
            return static_cast<double>(now_ns() - begun) / 60e9;
        };
        u64 programs = 0;
        for (; spent() < options_.minutes && !wanted_.empty(); ++programs) {
            std::string preset;
            const Program program = draw(preset);
            consider(program, preset);
        }
        fmt::print("{} programs, {} texts, {} mutants left\n", programs, texts_, wanted_.size());
        return 0;
    }

private:
    static u64 now_ns() {
        timespec now{};
        // Why safe: fills the structure it is given.
        ::clock_gettime(CLOCK_MONOTONIC, &now);
        return static_cast<u64>(now.tv_sec) * 1'000'000'000 + static_cast<u64>(now.tv_nsec);
    }

    std::string some_preset() {
        const auto names = mm::preset_names();
        return choice_.coin() ? "6.18" : names[choice_.choose(static_cast<u32>(names.size()))];
    }

    Program draw(std::string& preset) {
        const u64 number = choice_.choose(1U << 30);
        preset = some_preset();
        if (choice_.choose(3) != 0) {
            auto one = tries_.begin();
            std::advance(one, choice_.choose(static_cast<u32>(tries_.size())));
            const auto those = meeting_.find(one->first);
            if (those != meeting_.end()) {
                const Trial& trial =
                    trials_[those->second[choice_.choose(static_cast<u32>(those->second.size()))]];
                preset = choice_.choose(3) == 0 ? preset : trial.preset;
                Program program = trial.text->litmus.program;
                edit(program, choice_, options_.seed);
                return program;
            }
        }
        const check::Batch batch =
            choice_.choose(3) == 0 ? check::Batch::quick : check::Batch::machine;
        Program program = check::generate(options_.seed, number, {}, batch);
        if (choice_.coin()) {
            edit(program, choice_, options_.seed);
        }
        return program;
    }

    /// Those alive that the base's run met, least tried first.
    std::vector<int> candidates(std::size_t at_most) {
        std::vector<int> met;
        for (const auto& [mutant, one] : wanted_) {
            if (base().met[mutant] != 0) {
                met.push_back(mutant);
            }
        }
        std::ranges::stable_sort(met, {}, [&](int mutant) { return tries_[mutant]; });
        met.resize(std::min(met.size(), at_most));
        return met;
    }

    void consider(const Program& program, const std::string& preset) {
        if (!can_be_written(program) || !make_base(program, preset)) {
            return;
        }
        const std::vector<int> those = candidates(tried_at_once);
        for (const int mutant : those) {
            ++tries_[mutant];
        }
        for (const int mutant : told_apart(program, preset, those)) {
            if (wanted_.contains(mutant)) {
                keep(program, preset, mutant);
            }
        }
    }

    void keep(const Program& program, const std::string& preset, int mutant) {
        check::Shrinker shrinker([&](const Program& simpler) {
            return can_be_written(simpler) && make_base(simpler, preset) &&
                   !told_apart(simpler, preset, {mutant}).empty();
        });
        Program shortest = shrinker.shrink(program, program.steps.size() - 1);
        std::set<int> killed;
        for (const std::string& one : {preset, std::string("6.18"), std::string("5.7")}) {
            if (make_base(shortest, one)) {
                const std::vector<int> told = told_apart(shortest, one, candidates(mutants_max));
                killed.insert(told.begin(), told.end());
            }
        }
        if (!killed.contains(mutant)) {
            return;
        }
        write(shortest, wanted_.at(mutant), killed.size());
        for (const int one : killed) {
            wanted_.erase(one);
            tries_.erase(one);
        }
    }

    fs::path free_name(std::string function) {
        std::ranges::replace(function, '_', '-');
        for (unsigned i = 1;; ++i) {
            const std::string name = fmt::format("{}-{}.litmus", function, i);
            if (!fs::exists(fs::path(options_.folder) / name) &&
                !fs::exists(fs::path(options_.catalogue) / "ways" / name)) {
                return fs::path(options_.folder) / name;
            }
        }
    }

    void write(Program& program, const Wanted& one, std::size_t kills) {
        say_what_is_seen(program);
        check::CatalogueEntry text;
        text.path = free_name(one.function);
        text.litmus.title = fmt::format("a program that a slip in {}() of {} would end otherwise",
                                        one.function, one.file);
        text.litmus.comments = {"Drawn at random, the first that tells such a mutant, and shrunk."};
        text.litmus.program = program;
        for (const std::string& preset : mm::preset_names()) {
            const Judgement now = judge_on_model(*mm::preset(preset), text.litmus, model_runs_max);
            text.expected.push_back({preset, std::string(name_of(now.kind)), course_text(now)});
        }
        std::ofstream file(text.path);
        file << to_text(text.litmus);
        VERSO_CHECK(file.flush() && check::write_expected(text), "{} cannot be written",
                    text.path.string());
        ++texts_;
        fmt::print("{} kills {}, {} left: {}\n", text.path.filename().string(), kills,
                   wanted_.size() - kills, to_text(program));
        std::fflush(stdout);
    }

    const std::vector<Trial>& trials_;
    const GrowOptions& options_;
    RandomChoice choice_;
    std::map<int, Wanted> wanted_;
    std::map<int, u64> tries_;
    std::map<int, std::vector<std::size_t>> meeting_;
    u64 texts_ = 0;
};

}  // namespace

int grow(const std::vector<Trial>& trials, std::vector<Wanted> wanted, const GrowOptions& options) {
    fs::create_directories(options.folder);
    return Grower(trials, std::move(wanted), options).run();
}

}  // namespace verso::bench
