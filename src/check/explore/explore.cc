// explore: see the header. The search is level by level; between two levels the estimate is made,
// the checkpoint is written, and the limits are looked at.
#include "check/explore/explore.h"

#include <algorithm>
#include <chrono>
#include <cmath>

#include <fmt/format.h>

#include "check/explore/checkpoint.h"
#include "check/explore/token.h"

namespace verso::check::explore {
namespace {

using Clock = std::chrono::steady_clock;
using Search = BreadthFirst<ModelWorker>;

/// What is searched before the estimate is made: 5 to 50 ms.
constexpr u64 states_before_estimate = 5'000;

class Explorer {
public:
    Explorer(const Request& request, Task task, const Listener& listener)
        : request_(request),
          listener_(listener),
          task_(std::move(task)),
          packer_(node_of(task_, task_.beginnings.front())),
          search_(workers(), {request.memory_bytes}) {
        for (std::size_t i = 0; i < search_.workers(); ++i) {
            search_.worker(i).origin_of = [this](u32 number) { return search_.origin(number); };
        }
        search_.on_progress = [this] { tell_progress(); };
    }

    Result<Report> run() {
        report_.acts = task_.acts.size();
        if (Result<bool> begun = begin(); !begun) {
            return pass(begun);
        }
        while (search_.level().states() != 0 && search_.depth() < task_.scope.steps) {
            for (std::size_t i = 0; i < search_.workers(); ++i) {
                search_.worker(i).at_depth(search_.depth());
            }
            const Halt halt = search_.run_level();
            if (halt != Halt::no) {
                report_.ending = halt == Halt::enough ? Ending::found : Ending::memory;
                return finish();
            }
            report_.level_states.push_back(search_.level().states());
            if (Result<bool> kept = between_levels(); !kept) {
                return pass(kept);
            }
            if (request_.estimate_only && estimated_) {
                report_.ending = Ending::estimated;
                return finish();
            }
        }
        report_.ending = search_.level().states() == 0 ? Ending::complete : Ending::steps;
        return finish();
    }

private:
    std::vector<std::unique_ptr<ModelWorker>> workers() const {
        std::vector<std::unique_ptr<ModelWorker>> all;
        for (unsigned i = 0; i < std::max(1U, request_.workers); ++i) {
            all.push_back(std::make_unique<ModelWorker>(task_, packer_));
        }
        return all;
    }

    Result<bool> begin() {
        if (!request_.resume.empty()) {
            Result<Checkpoint> read = read_checkpoint(request_.resume, identity());
            if (!read) {
                return pass(read);
            }
            report_.level_states = std::move(read->level_states);
            report_.resumed_depth = read->depth;
            before_ = std::move(read->tally);
            search_.restore(read->met, std::move(read->origins), std::move(read->level),
                            read->depth);
            return true;
        }
        for (std::size_t i = 0; i < task_.beginnings.size(); ++i) {
            if (!task_.beginnings[i].why_not.empty()) {
                continue;
            }
            const Node node = node_of(task_, task_.beginnings[i]);
            Packer::Packed packed;
            search_.add_beginning(packer_.pack(node, packed), static_cast<u16>(i));
        }
        report_.level_states.push_back(search_.level().states());
        return true;
    }

    /// What must be the same for a checkpoint to fit. Not how many steps: a search may go on
    /// further than it was meant to.
    std::string identity() const {
        Scope scope = task_.scope;
        scope.steps = Limits::steps_max;
        return fmt::format("{}/{}/{}/{}/{:016x}", request_.rules, to_text(scope),
                           to_text(task_.oracles), task_.every,
                           mm::hash_of(task_.beginnings.front().state));
    }

    Result<bool> between_levels() {
        const bool over = search_.level().states() == 0 || search_.depth() >= task_.scope.steps;
        const bool enough = search_.states() >= states_before_estimate ||
                            (request_.estimate_only && search_.depth() >= 4);
        if (estimated_ || (enough && (!over || request_.estimate_only))) {
            report_.estimate = estimate();  // anew after each level, for the progress
            if (!estimated_ && listener_.estimate) {
                listener_.estimate(report_.estimate);
            }
            estimated_ = true;
        }
        if (request_.checkpoint.empty()) {
            return true;
        }
        return write_checkpoint(request_.checkpoint, identity(),
                                {search_.depth(), report_.level_states, tally(), search_.visited(),
                                 search_.origins(), search_.level()});
    }

    /// Each level grows by less than the one before, and by ever more nearly as much: what the
    /// growth loses from one level to the next is the square root of what it lost before. Of five
    /// scopes that were searched to the end, this guessed 0.7 to 2.7 times the states when 5,000
    /// were known, and 0.8 to 1.3 times when 20,000 were.
    Estimate estimate() const {
        const std::vector<u64>& levels = report_.level_states;
        Estimate estimate{static_cast<double>(search_.states()), 0, 0,
                          static_cast<unsigned>(levels.size())};
        const auto growth_at = [&](std::size_t i) {
            return static_cast<double>(levels[i]) / static_cast<double>(levels[i - 1]) - 1;
        };
        const std::size_t last = levels.size() - 1;
        double growth = last >= 1 ? growth_at(last) : 0;
        const double before = last >= 2 ? growth_at(last - 1) : 0;
        double keeps = growth > 0 && before > growth ? std::max(0.05, growth / before) : 1;
        double level = static_cast<double>(levels[last]);
        for (unsigned depth = search_.depth(); depth < task_.scope.steps; ++depth) {
            keeps = std::sqrt(keeps);
            growth *= keeps;
            level *= 1 + growth;
            estimate.states += level;
        }
        const double each = seconds() / static_cast<double>(search_.states());
        estimate.seconds = each * estimate.states;
        const u64 here = std::max(u64{1}, search_.level().states());
        estimate.bytes =
            static_cast<double>(search_.level().bytes()) / static_cast<double>(here) * level * 2 +
            estimate.states * (2 * Visited::slot_bytes + sizeof(Origin));
        return estimate;
    }

