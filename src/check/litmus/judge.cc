// Judging: every run is held against every condition. A condition that one run breaks is
// forbidden; a `may` that no run shows is unseen.
#include <algorithm>
#include <charconv>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "check/litmus/litmus.h"
#include "check/program/where.h"

namespace verso::check {
namespace {

/// What the page holds in the end: "= 3".
bool holds_value(const Clause& clause, const Trace& trace) {
    const bool has_child = !trace.steps.empty() && !trace.steps.back().child.empty();
    const std::size_t pages = trace.contents.size() / (has_child ? 2 : 1);
    const std::size_t at = clause.page + (clause.child ? pages : 0);
    return clause.page < pages && at < trace.contents.size() &&
           trace.contents[at] == fmt::format("= {}", clause.value);
}

bool holds(const Program& program, const Clause& clause, const Trace& trace) {
    if (clause.step == 0) {
        return holds_value(clause, trace);
    }
    const std::size_t at = clause.step - 1;
    return at < trace.steps.size() && std::ranges::all_of(clause.words, [&](const auto& word) {
               return matches(program.steps[at], trace.steps[at], word);
           });
}

std::string state_text(const Trace& trace) {
    std::string text;
    for (const Seen& seen : trace.steps) {
        text += (text.empty() ? "" : "; ") + seen.outcome;
        for (const std::string& thread : seen.threads) {
            text += " " + thread;
        }
    }
    for (const std::string& one : trace.contents) {
        text += (&one == &trace.contents.front() ? " | " : ", ") + one;
    }
    return text;
}

class Judge {
public:
    explicit Judge(const Litmus& litmus)
        : litmus_(litmus), shown_by_(litmus.conditions.size(), false) {}

    void add(const Trace& trace) {
        ++verdict_.runs;
        note_course(trace);
        if (!trace.why_not.empty()) {
            // How it would have gone on is not known: it neither shows nor breaks anything.
            ++verdict_.could_not_go_on;
            not_run_ = trace.why_not;
            return;
        }
        count(state_text(trace));
        if (const std::string text = unmet(litmus_.program, trace); !text.empty()) {
            forbid(text.substr(0, text.find('\n')), trace);
        }
        for (std::size_t i = 0; i < litmus_.conditions.size(); ++i) {
            const Condition& condition = litmus_.conditions[i];
            const bool held = std::ranges::all_of(condition.all, [&](const Clause& clause) {
                return holds(litmus_.program, clause, trace);
            });
            shown_by_[i] = shown_by_[i] || held;
            if (condition.need != Need::may && held != (condition.need == Need::must)) {
                forbid(to_text(condition), trace);
            }
        }
    }

    u64 ended() const { return verdict_.runs - verdict_.could_not_go_on; }
    void refuse(std::string why) { not_run_ = std::move(why); }

    Judgement finish(bool cut) {
        verdict_.cut = cut;
        if (verdict_.kind == Judgement::Kind::forbidden) {
            return std::move(verdict_);
        }
        if (verdict_.states.empty()) {
            verdict_.kind = Judgement::Kind::not_run;
            verdict_.why = not_run_;
            return std::move(verdict_);
        }
        for (std::size_t i = 0; i < shown_by_.size(); ++i) {
            if (litmus_.conditions[i].need == Need::may && !shown_by_[i]) {
                verdict_.kind = Judgement::Kind::unseen;
                verdict_.why = to_text(litmus_.conditions[i]);
                break;
            }
        }
        return std::move(verdict_);
    }

private:
    void note_course(const Trace& trace) {
        if (trace.course == 0) {
            return;  // a kernel's
        }
        const std::string seen = to_text(litmus_.program, trace) + trace.why_not;
        const u64 hash = XXH3_64bits_withSeed(seen.data(), seen.size(), trace.course);
        verdict_.course =
            static_cast<u32>(XXH3_64bits_withSeed(&hash, sizeof hash, verdict_.course));
    }

    void count(std::string text) {
        const auto same = std::ranges::find(verdict_.states, text, &LitmusState::text);
        if (same != verdict_.states.end()) {
            ++same->runs;
        } else {
            verdict_.states.push_back({std::move(text), 1});
        }
    }

    /// The first is kept.
    void forbid(std::string why, const Trace& trace) {
        if (verdict_.kind != Judgement::Kind::forbidden) {
            verdict_.kind = Judgement::Kind::forbidden;
            verdict_.why = std::move(why);
            verdict_.witness = to_text(litmus_.program, trace);
        }
    }

    const Litmus& litmus_;
    std::vector<bool> shown_by_;
    std::string not_run_{};
    Judgement verdict_{};
};

bool asks_for_soft_dirty(const Litmus& litmus) {
    const auto asks = [](const std::string& word) {
        return word == "dirty" || word == "undirtied";
    };
    const auto in_step = [&](const Step& step) { return std::ranges::any_of(step.expected, asks); };
    const auto in_clause = [&](const Clause& one) { return std::ranges::any_of(one.words, asks); };
    return std::ranges::any_of(litmus.program.steps, in_step) ||
           std::ranges::any_of(litmus.conditions, [&](const Condition& condition) {
               return std::ranges::any_of(condition.all, in_clause);
           });
}

}  // namespace

std::string_view name_of(Judgement::Kind kind) {
    switch (kind) {
        case Judgement::Kind::ok: return "Ok";
        case Judgement::Kind::unseen: return "Unseen";
        case Judgement::Kind::forbidden: return "Forbidden";
        case Judgement::Kind::not_run: return "not run";
    }
    return {};
}

Judgement judge_on_model(const mm::Rules& rules, const Litmus& litmus, u64 runs_max) {
    Judge judge(litmus);
    Enumerator every;
    bool more = true;
    for (u64 run = 0; more && run < runs_max; ++run) {
        judge.add(run_on_model(rules, litmus.program, every));
        more = every.next();
    }
    return judge.finish(more);
}

/// A trigger may need luck: it is tried again until it was seen to act, and what was in vain is
/// counted. What this machine lacks does not come by asking: three times are enough then.
Judgement judge_on_running_kernel(const Litmus& litmus, u64 runs) {
    constexpr u64 tries_a_run = 20;
    constexpr u64 tries_in_vain_max = 3;
    Judge judge(litmus);
    if (asks_for_soft_dirty(litmus) && !rules_of_running_kernel().softdirty_configured) {
        judge.refuse("soft-dirty is not configured in this kernel");
        return judge.finish(false);
    }
    const bool luck = std::ranges::any_of(
        litmus.program.steps, [](const Step& step) { return step.verb == Verb::provoke; });
    for (u64 tries = 0; judge.ended() < runs && tries < runs * (luck ? tries_a_run : 1); ++tries) {
        if (judge.ended() == 0 && tries >= tries_in_vain_max) {
            break;
        }
        judge.add(run_on_running_kernel(litmus.program));
    }
    return judge.finish(false);
}

}  // namespace verso::check
