// Runs in a process of their own: see the header.
#include "check/swarm/run.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <csignal>
#include <cstdio>
#include <cstring>

#include <malloc.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check/swarm/column_log.h"

namespace verso::check::swarm {
namespace {

constexpr std::size_t tape_max = std::size_t{1} << 20;
constexpr std::size_t sentence_max = std::size_t{1} << 14;
constexpr std::size_t log_max = std::size_t{1} << 23;
constexpr unsigned seconds_max =
    30;  // of a processor, for one run: the longest take a tenth of one
constexpr u64 runs_per_process = 400;

/// What the two processes share. Only what is written takes memory.
struct Shared {
    std::atomic<u64> seed;
    std::atomic<u64> tape_size;
    std::atomic<Ending> ending;
    Totals totals;
    Tally tally;
    std::array<char, sentence_max> sentence;
    std::atomic<u64> log_size;
    std::array<u32, tape_max> tape;
    std::array<char, log_max> log;
};

class SharedMemory {
public:
    SharedMemory() {
        // Why safe: fresh memory that only this object knows, and those that it forks.
        void* const at = ::mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE,
                                MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        VERSO_CHECK(at != MAP_FAILED, "no memory to share with a run: errno {}", errno);
        shared_ = static_cast<Shared*>(at);
    }
    ~SharedMemory() {
        // Why safe: our own mapping; whoever was forked has ended.
        VERSO_CHECK(::munmap(shared_, sizeof(Shared)) == 0, "errno {}", errno);
    }
    SharedMemory(const SharedMemory&) = delete;
    SharedMemory& operator=(const SharedMemory&) = delete;
    Shared* operator->() const { return shared_; }
    Shared& operator*() const { return *shared_; }

private:
    Shared* shared_;
};

template <std::size_t n>
std::size_t copy_text(const std::string& text, std::array<char, n>& to) {
    const std::size_t size = std::min(text.size(), n - 1);
    std::memcpy(to.data(), text.data(), size);
    to[size] = '\0';
    return size;
}

/// In the forked process. Ends it if anything is wrong.
Tally run_here(const Case& what, const mm::Rules& rules, Shared& shared) {
    shared.seed = what.plan.seed;
    shared.tape_size = 0;
    shared.log_size = 0;
    Tape tape = what.tape ? Tape(*what.tape) : Tape(what.plan.seed);
    // In shared memory it outlives a run that crashes.
    tape.copy_to(shared.tape, &shared.tape_size);
    std::optional<ColumnLog> log;
    World* running = nullptr;
    const auto wrong = [&](Ending ending, const std::string& sentence) {
        copy_text(sentence, shared.sentence);
        shared.ending = ending;
        ::_exit(1);
    };
    if (what.log) {
        log.emplace(running, what.calls, shared.log, shared.log_size);
    }
    World world(what.plan, rules, tape, wrong, log ? &*log : nullptr, what.decisions_at_most);
    running = &world;  // NOLINT(clang-analyzer-deadcode.DeadStores): the log has a reference to it
    return world.run();
}

/// Where the forked process says what it died of.
class Stderr {
public:
    Stderr() {
        // Why safe: makes a descriptor of our own.
        fd_ = Fd(::memfd_create("verso-stderr", MFD_CLOEXEC));
        VERSO_CHECK(fd_.valid(), "memfd_create: errno {}", errno);
    }
    void become() const { (void)::dup2(fd_.get(), STDERR_FILENO); }
    std::string text() const {
        std::string text(sentence_max, '\0');
        // Why safe: into a buffer of that size.
        const auto got = ::pread(fd_.get(), text.data(), text.size(), 0);
        text.resize(got > 0 ? static_cast<std::size_t>(got) : 0);
        while (!text.empty() && text.back() == '\n') {
            text.pop_back();
        }
        return text;
    }

private:
    Fd fd_;
};

/// A run that never ends is ended. By the processor's time: the machine may be busy otherwise.
void wind_the_clock() {
    itimerval timer{};
    timer.it_value.tv_sec = seconds_max;
    (void)::setitimer(ITIMER_PROF, &timer, nullptr);
}

/// Forks, waits. `body` runs in the new process and ends it.
template <class Body>
void apart(Shared& shared, Body body) {
    shared.ending = Ending::held;
    const Stderr said;
    std::fflush(nullptr);
    // Why safe: the new process runs `body` and never returns here; this one has no other threads
    // that it would need.
    const pid_t child = ::fork();
    VERSO_CHECK(child >= 0, "fork: errno {}", errno);
    if (child == 0) {
        said.become();
        // Why safe: only of this process. Nobody waits for what it finds once its parent is gone.
        (void)::prctl(PR_SET_PDEATHSIG, SIGKILL);
        // A world's largest tables are half a megabyte: kept, not given back and faulted in again.
        (void)::mallopt(M_MMAP_THRESHOLD, 1 << 26);
        (void)::mallopt(M_TRIM_THRESHOLD, 1 << 28);
        wind_the_clock();
        body();
        ::_exit(0);
    }
    int status = 0;
    // Why safe: waits for our own child.
    while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {}
    if (WIFSIGNALED(status)) {
        const bool late = WTERMSIG(status) == SIGPROF;
        shared.ending = late ? Ending::hung : Ending::crashed;
        std::string text = said.text();
        if (text.empty()) {
            text = late ? fmt::format("not done after {} seconds of a processor", seconds_max)
                        : fmt::format("signal {}", WTERMSIG(status));
        }
        copy_text(text, shared.sentence);
    } else if (WEXITSTATUS(status) != 0 && shared.ending == Ending::held) {
        shared.ending = Ending::crashed;  // a sanitizer's report
        copy_text(said.text(), shared.sentence);
    }
}

Verdict verdict_of(const Shared& shared) {
    Verdict verdict;
    verdict.ending = shared.ending;
    verdict.sentence = shared.sentence.data();
    verdict.seed = shared.seed;
    verdict.tally = shared.tally;
    const std::size_t taken = std::min<std::size_t>(shared.tape_size, tape_max);
    verdict.tape.assign(shared.tape.begin(),
                        shared.tape.begin() + static_cast<std::ptrdiff_t>(taken));
    verdict.log.assign(shared.log.data(), shared.log_size);
    return verdict;
}

void add(Totals& totals, const Tally& tally) {
    ++totals.runs;
    totals.decisions += tally.decisions;
    totals.stores += tally.stores;
    totals.loads += tally.loads;
    totals.verbs += tally.verbs;
    totals.refused += tally.refused;
    totals.faults += tally.faults;
}

void add(Totals& totals, const Totals& more) {
    totals.runs += more.runs;
    totals.audited += more.audited;
    totals.decisions += more.decisions;
    totals.stores += more.stores;
    totals.loads += more.loads;
    totals.verbs += more.verbs;
    totals.refused += more.refused;
    totals.faults += more.faults;
}

void run_some(u64 first, u64 count, const Seeds& seeds, const mm::Rules& rules, Shared& shared) {
    for (u64 seed = first; seed < first + count; ++seed) {
        wind_the_clock();
        const Case what{draw_plan(seed, seeds.size)};
        const Tally tally = run_here(what, rules, shared);
        add(shared.totals, tally);
        if (seeds.audit_one_in != 0 && seed % seeds.audit_one_in == 0) {
            const Tally again = run_here(what, rules, shared);
            if (again.hash != tally.hash) {
                copy_text(
                    fmt::format("one seed, two runs: ends {:#x} and {:#x}", tally.hash, again.hash),
                    shared.sentence);
                shared.ending = Ending::unrepeatable;
                ::_exit(1);
            }
            ++shared.totals.audited;
        }
    }
}

}  // namespace

std::string_view name_of(Ending ending) {
    switch (ending) {
        case Ending::held: return "held";
        case Ending::wrong: return "wrong";
        case Ending::stuck: return "stuck";
        case Ending::crashed: return "crashed";
        case Ending::hung: return "hung";
        case Ending::unrepeatable: return "unrepeatable";
    }
    return {};
}

Verdict run_apart(const Case& what, const mm::Rules& rules) {
    const SharedMemory shared;
    apart(*shared, [&] { shared->tally = run_here(what, rules, *shared); });
    return verdict_of(*shared);
}

std::optional<Verdict> run_seeds(const Seeds& seeds, const mm::Rules& rules, Totals& totals) {
    const SharedMemory shared;
    for (u64 done = 0; done < seeds.count && !(seeds.enough && seeds.enough());) {
        const u64 count = std::min(runs_per_process, seeds.count - done);
        shared->totals = {};
        apart(*shared, [&] { run_some(seeds.first + done, count, seeds, rules, *shared); });
        add(totals, shared->totals);
        if (shared->ending != Ending::held) {
            return verdict_of(*shared);
        }
        done += count;
    }
    return std::nullopt;
}

}  // namespace verso::check::swarm