    void tell_progress() const {
        if (listener_.progress) {
            listener_.progress(
                {search_.depth() + 1, search_.states_so_far(), report_.estimate.states, seconds()});
        }
    }
    u64 nanoseconds() const {
        return static_cast<u64>(std::chrono::nanoseconds(Clock::now() - began_).count());
    }
    /// With those of before the checkpoint that it went on from.
    double seconds() const {
        return static_cast<double>(before_.nanoseconds + nanoseconds()) / 1e9;
    }

    Path path_to(const Finding& finding) const {
        Path path;
        Origin at = finding.origin;
        while (at.parent != Origin::none) {
            path.made.push_back({at.label.act, at.label.variant});
            at = search_.origin(at.parent);
        }
        path.beginning = at.label.act;
        std::ranges::reverse(path.made);
        return path;
    }

    Counterexample counterexample_of(const Finding& finding) const {
        const Path path = in_own_names(task_, path_to(finding));
        const Replay replayed = replay(task_, path);
        VERSO_CHECK(finding.exception || !replayed.broken.empty(),
                    "'{}' was found, and its program does not show it", finding.sentence);
        Counterexample shown{finding.exception ? finding.sentence : replayed.broken,
                             replayed.beginning};
        for (const ReplayStep& step : replayed.steps) {
            shown.acts.push_back(step.act);
        }
        shown.litmus = replayed.litmus;
        shown.token = token_of(request_.rules, task_, path, replayed.end);
        shown.exception = finding.exception;
        shown.times = finding.times;
        return shown;
    }

    Tally tally() const {
        Tally sum = before_;
        sum.edges += search_.edges();
        sum.nanoseconds += nanoseconds();
        for (std::size_t i = 0; i < search_.workers(); ++i) {
            sum.add(search_.worker(i));
        }
        return sum;
    }

    Report finish() {
        Tally sum = tally();
        report_.depth = search_.depth();
        report_.states = search_.states_so_far();
        report_.edges = sum.edges;
        report_.tried = sum.tried;
        report_.outside = sum.outside;
        report_.bytes = search_.bytes();
        report_.seconds = seconds();
        for (const Finding& finding : sum.in_order()) {
            report_.found.push_back(counterexample_of(finding));
        }
        report_.mattered = std::move(sum.mattered);
        for (const Beginning& one : task_.beginnings) {
            if (!one.why_not.empty()) {
                report_.skipped.push_back(fmt::format("{}: {}", name_of(one), one.why_not));
            }
        }
        return std::move(report_);
    }

    const Request& request_;
    const Listener& listener_;
    Task task_;
    Packer packer_;
    Search search_;
    Report report_;
    Tally before_;  // of the search that this one goes on with
    bool estimated_ = false;
    Clock::time_point began_ = Clock::now();
};

}  // namespace

double collision_odds(u64 states) {
    const auto n = static_cast<double>(states);
    return n * n / std::exp2(129);
}

Node node_of(const Task& task, const Beginning& beginning) {
    Node node{beginning.state, {}};
    mm::canonicalise(node.state);
    node.past = mm::History(node.state, task.rules, task.oracles).past();
    return node;
}

Result<Task> task_of(const std::string& rules, const Scope& scope, mm::Oracles oracles,
                     bool every) {
    const std::size_t colon = std::min(rules.find(':'), rules.size());
    Result<mm::Rules> parsed = parse_rules(rules.substr(0, colon));
    if (!parsed) {
        return pass(parsed);
    }
    std::optional<mm::Rules> against;
    if (colon < rules.size()) {
        Result<mm::Rules> other = parse_rules(rules.substr(colon + 1));
        if (!other) {
            return pass(other);
        }
        against = *other;
    }
    Task task{scope, *parsed, oracles,        every,
              false, against, acts_of(scope), beginnings_of(scope, *parsed)};
    const auto possible = std::ranges::find_if(
        task.beginnings, [](const Beginning& one) { return one.why_not.empty(); });
    if (possible == task.beginnings.end()) {
        return fail(ErrorKind::invalid_argument, 0,
                    "rules {} have none of these modes ({}); choose another one", rules,
                    task.beginnings.front().why_not);
    }
    if (task.acts.empty()) {
        return fail(ErrorKind::invalid_argument, 0,
                    "nothing is left to do in this scope; allow some calls");
    }
    return task;
}

Result<Report> explore(const Request& request, const Listener& listener) {
    Result<Task> task = task_of(request.rules, request.scope, request.oracles, request.every);
    if (!task) {
        return pass(task);
    }
    task->coverage = request.coverage;
    return Explorer(request, std::move(*task), listener).run();
}

}  // namespace verso::check::explore
