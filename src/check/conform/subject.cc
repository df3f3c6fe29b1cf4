// Running a program on either.
#include "check/conform/subject.h"

#include <algorithm>
#include <charconv>

#include <sys/utsname.h>

#include "check/conform/compare.h"
#include "linux/world/host_world.h"
#include "mm/sim/sim_world.h"

namespace verso::check {
namespace {

/// 618 of "6.18", of "6.18.44" as well.
u32 number_of(std::string_view release) {
    u32 major = 0;
    u32 minor = 0;
    const char* const end = release.data() + release.size();
    const auto [dot, error] = std::from_chars(release.data(), end, major);
    if (error == std::errc{} && dot != end) {
        static_cast<void>(std::from_chars(dot + 1, end, minor));
    }
    return major * 100 + minor;
}

/// Does this kernel track soft-dirty pages? A new mapping reads as dirty where it does.
bool tracks_soft_dirty() {
    constexpr u64 patience_ms = 10'000;
    const Result<Program> program = parse("A: store");
    const Trace trace = on_the_running_kernel(*program, patience_ms);
    return !trace.steps.empty() && trace.steps[0].first[0].soft_dirty();
}

}  // namespace

mm::Rules running_rules() {
    std::string best = "5.7";
    for (const std::string& one : mm::preset_names()) {
        const bool stable = std::ranges::count(one, '.') > 1;
        const u32 number = number_of(one);
        if (!stable && number <= number_of(running_release()) && number > number_of(best)) {
            best = one;
        }
    }
    mm::Rules rules = *mm::preset(best);
    rules.softdirty_configured = tracks_soft_dirty();
    return rules;
}

Trace on_the_model(const Program& program, const mm::Rules& rules, Choice& choice) {
    mm::Shape shape;  // room for three areas of a few huge pages
    shape.space_pages = 64;
    shape.pages = 64;
    shape.slots = 32;
    mm::sim::SimWorld world(rules, shape, choice);
    return run(world, program);
}

Trace on_the_running_kernel(const Program& program, u64 patience_ms) {
    Result<std::unique_ptr<host::HostWorld>> world =
        host::HostWorld::create({.patience_ms = patience_ms});
    if (!world) {
        Trace trace;
        trace.why_not = world.error().message;
        return trace;
    }
    return run(**world, program);
}

bool model_allows(const Program& program, const mm::Rules& rules, const Trace& kernel,
                  unsigned tries_max) {
    Enumerator every;
    for (unsigned tries = 0; tries < tries_max; ++tries) {
        const Trace model = on_the_model(program, rules, every);
        if (!compare(program, model, kernel)) {
            return true;
        }
        if (!every.next()) {
            return false;
        }
    }
    return false;
}

}  // namespace verso::check
