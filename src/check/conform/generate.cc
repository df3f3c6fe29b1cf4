// The tables of weights, and the drawing.
#include "check/conform/generate.h"

#include <algorithm>
#include <optional>

#include "abi/abi.h"
#include "base/check.h"
#include "base/choice.h"
#include "check/conform/weights.h"
#include "check/program/words.h"
#include "kernel/call.h"

namespace verso::check {
namespace {

/// Neighbouring seeds and numbers have nothing in common (the finaliser of MurmurHash3).
constexpr u64 mix(u64 seed, u64 index) {
    u64 mixed = seed * 0x9e3779b97f4a7c15 ^ (index + 1) * 0xc2b2ae3d27d4eb4f;
    mixed = (mixed ^ (mixed >> 33)) * 0xff51afd7ed558ccd;
    mixed = (mixed ^ (mixed >> 33)) * 0xc4ceb9fe1a85ec53;
    return mixed ^ (mixed >> 33);
}

class Drawing {
public:
    Drawing(u64 seed, u64 index, const Scope& scope, Batch batch)
        : choice_(mix(seed, index)), scope_(scope), batch_(batch) {}

    Program program() {
        head();
        if (program_.huge) {
            begin_huge();
        }
        if (batch_ == Batch::quick && !program_.huge && allowed("messages") && one_in(12)) {
            with_messages();
            return program_;
        }
        if (one_in(6)) {
            steps(disturb, 2 + choice_.choose(7));
            return program_;
        }
        if (batch_ == Batch::machine && program_.pages > 1 && !is_hugetlb(program_.kind) &&
            one_in(8)) {
            begin_equal();
        }
        steps(fill, choice_.choose(4));
        if (!one_in(10)) {
            add("REGISTER", [&](Step& step) { step.mode = usual_mode(); });
        }
        if (!one_in(4)) {
            add(is_async() && !one_in(4) ? "arm" : "WRITEPROTECT");
        }
        steps(disturb, 1 + choice_.choose(4));
        steps(probe, choice_.choose(4));
        return program_;
    }

private:
    bool one_in(u32 n) { return choice_.choose(n) == 0; }
    bool is_async() const { return (program_.features & abi::Feature::wp_async) != 0; }

    /// An index of `of`, each as likely as its weight.
    std::size_t weighted(const std::vector<u32>& of) {
        u32 total = 0;
        for (const u32 one : of) {
            total += one;
        }
        u32 drawn = choice_.choose(std::max(total, 1U));
        std::size_t at = 0;
        while (at + 1 < of.size() && drawn >= of[at]) {
            drawn -= of[at++];
        }
        return at;
    }

    void head() {
        std::vector<u32> of;
        for (const Kind kind : every_kind) {
            const bool wanted =
                scope_.kinds.empty() || std::ranges::find(scope_.kinds, kind) != scope_.kinds.end();
            const bool possible = batch_ == Batch::machine || !is_hugetlb(kind);
            constexpr u32 likely[] = {28, 22, 22, 8, 8, 8, 8};
            of.push_back(wanted && possible ? likely[static_cast<std::size_t>(kind)] : 0);
        }
        program_.kind = every_kind[weighted(of)];
        constexpr u32 page_counts[] = {1, 1, 1, 2, 2, 2, 2, 3};
        program_.pages =
            is_hugetlb(program_.kind) ? 1 + choice_.choose(2) : page_counts[choice_.choose(8)];
        const bool may_be_huge = program_.kind == Kind::A || program_.kind == Kind::SS;
        if (may_be_huge && choice_.choose(100) < 6) {
            program_.huge = true;
            program_.pages = 1;
        }
        using abi::Feature;
        constexpr u32 file_needs_async = 3;
        const bool ordinary = program_.kind == Kind::FS || program_.kind == Kind::FP;
        if (ordinary ? !one_in(file_needs_async * 3) : choice_.choose(5) < 2) {
            program_.features |= Feature::wp_async;
        } else if (one_in(4)) {
            program_.features |= Feature::wp_unpopulated;
        }
        program_.features |= Feature::move | Feature::poison;
    }

    /// Pages that can be merged.
    void begin_equal() {
        for (u32 page = 0; page < program_.pages; ++page) {
            add("store", [&](Step& step) {
                step.at.first = page;
                step.value = 7;
            });
        }
        add("MERGEABLE");
        equal_ = true;
    }

    void begin_huge() {
        if (program_.kind == Kind::A) {
            add("HUGEPAGE");
            add(one_in(5) ? "load" : "store");
        } else {
            add("store");
            add("store", [](Step& step) { step.at.first = 1; });
            add("COLLAPSE");
        }
    }

