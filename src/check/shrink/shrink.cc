// The passes.
#include "check/shrink/shrink.h"

#include <vector>

namespace verso::check {
namespace {

/// One bit less, each in turn; the fewest first.
std::vector<u64> fewer_bits(u64 mode) {
    std::vector<u64> simpler;
    if (mode != 0) {
        simpler.push_back(0);
    }
    for (u64 bit = 1; bit != 0; bit <<= 1) {
        if ((mode & bit) != 0 && mode != bit) {
            simpler.push_back(mode & ~bit);
        }
    }
    return simpler;
}

bool has_bits_for_mode(Verb verb) { return verb != Verb::advise && verb != Verb::provoke; }

/// The same step, simpler in one respect.
std::vector<Step> simpler_steps(const Step& step) {
    std::vector<Step> all;
    const auto with = [&](auto change) {
        Step simpler = step;
        change(simpler);
        if (!(simpler == step)) {
            all.push_back(simpler);
        }
    };
    if (step.verb == Verb::protect || step.verb == Verb::write_protect) {
        with([](Step& s) { s.mode &= s.verb == Verb::protect ? 3U : 1U; });
    } else if (has_bits_for_mode(step.verb)) {
        for (const u64 mode : fewer_bits(step.mode)) {
            with([&](Step& s) { s.mode = mode; });
        }
    }
    with([](Step& s) { s.value = 0; });
    with([](Step& s) { s.other = false; });
    with([](Step& s) { s.background = false; });
    with([](Step& s) {
        s.thread = 0;
        s.background = false;
    });
    with([](Step& s) { s.thread = s.thread > 1 ? 1 : s.thread; });
    with([](Step& s) { s.child = s.verb == Verb::exit; });
    with([](Step& s) { s.at.second = false; });
    with([](Step& s) { s.at = {0, takes_one_page(s.verb) ? 1U : 0U, s.at.second}; });
    with([](Step& s) { s.at.first = 0; });
    return all;
}

}  // namespace

bool Shrinker::shows(const Program& program) {
    const std::string text = to_text(program);
    const auto known = known_.find(text);
    if (known != known_.end()) {
        return known->second;
    }
    if (asked_ >= limits_.questions_max) {
        return false;
    }
    ++asked_;
    return known_[text] = still_shows_(program);
}

bool Shrinker::adopt(Program& program, const Program& simpler) {
    if (simpler == program || !shows(simpler)) {
        return false;
    }
    program = simpler;
    return true;
}

bool Shrinker::drop_steps(Program& program, std::size_t width) {
    bool dropped = false;
    for (std::size_t at = program.steps.size(); at-- > 0;) {
        if (at + width > program.steps.size() || program.steps.size() <= width) {
            continue;
        }
        Program shorter = program;
        const auto from = shorter.steps.begin() + static_cast<std::ptrdiff_t>(at);
        shorter.steps.erase(from, from + static_cast<std::ptrdiff_t>(width));
        dropped |= adopt(program, shorter);
    }
    return dropped;
}

bool Shrinker::simplify_steps(Program& program) {
    bool changed = false;
    for (std::size_t i = 0; i < program.steps.size(); ++i) {
        for (const Step& step : simpler_steps(program.steps[i])) {
            Program simpler = program;
            simpler.steps[i] = step;
            changed |= adopt(program, simpler);
        }
    }
    return changed;
}

bool Shrinker::simplify_head(Program& program) {
    bool changed = false;
    const auto with = [&](auto change) {
        Program simpler = program;
        change(simpler);
        changed |= adopt(program, simpler);
    };
    with([](Program& p) { p.huge = false; });
    with([](Program& p) { p.messages = false; });
    with([](Program& p) { p.pages = 1; });
    with([](Program& p) { p.pages = p.pages > 2 ? 2 : p.pages; });
    for (u64 bit = 1; bit != 0; bit <<= 1) {
        with([&](Program& p) { p.features &= ~bit; });
    }
    return changed;
}

Program Shrinker::shrink(const Program& program, std::size_t last) {
    Program best = program;
    if (last + 1 < best.steps.size()) {
        Program shorter = best;
        shorter.steps.resize(last + 1);
        adopt(best, shorter);
    }
    bool changed = true;
    while (changed && asked_ < limits_.questions_max) {
        changed = drop_steps(best, 1);
        changed |= drop_steps(best, 2);
        changed |= simplify_head(best);
        changed |= simplify_steps(best);
    }
    return best;
}

}  // namespace verso::check
