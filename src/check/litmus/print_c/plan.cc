// Who makes each step, decided as the runner of check/program decides it while it runs.
#include <algorithm>

#include "check/litmus/print_c/steps.h"
#include "check/program/threads.h"
#include "kernel/world.h"

namespace verso::check::print_c {
namespace {

using kernel::Trigger;

bool is_by_controller(const Step& step) {
    const auto trigger = static_cast<Trigger>(step.mode);
    return step.verb == Verb::exit ||
           (step.verb == Verb::provoke &&
            (trigger == Trigger::swap_off || trigger == Trigger::ksm_merge));
}

bool uses_uffd(Verb verb) { return is_uffd_ioctl(verb) || verb == Verb::messages; }

class Planner {
public:
    explicit Planner(const Program& program) : plan_{program, {}, {}, {}, {}, {}, {}, {}, {}, 0} {}

    Result<Plan> plan() {
        const Program& program = plan_.program;
        plan_.conditions.messages = program.messages;
        plan_.conditions.user_mode = (program.features & user_mode_only) != 0;
        plan_.conditions.sleepers = has_sleepers(program);
        plan_.actors.push_back({"", "PROCESS", "PROCESS"});
        for (std::size_t i = 0; i < program.steps.size(); ++i) {
            if (Result<void> done = one(program.steps[i], i); !done) {
                return pass(done);
            }
        }
        for (const bool of_child : {false, true}) {
            const u32 pages = program.huge ? 2 : program.pages;
            for (u32 page = 0; plan_.conditions.sleepers && page < pages; ++page) {
                const std::string whose = of_child && !child_.empty() ? child_ : "PROCESS";
                plan_.actors.push_back({"", "", whose});
            }
        }
        return std::move(plan_);
    }

private:
    Result<void> one(const Step& step, std::size_t at) {
        const auto refuse = [&](const char* why) -> Result<void> {
            return fail(ErrorKind::unsupported, 0,
                        "step {}, {}: is not to be had in C: {}; verso litmus judges it", at + 1,
                        to_text(step), why);
        };
        if (step.child && child_.empty()) {
            return refuse("no child was forked before it");
        }
        if (step.verb == Verb::pin) {
            pinned_by_ = process_of(step);
            inherited_ = false;
        }
        if (step.verb == Verb::unpin && !pinned_by_.empty() && process_of(step) != pinned_by_ &&
            !inherited_) {
            return refuse("another process pinned it");
        }
        if (step.child && is_uffd_ioctl(step.verb) && opened_[1][step.other ? 1 : 0] < 0) {
            return refuse("a child has no userfaultfd that was not open when it was forked");
        }
        note_uffd(step);
        note_machine(step);
        if (!step.child && (step.thread != 0 || plan_.conditions.sleepers)) {
            static_cast<void>(thread_of(step));  // prepared by whichever step names it first
        }
        const bool threaded = is_by_thread(step);
        plan_.by_thread.push_back(threaded);
        plan_.whose.push_back(threaded ? thread_of(step) : process_of(step));
        plan_.children.emplace_back();
        if (step.verb == Verb::fork) {
            child_ = fmt::format("CHILD_{}", ++children_);
            plan_.actors.push_back({"", child_, child_});
            plan_.children.back() = child_;
            inherited_ = true;
            std::ranges::copy(opened_[0], opened_[1]);
        }
        return {};
    }

    void note_uffd(const Step& step) {
        const bool of_child = step.child && step.verb != Verb::messages;
        int& current = opened_[of_child ? 1 : 0][step.other ? 1 : 0];
        const bool opens = uses_uffd(step.verb) && current < 0;
        if (opens) {
            current = plan_.uffds++;
            plan_.conditions.uffd = true;
        }
        plan_.opens.push_back(opens);
        plan_.uffd.push_back(uses_uffd(step.verb) ? current : -1);
        if (step.verb == Verb::close) {
            current = -1;
        }
        plan_.keeps.push_back(-1);
        if (step.verb == Verb::messages && step.mode != 0) {
            opened_[0][1] = plan_.keeps.back() = plan_.uffds++;
            plan_.conditions.keeps = true;
        }
        plan_.conditions.copies = plan_.conditions.copies || step.verb == Verb::copy;
    }

