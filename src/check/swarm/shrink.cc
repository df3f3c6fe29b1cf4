// Shrinking: see the header.
#include "check/swarm/shrink.h"

#include <algorithm>

#include "check/swarm/token.h"

namespace verso::check::swarm {
namespace {

constexpr unsigned other_tapes = 6;

class Shrinker {
public:
    Shrinker(const Case& failing, const Verdict& verdict, const mm::Rules& rules,
             const std::function<bool()>& enough)
        : rules_(rules), enough_(enough), best_{failing, verdict, 0} {
        best_.what.tape = verdict.tape;
        // A tape of zeroes may let spinners go round for a long time: that is no smaller run.
        if (verdict.ending != Ending::stuck && verdict.ending != Ending::hung) {
            decisions_at_most_ = 4 * verdict.tape.size() + 20'000;
        }
    }

    Shrunk run() {
        for (std::size_t before = ~std::size_t{0}; size() < before && !enough_();) {
            before = size();
            drop_tracks();
            drop_acts();
            turn_knobs();
            shorten_tape();
            calm_tape();
        }
        return best_;
    }

private:
    std::size_t size() const {
        const auto restless =
            std::ranges::count_if(best_.what.tape.value(), [](u32 answer) { return answer != 0; });
        return best_.what.plan.acts() * 16 + static_cast<std::size_t>(restless);
    }

    /// Keeps it if it goes wrong the same way.
    bool holds(Case tried) {
        ++best_.runs;
        tried.decisions_at_most = decisions_at_most_;
        Verdict verdict = run_apart(tried, rules_);
        if (verdict.ending != best_.verdict.ending) {
            return false;
        }
        tried.tape = verdict.tape;
        best_.what = std::move(tried);
        best_.verdict = std::move(verdict);
        return true;
    }
    /// … on its old tape, or on some other.
    bool holds_somehow(const Plan& plan) {
        if (holds({plan, best_.what.tape})) {
            return true;
        }
        for (unsigned i = 0; i < other_tapes && !enough_(); ++i) {
            Tape random(++tapes_);
            Tape::Answers answers;
            for (std::size_t k = 0; k < best_.what.tape->size(); ++k) {
                answers.push_back(random.choose(u32{1} << 30) % 97);
            }
            if (holds({plan, answers})) {
                return true;
            }
        }
        return false;
    }

    void drop_tracks() {
        for (std::size_t i = 0; i < best_.what.plan.tracks.size() && !enough_(); ++i) {
            Plan plan = best_.what.plan;
            if (!plan.tracks[i].acts.empty()) {
                plan.tracks[i].acts.clear();
                (void)holds_somehow(plan);
            }
        }
    }

    void drop_acts() {
        for (std::size_t i = 0; i < best_.what.plan.tracks.size(); ++i) {
            for (std::size_t length = best_.what.plan.tracks[i].acts.size(); length > 0;
                 length /= 2) {
                for (std::size_t at = 0;
                     at < best_.what.plan.tracks[i].acts.size() && !enough_();) {
                    Plan plan = best_.what.plan;
                    auto& acts = plan.tracks[i].acts;
                    const auto first = acts.begin() + static_cast<std::ptrdiff_t>(at);
                    const std::size_t count = std::min(length, acts.size() - at);
                    acts.erase(first, first + static_cast<std::ptrdiff_t>(count));
                    at += holds_somehow(plan) ? 0 : length;
                }
            }
        }
    }

    void try_knob(u32 Knobs::*knob, u32 value) {
        Plan plan = best_.what.plan;
        if (plan.knobs.*knob > value && !enough_()) {
            plan.knobs.*knob = value;
            (void)holds_somehow(plan);
        }
    }
    void turn_knobs() {
        for (std::size_t i = 0; i < fault_count && !enough_(); ++i) {
            Plan plan = best_.what.plan;
            if (std::exchange(plan.knobs.faults[i], 0) != 0) {
                (void)holds_somehow(plan);
            }
        }
        for (u32 Knobs::*const knob :
             {&Knobs::kernel_access, &Knobs::by_mprotect, &Knobs::pages_only, &Knobs::unprivileged,
              &Knobs::late_writes}) {
            try_knob(knob, 0);
        }
        for (const u32 pages : {1U, 2U, 4U}) {
            try_knob(&Knobs::pages, pages);
        }
        u32 processes = 1;
        for (const Track& track : best_.what.plan.tracks) {
            processes = std::max(processes, track.acts.empty() ? 1 : track.process + 1);
        }
        try_knob(&Knobs::processes, processes);
    }

    void shorten_tape() {
        for (std::size_t cut = best_.what.tape->size() / 2; cut > 0 && !enough_(); cut /= 2) {
            while (best_.what.tape->size() >= cut && !enough_()) {
                Tape::Answers tape = *best_.what.tape;
                tape.resize(tape.size() - cut);
                const std::size_t before = restless();
                Case tried{best_.what.plan, tape};
                if (!holds(tried)) {
                    break;
                }
                trim();
                if (restless() >= before) {
                    break;
                }
            }
        }
    }
    std::size_t restless() const {
        return static_cast<std::size_t>(
            std::ranges::count_if(*best_.what.tape, [](u32 answer) { return answer != 0; }));
    }
    /// Zeroes at the end are what comes there anyway.
    void trim() {
        Tape::Answers& tape = *best_.what.tape;
        while (!tape.empty() && tape.back() == 0) {
            tape.pop_back();
        }
    }

    void calm_tape() {
        trim();
        for (std::size_t length = std::max<std::size_t>(1, best_.what.tape->size() / 2); length > 0;
             length /= 2) {
            for (std::size_t at = 0; at < best_.what.tape->size() && !enough_(); at += length) {
                Tape::Answers tape = *best_.what.tape;
                const auto first = tape.begin() + static_cast<std::ptrdiff_t>(at);
                const auto last =
                    tape.begin() + static_cast<std::ptrdiff_t>(std::min(at + length, tape.size()));
                if (std::all_of(first, last, [](u32 answer) { return answer == 0; })) {
                    continue;
                }
                std::fill(first, last, 0);
                (void)holds({best_.what.plan, std::move(tape)});
                trim();
            }
        }
    }

    const mm::Rules& rules_;
    const std::function<bool()>& enough_;
    Shrunk best_;
    u64 decisions_at_most_ = decisions_max;
    u64 tapes_ = 0;
};

}  // namespace

Shrunk shrink(const Case& failing, const Verdict& verdict, const mm::Rules& rules,
              const std::function<bool()>& enough) {
    return Shrinker(failing, verdict, rules, enough).run();
}

}  // namespace verso::check::swarm
