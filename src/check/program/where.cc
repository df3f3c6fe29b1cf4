// Worlds for programs.
#include "check/program/where.h"

#include <algorithm>
#include <charconv>

#define XXH_INLINE_ALL
#include <sys/utsname.h>
#include <xxhash.h>

#include "base/check.h"
#include "check/program/threads.h"
#include "kernel/half.h"
#include "linux/world/host_world.h"
#include "mm/sim/sim_world.h"

namespace verso::check {
namespace {

/// 618 of "6.18".
unsigned number_of(std::string_view release) {
    unsigned major = 0;
    unsigned minor = 0;
    const std::size_t dot = std::min(release.find('.'), release.size());
    std::from_chars(release.data(), release.data() + dot, major);
    if (dot < release.size()) {
        std::from_chars(release.data() + dot + 1, release.data() + release.size(), minor);
    }
    return major * 100 + minor;
}

/// A new mapping reads as dirty where soft-dirty is configured.
bool tracks_soft_dirty() {
    static const bool tracks = [] {
        Program program;
        program.steps.push_back(Step{.verb = Verb::store, .at = {0, 1, false}});
        const Trace trace = run_on_running_kernel(program);
        return !trace.steps.empty() && trace.steps[0].first[0].soft_dirty();
    }();
    return tracks;
}

/// What a machine was, and what it told its caller, after every step of the model: a step of a
/// program is many, and the next may cover what one has left.
class EveryStep final : public mm::sim::Watcher {
public:
    void before(const mm::Machine& /*machine*/, const mm::Call& /*call*/) override {}
    void after(const mm::Machine& machine, const mm::Call& /*call*/,
               const mm::Outcome& /*outcome*/) override {
        const u64 state = mm::hash_of(machine.state);
        hash_ = XXH3_64bits_withSeed(&state, sizeof state, hash_);
        add(machine.scanned);
        add(machine.pagemap);
        add(machine.delivered);
    }
    void wrote(u8 /*file*/, u32 /*index*/, mm::Contents /*now*/) override {}
    u64 hash() const { return hash_; }

private:
    template <class T>
    void add(const std::vector<T>& told) {
        static_assert(std::has_unique_object_representations_v<T>);
        hash_ = XXH3_64bits_withSeed(told.data(), told.size() * sizeof(T), hash_);
    }

    u64 hash_ = 0;
};

}  // namespace

mm::Shape shape_for(const Program& program) {
    mm::Shape shape;
    shape.space_pages = 64;
    shape.pages = 64;
    shape.slots = 32;
    const bool two_nodes = std::ranges::any_of(program.steps, [](const Step& step) {
        return step.verb == Verb::provoke &&
               step.mode == static_cast<u64>(kernel::Half::other_node);
    });
    shape.nodes = two_nodes ? 2 : 1;
    const bool threads = has_sleepers(program) || std::ranges::any_of(program.steps, &Step::thread);
    if (threads || program.features != 0) {
        shape.threads_max = 2 * (threads_max + 2);
    }
    return shape;
}

Trace run_on_model(const mm::Rules& rules, const Program& program, Choice& choice) {
    EveryStep every;
    mm::sim::SimWorld world(rules, shape_for(program), choice, {.watcher = &every});
    Trace trace = run(world, program);
    trace.course = every.hash() ^ world.trace();
    return trace;
}

Trace run_on_model(const mm::Rules& rules, const Program& program) {
    FirstChoice choice;
    return run_on_model(rules, program, choice);
}

Trace run_on_running_kernel(const Program& program, u64 patience_ms) {
    Result<std::unique_ptr<host::HostWorld>> world =
        host::HostWorld::create({.patience_ms = patience_ms});
    if (!world) {
        Trace trace;
        trace.why_not = world.error().message;
        return trace;
    }
    return run(**world, program);
}

std::string running_release() {
    utsname name{};
    // Why safe: fills the structure it is given.
    ::uname(&name);
    const std::string release = name.release;
    return release.substr(0, release.find('.', release.find('.') + 1));
}

mm::Rules rules_of_running_kernel() {
    const unsigned running = number_of(running_release());
    std::string best = "5.7";
    for (const std::string& one : mm::preset_names()) {
        const bool stable = std::ranges::count(one, '.') > 1;
        if (!stable && number_of(one) <= running && number_of(one) > number_of(best)) {
            best = one;
        }
    }
    const std::optional<mm::Rules> known = mm::preset(best);
    VERSO_CHECK(known.has_value(), "{} is a preset's name, and none", best);
    mm::Rules rules = *known;
    rules.softdirty_configured = tracks_soft_dirty();
    return rules;
}

}  // namespace verso::check