    /// No SIGBUS: whoever faults sleeps, in threads of its own, until somebody answers.
    void with_messages() {
        using abi::Feature;
        program_.messages = true;
        program_.features &= ~(one_in(4) ? u64{0} : Feature::wp_async);
        constexpr u64 events[] = {Feature::event_remove, Feature::event_unmap, Feature::event_remap,
                                  Feature::event_fork};
        program_.features |= one_in(5) ? events[choice_.choose(4)] : 0;
        steps(fill, choice_.choose(3));
        add("REGISTER", [&](Step& step) { step.mode = usual_mode(); });
        if (!one_in(3)) {
            add("WRITEPROTECT");
        }
        const u32 rounds = 1 + choice_.choose(3);
        for (u32 i = 0; i < rounds; ++i) {
            const u32 before = static_cast<u32>(program_.steps.size());
            steps(probe, 1);
            for (u32 at = before; at < program_.steps.size(); ++at) {
                Step& step = program_.steps[at];
                step.thread = may_sleep(step) && !step.child && threads_ < 3 ? ++threads_ : 0;
                step.background = step.thread != 0 && one_in(12);
            }
            if (one_in(2)) {
                add("messages");
            }
            steps(disturb, 1 + choice_.choose(2));
        }
        add("messages");
    }

    u64 usual_mode() {
        using kernel::RegisterMode;
        constexpr u64 wp = RegisterMode::write_protect;
        constexpr u64 missing = RegisterMode::missing;
        constexpr u64 minor = RegisterMode::minor;
        const bool file = program_.kind != Kind::A;
        switch (weighted({55, 18, 9, file ? 4U : 0U, file ? 5U : 0U, file ? 3U : 0U, 1})) {
            case 0: return wp;
            case 1: return wp | missing;
            case 2: return missing;
            case 3: return minor;
            case 4: return minor | wp;
            case 5: return minor | wp | missing;
            default: return choice_.choose(16);
        }
    }

    template <class Change>
    void add(std::string_view word, Change change) {
        if (!allowed(word)) {
            return;
        }
        for (const Word& one : verb_words()) {
            if (one.text == word) {
                Step step;
                step.verb = one.verb;
                step.mode = one.mode;
                step.at.count = takes_one_page(one.verb) ? 1 : 0;
                change(step);
                program_.steps.push_back(step);
                note(step);
                return;
            }
        }
        VERSO_CHECK(false, "no word '{}' in the notation", word);
    }
    void add(std::string_view word) {
        add(word, [](Step&) {});
    }

    bool allowed(std::string_view word) const {
        return scope_.calls.empty() || std::ranges::find(scope_.calls, word) != scope_.calls.end();
    }

    void steps(Phase phase, u32 count) {
        std::vector<u32> of;
        for (const Weight& one : weights) {
            const bool possible = allowed(one.word) && (batch_ == Batch::machine || !one.machine);
            // Of a short list, everything may come anywhere.
            const u32 weight = scope_.calls.empty() ? one.of[phase] : one.of[phase] + 1U;
            of.push_back(possible ? weight : 0);
        }
        if (std::ranges::max(of) == 0) {
            return;
        }
        for (u32 i = 0; i < count; ++i) {
            const std::string_view word = weights[weighted(of)].word;
            const bool takes_a_second = word == "hint" || word == "swapoff";
            if (makes_sense(word) && (!takes_a_second || one_in(30))) {
                add(word, [&](Step& step) { arguments(step); });
            }
        }
    }

    /// A small area need not lie where a huge page could.
    bool makes_sense(std::string_view word) const {
        const bool of_huge_pages =
            word == "COLLAPSE" || word == "HUGEPAGE" || word == "collapse" || word == "split";
        if (of_huge_pages || word == "merge") {
            // Where nothing can be merged, it takes seconds to be sure of it.
            return word == "merge" ? equal_ : program_.huge;
        }
        return true;
    }

    void arguments(Step& step) {
        place(step);
        mode(step);
        const bool stores =
            step.verb == Verb::store || step.verb == Verb::file_write || step.verb == Verb::copy;
        if (stores && one_in(3)) {
            step.value = 1 + choice_.choose(3);  // equal pages, for those who merge
        }
        const bool of_userfaultfd = step.verb >= Verb::register_ && step.verb <= Verb::close;
        step.other = of_userfaultfd && one_in(40);
        // A child has the descriptors that were open when it was forked.
        const bool has_it = !of_userfaultfd || inherited_[step.other ? 1 : 0];
        const bool pins =
            step.verb == Verb::pin || step.verb == Verb::unpin;  // by one process alone
        step.child = forked_ && has_it && !pins && step.verb != Verb::fork && one_in(4);
    }

    /// Whole huge pages are what these are about.
    static bool is_hint_for_huge_pages(const Step& step) {
        constexpr kernel::Advice those[] = {kernel::Advice::collapse, kernel::Advice::huge_page,
                                            kernel::Advice::no_huge_page};
        return step.verb == Verb::advise &&
               std::ranges::find(those, static_cast<kernel::Advice>(step.mode)) != std::end(those);
    }