    void note_machine(const Step& step) {
        Conditions& all = plan_.conditions;
        all.machine = all.machine || is_hugetlb(plan_.program.kind);
        if (step.verb != Verb::provoke) {
            return;
        }
        const auto trigger = static_cast<Trigger>(step.mode);
        all.luck = all.machine = true;
        all.hints = all.hints || trigger == Trigger::numa_hint;
        all.swap = all.swap || trigger == Trigger::reclaim || trigger == Trigger::swap_off;
    }

    bool is_by_thread(const Step& step) const {
        constexpr Verb never[] = {Verb::messages, Verb::exit, Verb::provoke,
                                  Verb::scan,     Verb::arm,  Verb::file_write};
        if (std::ranges::find(never, step.verb) != std::end(never)) {
            return false;
        }
        return step.thread != 0 || (plan_.conditions.sleepers && !is_uffd_ioctl(step.verb));
    }

    std::string process_of(const Step& step) const { return step.child ? child_ : "PROCESS"; }

    std::string thread_of(const Step& step) {
        plan_.conditions.threads = true;
        const std::string process = process_of(step);
        std::string id = fmt::format("{}_T{}", process, step.thread);
        if (std::ranges::find(plan_.actors, id, &Actor::id) == plan_.actors.end()) {
            std::string name = step.thread == 0 ? "main" : fmt::format("t{}", step.thread);
            if (step.child) {
                name = step.thread == 0 ? "child" : "child." + name;
            }
            plan_.actors.push_back({name, id, process, !step.child});
        }
        return id;
    }

    Plan plan_;
    std::string child_{};
    int children_ = 0;
    int opened_[2][2] = {{-1, -1}, {-1, -1}};  // the userfaultfds of the parent, of the child
    std::string pinned_by_{};
    bool inherited_ = false;  // whoever was forked since then has it as well
};

}  // namespace

Result<Plan> plan_of(const Program& program) { return Planner(program).plan(); }

std::string tables_text(const Plan& plan) {
    std::string ids;
    std::string actors;
    for (const Actor& one : plan.actors) {
        const std::string id = one.id.empty() ? "" : one.id + ", ";
        ids += id;
        actors +=
            fmt::format("    {{\"{}\", {}, {}}},\n", one.name, one.process, one.at_once ? 1 : 0);
    }
    const u32 pages = plan.program.huge ? 2 : plan.program.pages;
    const bool loaders = plan.conditions.sleepers;
    ids += loaders ? fmt::format("LOADERS, ACTORS = LOADERS + {}", 2 * pages) : "ACTORS";
    std::string steps;
    for (std::size_t i = 0; i < plan.program.steps.size(); ++i) {
        const Step& step = plan.program.steps[i];
        Step bare = step;
        bare.expected.clear();
        std::string fields = fmt::format("\"{}\", {}", to_text(bare), plan.whose[i]);
        const auto flag = [&](bool is, const char* name) {
            fields += is ? fmt::format(", .{} = 1", name) : "";
        };
        flag(plan.by_thread[i], "by_thread");
        flag(is_by_controller(step), "by_controller");
        flag(step.background, "background");
        flag(step.verb == Verb::provoke, "is_trigger");
        flag((step.verb == Verb::remap || step.verb == Verb::map) && !step.child, "fills_second");
        if (plan.opens[i]) {
            fields += fmt::format(", .opens = OPEN + {}", plan.uffd[i]);
        }
        if (!plan.children[i].empty()) {
            fields += fmt::format(", .forks = {}", plan.children[i]);
        }
        steps += fmt::format("    [{}] = {{{}}},\n", i + 1, fields);
    }
    return fmt::format(
        "enum {{ {} }};\nstatic const struct {{\n    const char *name;\n    int process, at_once;\n"
        "}} actors[ACTORS] = {{\n{}}};\n\nstatic const struct {{\n    const char *text;\n"
        "    int who, by_thread, by_controller, background, is_trigger, fills_second, opens, "
        "forks;\n}} steps[] = {{\n{}}};\n",
        ids, actors, steps);
}

}  // namespace verso::check::print_c
