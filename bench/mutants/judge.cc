// Which mutants the catalogue kills. Only texts that come past a mutant's place can tell it from
// the model as it is, so only those are tried, the likely ones first.
#include <algorithm>
#include <csignal>
#include <ctime>
#include <fstream>
#include <set>
#include <sstream>

#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/check.h"
#include "mm/rules.h"
#include "mutants/mutants.h"

namespace verso::bench {
namespace {

/// Where a child says how far it is: shared with it.
std::size_t* progress() {
    // Why safe: fresh memory, kept for the whole run.
    static void* const at =
        ::mmap(nullptr, page_size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    VERSO_CHECK(at != MAP_FAILED, "no page of shared memory: errno {}", errno);
    return static_cast<std::size_t*>(at);
}

/// Processor time, not the clock's: the machine may be busy.
void allow_ns(u64 ns) {
    itimerval timer{};
    timer.it_value.tv_sec = static_cast<time_t>(ns / 1'000'000'000);
    timer.it_value.tv_usec = static_cast<suseconds_t>(ns / 1'000 % 1'000'000);
    // Why safe: a timer of this process, which its signal ends.
    ::setitimer(ITIMER_PROF, &timer, nullptr);
}

void be_quiet_and_bounded() {
    constexpr rlim_t memory_max = rlim_t{4} << 30;
    const rlimit memory{memory_max, memory_max};
    const rlimit none{0, 0};
    // Why safe: limits of this child alone; what a mutant says on its way down is of no interest.
    ::setrlimit(RLIMIT_AS, &memory);
    ::setrlimit(RLIMIT_CORE, &none);
    ::close(STDERR_FILENO);
}

std::string ids_of(const check::Judgement& judgement) {
    return fmt::format("{} {}", name_of(judgement.kind), course_text(judgement));
}

}  // namespace

u64 cpu_ns() {
    timespec now{};
    // Why safe: fills the structure it is given.
    ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return static_cast<u64>(now.tv_sec) * 1'000'000'000 + static_cast<u64>(now.tv_nsec);
}

void forget_met() { std::ranges::fill(verso_met, 0); }

std::vector<bool> met_now() {
    std::vector<bool> met(mutants_max);
    for (std::size_t i = 0; i < mutants_max; ++i) {
        met[i] = verso_met[i] != 0;
    }
    return met;
}

Result<std::vector<Trial>> measure(const std::vector<check::CatalogueEntry>& texts,
                                   const std::vector<std::string>& presets, bool held) {
    std::vector<Trial> trials;
    for (const check::CatalogueEntry& text : texts) {
        for (const std::string& preset : presets) {
            forget_met();
            const u64 begun = cpu_ns();
            const check::Judgement now =
                judge_on_model(*mm::preset(preset), text.litmus, model_runs_max);
            const check::Expected kept = text.expected_on(preset);
            if (held && (kept.verdict != name_of(now.kind) || kept.course != course_text(now))) {
                return fail(ErrorKind::invalid_argument, 0, "{} on {}: {} is expected, {} came",
                            text.path.string(), preset, kept.verdict + " " + kept.course,
                            ids_of(now));
            }
            trials.push_back(
                {&text, preset, now.kind, now.course, now.runs, cpu_ns() - begun, met_now()});
        }
    }
    u64 all_ns = 0;
    for (const Trial& trial : trials) {
        all_ns += trial.cpu_ns;
    }
    fmt::print(stderr, "{} texts, {} trials, {:.1f} s of processor time\n", texts.size(),
               trials.size(), static_cast<double>(all_ns) / 1e9);
    return trials;
}

bool differs(const Trial& trial) {
    const check::Judgement now =
        judge_on_model(*mm::preset(trial.preset), trial.text->litmus, model_runs_max);
    return now.kind != trial.verdict || now.course != trial.course;
}

Attempt in_a_child(std::size_t count, const std::function<bool(std::size_t)>& attempt,
                   const std::function<u64(std::size_t)>& limit_ns, std::size_t& at) {
    std::size_t* const shared = progress();
    *shared = 0;
    std::fflush(stdout);
    // Why safe: this program has one thread.
    const pid_t child = ::fork();
    VERSO_CHECK(child >= 0, "fork: errno {}", errno);
    if (child == 0) {
        be_quiet_and_bounded();
        for (std::size_t i = 0; i < count; ++i) {
            *shared = i;
            allow_ns(limit_ns(i));
            if (attempt(i)) {
                ::_exit(1);
            }
        }
        ::_exit(0);
    }
    int status = 0;
    // Why safe: our own child.
    VERSO_CHECK(::waitpid(child, &status, 0) == child, "waitpid: errno {}", errno);
    at = *shared;
    if (WIFEXITED(status)) {
        return WEXITSTATUS(status) == 0   ? Attempt::same
               : WEXITSTATUS(status) == 1 ? Attempt::other
                                          : Attempt::crashed;
    }
    return WTERMSIG(status) == SIGPROF ? Attempt::ran_for_ever : Attempt::crashed;
}

Result<std::vector<Wanted>> read_wanted(const std::string& path) {
    std::vector<Wanted> wanted;
    std::ifstream file(path);
    for (Wanted one; file >> one.mutant >> one.function >> one.file;) {
        if (one.mutant < 0 || static_cast<std::size_t>(one.mutant) >= mutants_max) {
            return fail(ErrorKind::invalid_argument, 0, "{} is the number of no mutant; see {}",
                        one.mutant, path);
        }
        wanted.push_back(one);
    }
    if (wanted.empty()) {
        return fail(ErrorKind::invalid_argument, 0,
                    "'{}' names no mutant; scripts/mutate writes it", path);
    }
    return wanted;
}

namespace {

/// Those that meet it, the likely ones first: texts that are named after its function, then what is
/// cheap; presets on which a text goes as on one before come last.
std::vector<const Trial*> trials_for(const Wanted& one, const std::vector<Trial>& trials) {
    std::vector<std::pair<u64, const Trial*>> those;
    std::string name = one.function + "-";
    std::ranges::replace(name, '_', '-');
    std::set<std::pair<const check::CatalogueEntry*, u32>> seen;
    constexpr u64 late = u64{1} << 60;
    for (const Trial& trial : trials) {
        if (!trial.met[static_cast<std::size_t>(one.mutant)]) {
            continue;
        }
        const bool named = trial.text->path.filename().string().starts_with(name);
        const bool again = !seen.emplace(trial.text, trial.course).second;
        those.emplace_back((named ? 0 : trial.cpu_ns) + (again ? late : 0), &trial);
    }
    std::ranges::stable_sort(those, {}, &decltype(those)::value_type::first);
    std::vector<const Trial*> order;
    for (const auto& [key, trial] : those) {
        order.push_back(trial);
    }
    return order;
}

}  // namespace

int judge(const std::vector<Trial>& trials, const std::vector<Wanted>& wanted, double seconds_max) {
    const auto ns_max = static_cast<u64>(seconds_max * 1e9);
    for (const Wanted& one : wanted) {
        const std::vector<const Trial*> those = trials_for(one, trials);
        if (those.empty()) {
            fmt::print("{} unmet\n", one.mutant);
            continue;
        }
        constexpr u64 at_least_ns = 5'000'000'000;
        std::size_t at = 0;
        verso_mutant = one.mutant;
        const Attempt attempt = in_a_child(
            those.size(),
            [&](std::size_t i) {
                if (ns_max != 0 && cpu_ns() > ns_max) {
                    ::_exit(0);
                }
                return differs(*those[i]);
            },
            [&](std::size_t i) { return at_least_ns + 50 * those[i]->cpu_ns; }, at);
        verso_mutant = -1;
        constexpr std::string_view words[] = {"survived", "killed", "crashed", "ran-for-ever"};
        fmt::print("{} {}", one.mutant, words[static_cast<std::size_t>(attempt)]);
        if (attempt == Attempt::same) {
            fmt::print(" {} of {}\n", at + 1, those.size());
        } else {
            fmt::print(" {} {}\n", those[at]->text->path.string(), those[at]->preset);
        }
    }
    return 0;
}

}  // namespace verso::bench