    void place(Step& step) {
        const bool whole_only = step.verb == Verb::clear_refs || step.verb == Verb::close ||
                                step.verb == Verb::fork || step.verb == Verb::exit ||
                                step.verb == Verb::map || step.verb == Verb::unpin ||
                                is_hint_for_huge_pages(step);
        if (whole_only) {
            step.at = {};
            return;
        }
        const u32 pages = program_.huge ? 2 : program_.pages;
        const bool one_page = takes_one_page(step.verb);
        if (one_page || one_in(3)) {
            step.at.first = choice_.choose(pages);
            step.at.count = 1;
        }
        const bool range = step.verb == Verb::copy || step.verb == Verb::zeropage ||
                           step.verb == Verb::continue_ || step.verb == Verb::poison ||
                           step.verb == Verb::move;
        if (range && !program_.huge && one_in(3)) {
            step.at = {};
        }
        const bool in_file = step.verb == Verb::truncate || step.verb == Verb::punch ||
                             step.verb == Verb::file_write;
        const bool fixed = step.verb == Verb::remap || step.verb == Verb::move;
        step.at.second = second_ && !in_file && !fixed && one_in(4);
    }

    void mode(Step& step) {
        using kernel::FillFlag;
        if (step.verb == Verb::protect) {
            constexpr u64 some[] = {0, 1, 1, 3, 3, 3};
            step.mode = some[choice_.choose(6)];
        } else if (step.verb == Verb::register_) {
            step.mode = usual_mode();
        } else if (step.verb == Verb::copy || step.verb == Verb::continue_) {
            constexpr u64 some[] = {0, 0, 1, 1, FillFlag::no_wake, 1 | FillFlag::no_wake};
            step.mode = some[choice_.choose(6)];
        } else if (step.verb == Verb::remap) {
            step.mode = one_in(3) ? kernel::RemapFlag::dontunmap : u64{0};
        } else if (step.verb == Verb::move) {
            step.mode = one_in(3) ? kernel::MoveFlag::allow_source_holes : u64{0};
        } else if (step.verb == Verb::scan || step.verb == Verb::arm) {
            step.mode = question(step.verb);
        }
    }

    /// Mostly the usual question: what was written.
    u64 question(Verb verb) {
        using abi::PageIs;
        u64 mode = verb == Verb::scan ? PageIs::written : 0;
        if (one_in(2)) {
            std::vector<u64> bits;
            for (const ModeWord& one : mode_words()) {
                if (one.verb == verb && one.bits != PageIs::soft_dirty) {
                    bits.push_back(one.bits);
                }
            }
            const u64 drawn = bits[choice_.choose(static_cast<u32>(bits.size()))];
            const u64 opposite = drawn >= ScanMode::blind       ? 0
                                 : drawn > ScanMode::categories ? drawn >> ScanMode::without_shift
                                                                : drawn << ScanMode::without_shift;
            mode = (mode & ~opposite) | drawn;
        }
        if (one_in(5)) {
            mode |= one_in(2) ? ScanMode::blind : ScanMode::one;
        }
        return mode;
    }

    /// What later steps may build upon.
    void note(const Step& step) {
        if (step.verb == Verb::fork && !forked_) {
            forked_ = true;
            std::ranges::copy(open_, inherited_);
        }
        if (step.verb >= Verb::register_ && step.verb <= Verb::close) {
            open_[step.other ? 1 : 0] = step.verb != Verb::close;
            inherited_[step.other ? 1 : 0] &= step.verb != Verb::close;  // the number is used anew
        }
        if (step.verb == Verb::fork && forks_++ != 0) {
            program_.steps.pop_back();  // one child is enough for a program
        }
        if (step.verb == Verb::exit) {
            if (!step.child) {
                program_.steps.pop_back();
            } else {
                forked_ = false;
            }
        }
        if (step.verb == Verb::unpin) {
            if (!pinned_) {
                program_.steps.pop_back();
            }
            pinned_ = false;
        }
        if (step.verb == Verb::pin) {
            if (pinned_) {
                program_.steps.pop_back();
            }
            pinned_ = true;
        }
        second_ = second_ || step.verb == Verb::map || step.verb == Verb::remap;
    }

    RandomChoice choice_;
    const Scope& scope_;
    const Batch batch_;
    Program program_;
    bool forked_ = false;
    bool second_ = false;
    bool equal_ = false;
    bool pinned_ = false;
    bool open_[2] = {};       // the userfaultfds
    bool inherited_[2] = {};  // … by the child
    u32 forks_ = 0;
    u32 threads_ = 0;
};

}  // namespace

Program generate(u64 seed, u64 index, const Scope& scope, Batch batch) {
    return Drawing(seed, index, scope, batch).program();
}

std::vector<std::string_view> call_words() {
    std::vector<std::string_view> words;
    words.reserve(weights.size());
    for (const Weight& one : weights) {
        words.push_back(one.word);
    }
    return words;
}

bool needs_machine(std::string_view word) {
    return std::ranges::any_of(weights,
                               [&](const Weight& one) { return one.word == word && one.machine; });
}

}  // namespace verso::check
