// Runs programs here and there and compares; what could not be run is said at the end of a test.
#include "behaviour/behaviour.h"

#include <algorithm>

#include <sys/utsname.h>
#include <unistd.h>

#include "behaviour/divergences.h"
#include "linux/world/host_world.h"
#include "linux/world/machine.h"
#include "mm/sim/sim_world.h"

namespace verso::behaviour {
namespace {

/// "6.18" of "6.18.44-…".
std::string running_release() {
    utsname name{};
    // Why safe: fills the structure it is given.
    ::uname(&name);
    const std::string release = name.release;
    return release.substr(0, release.find('.', release.find('.') + 1));
}

/// The preset of the running release, or of the newest one before it.
mm::Rules running_rules() {
    const auto number = [](const std::string& text) {
        return std::stoi(text) * 100 + std::stoi(text.substr(text.find('.') + 1));
    };
    std::string best = "5.7";
    for (const std::string& one : mm::preset_names()) {
        const bool stable = std::ranges::count(one, '.') != 1;  // or no release
        if (!stable && number(one) <= number(running_release()) && number(one) > number(best)) {
            best = one;
        }
    }
    return *mm::preset(best);
}

check::Trace on_the_model(const check::Program& program, const mm::Rules& rules) {
    mm::Shape shape;  // room for three areas of a few huge pages
    shape.space_pages = 64;
    shape.pages = 64;
    shape.slots = 32;
    FirstChoice choice;
    mm::sim::SimWorld world(rules, shape, choice);
    return check::run(world, program);
}

/// A call that takes longer hangs: its process is ended, and the trace says so.
const host::HostWorld::Options patience{.patience_ms = 5'000};

check::Trace on_the_running_kernel(const check::Program& program) {
    Result<std::unique_ptr<host::HostWorld>> world = host::HostWorld::create(patience);
    if (!world) {
        check::Trace trace;
        trace.why_not = world.error().message;
        return trace;
    }
    return check::run(**world, program);
}

/// Does this kernel track soft-dirty pages? A new mapping reads as dirty where it does.
bool tracks_soft_dirty() {
    static const bool tracks = [] {
        const check::Trace trace = on_the_running_kernel(*check::parse("A: store"));
        return !trace.steps.empty() && trace.steps[0].first[0].soft_dirty();
    }();
    return tracks;
}

/// Huge pages for the programs that need them, put back when the test program ends.
void provide_huge_pages() {
    static const Result<std::shared_ptr<host::Machine>> machine = [] {
        Result<std::shared_ptr<host::Machine>> got = host::Machine::get();
        if (got) {
            const Result<void> pages = (*got)->huge_pages(8);
            if (!pages) {
                std::printf("no pool of huge pages: %s\n", pages.error().message.c_str());
            }
        }
        return got;
    }();
}

/// Its steps, whatever is expected of them.
std::string bare(check::Program program) {
    for (check::Step& step : program.steps) {
        step.expected.clear();
    }
    return check::to_text(program);
}

const Divergence* known(const check::Program& program) {
    const std::string release = running_release();
    for (const Divergence& one : divergences()) {
        if (one.release == release && one.program == bare(program)) {
            return &one;
        }
    }
    return nullptr;
}

}  // namespace

void Behaviour::holds(std::string_view text) {
    const Result<check::Program> program = check::parse(text);
    ASSERT_TRUE(program.has_value()) << text << ": " << program.error().message;
    if (GetParam() == Where::model) {
        const check::Trace trace = on_the_model(*program, *mm::preset("mended"));
        EXPECT_EQ(trace.why_not, "") << text;
        EXPECT_EQ(check::unmet(*program, trace), "");
        ++ran_;
        return;
    }
    provide_huge_pages();
    const check::Trace trace = on_the_running_kernel(*program);
    if (!trace.why_not.empty()) {
        why_not_.push_back(std::string(text) + ": " + trace.why_not);
        return;
    }
    ++ran_;
    mm::Rules rules = running_rules();
    rules.softdirty_configured = tracks_soft_dirty();
    const check::Trace expected = on_the_model(*program, rules);
    std::string wrong = check::unmet(*program, trace);
    if (wrong.empty()) {
        wrong = check::difference(*program, expected, trace);
    }
    const Divergence* const divergence = known(*program);
    if (divergence == nullptr) {
        EXPECT_EQ(wrong, "") << "model, then running kernel:\n"
                             << check::to_text(*program, expected)
                             << check::to_text(*program, trace);
        return;
    }
    EXPECT_EQ(check::difference(*program, expected, trace), "") << "the model of it does the same";
    const check::Trace kept = on_the_model(*program, *mm::preset("mended"));
    wrong = check::difference(*program, kept, trace);
    EXPECT_NE(wrong, "") << "no longer diverges, take it out of the list: " << text;
    std::printf("known divergence (%s): %s\n  %s\n", running_release().c_str(),
                divergence->reason.data(), wrong.c_str());
}

void Behaviour::holds_for(std::string_view kinds, std::string_view steps) {
    const std::size_t comma = std::min(kinds.find(','), kinds.size());
    const std::string_view options = kinds.substr(comma);
    std::string_view names = kinds.substr(0, comma);
    while (!names.empty()) {
        const std::string_view name = names.substr(0, names.find(' '));
        names.remove_prefix(std::min(name.size() + 1, names.size()));
        holds(fmt::format("{}{}: {}", name, options, steps));
    }
}

void Behaviour::TearDown() {
    for (const std::string& one : why_not_) {
        std::printf("not run: %s\n", one.c_str());
    }
    if (ran_ == 0 && !why_not_.empty()) {
        GTEST_SKIP() << why_not_.front();
    }
}

}  // namespace verso::behaviour
