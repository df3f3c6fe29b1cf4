// A ledger for each page of the first area: what it is registered for, whether it is protected or
// armed, whether it changed since. See the header.
#include "check/conform/promise.h"

#include <algorithm>
#include <cstdlib>
#include <vector>

#include "abi/abi.h"
#include "check/conform/compare.h"
#include "kernel/call.h"

namespace verso::check {
namespace {

using kernel::Advice;
using kernel::RegisterMode;

struct Page {
    u64 mode = 0;               // that it is registered for
    bool by_other = false;      // … with the second userfaultfd
    bool is_protected = false;  // sync: a store must be told of
    bool armed = false;         // async: called clean rightly, unless it changed
    bool changed = false;
    bool open = false;  // nothing can be said of it any more
    bool mapped = true;
};

bool is_done(const std::string& outcome) {
    return outcome.starts_with("done") || outcome.starts_with("=") || outcome.starts_with("partly");
}

bool shows_protection(const PageFacts& page) { return (page.word & abi::PagemapBit::uffd_wp) != 0; }

/// A guard, or poisoned. Of hugetlb's markers only protection shows in pagemap: the scan says that
/// there is something.
bool is_special(const PageFacts& page) {
    const std::string text = page.text();
    return text == "K(GUARD)" || text == "K(POISONED)" ||
           (text == "N" && (page.categories & abi::PageIs::swapped) != 0);
}

bool is_advice(const Step& step, Advice which) {
    return step.verb == Verb::advise && step.mode == static_cast<u64>(which);
}

/// Takes away what a page's entry maps.
bool zaps(const Step& step) {
    return step.verb == Verb::unmap || step.verb == Verb::truncate || step.verb == Verb::punch ||
           is_advice(step, Advice::drop) || is_advice(step, Advice::remove) ||
           is_advice(step, Advice::guard_install);
}

bool fills(const Step& step) {
    return step.verb == Verb::copy || step.verb == Verb::zeropage || step.verb == Verb::continue_ ||
           step.verb == Verb::move || step.verb == Verb::poison;
}

bool writes(const Step& step) {
    return step.verb == Verb::store || step.verb == Verb::write || step.verb == Verb::force;
}

class Ledger {
public:
    explicit Ledger(const Program& program)
        : program_(program),
          async_((program.features & abi::Feature::wp_async) != 0),
          markers_(program.kind != Kind::A ||
                   (program.features & (abi::Feature::wp_async | abi::Feature::wp_unpopulated)) !=
                       0),
          pages_(program.huge ? 2 : program.pages) {}

    /// A sentence, if the step broke something.
    std::string step(const Step& step, const Seen& before, const Seen& after) {
        if (after.outcome == "hangs") {
            promise_ = "END";
            return "the call does not return";
        }
        std::string asleep = sleepers(step, before, after);
        if (!asleep.empty() || races_) {
            return asleep;  // in which order things happened is not seen
        }
        const PageRange range = pages_of(program_, step);
        for (std::size_t i = 0; i < pages_.size() && i < after.first.size(); ++i) {
            const std::size_t end = std::min(range.end, reached(range, after.outcome));
            const bool here = !step.at.second && i >= range.first && i < end;
            const PageFacts was = i < before.first.size() ? before.first[i] : PageFacts{};
            std::string broken = account(step, pages_[i], here, was, after.first[i], after.outcome);
            if (broken.empty() && !pages_[i].open) {
                broken = look(step, pages_[i], here, was, after.first[i]);
            }
            if (!broken.empty()) {
                return fmt::format("page {}: {}", i, broken);
            }
        }
        return {};
    }
    std::string_view promise() const { return promise_; }

private:
    /// Who slept in a fault of memory that is unregistered must go on (UN-8).
    std::string sleepers(const Step& step, const Seen& before, const Seen& after) {
        races_ = races_ || step.background;
        const bool all = step.verb == Verb::unregister && !step.at.second && step.at.first == 0 &&
                         step.at.count == 0 && !step.child && step.thread == 0;
        if (all && after.outcome == "done" && !races_ && !strays_) {
            for (const std::string& thread : after.threads) {
                const bool slept =
                    thread.ends_with(":blocked") &&
                    std::ranges::find(before.threads, thread) != before.threads.end();
                if (slept) {
                    promise_ = "END";
                    return thread + " although the memory is registered no more: nobody wakes it";
                }
            }
        }
        // Asleep elsewhere, or in a call that tells of a change and waits for its reader.
        const bool strays = step.at.second || step.child || !takes_one_page(step.verb);
        strays_ = strays_ || (after.outcome == "blocked" && strays) || step.verb == Verb::remap ||
                  step.verb == Verb::unmap;
        return {};
    }

    /// "partly 1": what lies behind was not touched.
    static std::size_t reached(const PageRange& range, const std::string& outcome) {
        constexpr std::string_view partly = "partly ";
        return outcome.starts_with(partly)
                   ? range.first + std::strtoull(outcome.c_str() + partly.size(), nullptr, 10)
                   : range.end;
    }

    std::string account(const Step& step, Page& page, bool here, const PageFacts& was,
                        const PageFacts& now, const std::string& outcome) {
        const bool done = is_done(outcome);
        forked_ = forked_ || step.verb == Verb::fork;
        if (step.verb == Verb::close && page.mode != 0 && page.by_other == step.other) {
            page.open = page.open || forked_;  // a child may have it still
            page = Page{.open = page.open, .mapped = page.mapped};
        }
        const bool of_userfaultfd = step.verb >= Verb::register_ && step.verb <= Verb::close;
        const bool of_file = step.verb == Verb::truncate || step.verb == Verb::punch ||
                             is_advice(step, Advice::remove);
        if (step.child && !of_userfaultfd && !of_file) {
            return {};  // its own memory; a descriptor is the parent's, so is the file
        }
        const bool fell_silent = step.verb == Verb::arm && !done && was.written() && !now.written();
        if (here && fell_silent && (was.categories & abi::PageIs::wp_allowed) != 0) {
            promise_ = "I10";
            return "armed by a scan that failed: that it was written is told to nobody";
        }
        const bool may_end_later = step.thread != 0 || outcome == "blocked";
        page.open = page.open || (here && may_end_later);
        if (!here || !done) {
            // A fill or a zap that fails may have done a part, a walk its first mappings (WP-13).
            const bool in_parts = fills(step) || zaps(step) || step.verb == Verb::write_protect ||
                                  step.verb == Verb::arm;
            page.open = page.open || (here && in_parts && !done && pages_.size() > 1);
            return {};
        }
        if (registration(step, page)) {
            return {};
        }
        if (step.verb == Verb::write_protect || step.verb == Verb::arm) {
            return protection(step, page, was, now);
        }
        if (fills(step)) {
            const bool with = (step.mode & kernel::FillFlag::write_protect) != 0 &&
                              step.verb != Verb::move && step.verb != Verb::poison;
            page.is_protected = with && shows_protection(now);
            page.armed = with && shows_protection(now);
            page.changed = !with;
            return {};
        }
        return access(step, page, was, now);
    }

    /// Done with a step that changes whose the page is.
    static bool registration(const Step& step, Page& page) {
        if (!page.mapped) {
            return true;
        }
        if (step.verb == Verb::register_) {
            const u64 old = page.mode;
            if ((old & step.mode) != step.mode) {
                page.mode = step.mode;
            }
            page.by_other = step.other;
            if ((page.mode & RegisterMode::write_protect) == 0 ||
                (old & RegisterMode::write_protect) == 0) {
                page.is_protected = page.armed = page.changed = false;
            }
            return true;
        }
        const bool moves = step.verb == Verb::remap;
        const bool stays = moves && (step.mode & kernel::RemapFlag::dontunmap) != 0;
        if (step.verb == Verb::unregister || step.verb == Verb::unmap || (moves && !stays)) {
            page = Page{.open = page.open, .mapped = page.mapped && step.verb == Verb::unregister};
            return true;
        }
        return false;
    }

    /// Is it one of those that the scan was to arm?
    static bool is_selected(const Step& step, const PageFacts& was) {
        const u64 without = (step.mode >> ScanMode::without_shift) & ScanMode::categories;
        const u64 mask = (step.mode & ScanMode::categories) | without;
        return ((was.categories ^ without) & mask) == mask;
    }

    /// Registered memory that is empty is `written`, but in hugetlb (empty-hugetlb).
    bool is_hole(const PageFacts& was) const {
        return !is_hugetlb(program_.kind) && was.text() == "N" && was.categories == 0;
    }

    std::string protection(const Step& step, Page& page, const PageFacts& was,
                           const PageFacts& now) {
        const bool tracked = (was.categories & abi::PageIs::wp_allowed) != 0;
        if (step.verb == Verb::arm && tracked && was.written() && !now.written() &&
            !is_selected(step, was)) {
            promise_ = "I10";
            return fmt::format("armed though it does not match ({} -> {})", was.text(), now.text());
        }
        const bool owner = step.verb == Verb::arm || page.by_other == step.other;
        if ((page.mode & RegisterMode::write_protect) == 0 || !owner) {
            return {};
        }
        const bool set = step.verb == Verb::arm || (step.mode & 1) != 0;
        if (!set) {
            page.is_protected = page.armed = false;
            page.changed = true;
            return {};
        }
        const std::string text = now.text();
        if (step.verb == Verb::write_protect) {
            if (is_hole(was)) {
                return {};  // the call goes past what is not mapped (WP-13)
            }
            if (!shows_protection(now) && !is_special(now) && !(text == "N" && !markers_)) {
                promise_ = "WP";
                return fmt::format("protected, and shows {} (was {})", text, was.text());
            }
            page.is_protected = shows_protection(now);
        }
        if (shows_protection(now) || !now.written()) {
            page.armed = shows_protection(now);
            page.changed = false;
        }
        return {};
    }

    std::string access(const Step& step, Page& page, const PageFacts& was, const PageFacts& now) {
        if (writes(step)) {
            if (page.is_protected && !async_ && !page.open && step.thread == 0) {
                promise_ = "I9";
                return fmt::format("a {} got through to a protected page ({} -> {})", word_of(step),
                                   was.text(), now.text());
            }
            page.changed = true;
        }
        if (is_advice(step, Advice::free)) {
            page.open = true;  // it may become zeroes at any time
        }
        const bool copy = !was_file_page(was);
        if (zaps(step)) {
            // A hole in the file leaves private copies where they are.
            const bool hole = step.verb == Verb::punch || is_advice(step, Advice::remove);
            page.changed = page.changed || (copy && !hole);
            page.is_protected = page.is_protected && shows_protection(now);
        }
        if (step.verb == Verb::remap) {  // DONTUNMAP
            const bool cached = program_.kind != Kind::A && !copy;
            page.changed = page.changed || !cached;
            page.is_protected = page.is_protected && cached;
        }
        return {};
    }

    static bool was_file_page(const PageFacts& was) {
        const std::string text = was.text();
        return text.ends_with('f') || text == "N" || text == "K(WP)";
    }

    std::string look(const Step& step, const Page& page, bool here, const PageFacts& was,
                     const PageFacts& now) {
        const std::string text = now.text();
        const bool tracked = (now.categories & abi::PageIs::wp_allowed) != 0;
        if (shows_protection(now) && (page.mode & RegisterMode::write_protect) == 0) {
            promise_ = "I4";
            return fmt::format("{} although it is not registered for protection", text);
        }
        if (!async_ && page.is_protected && !shows_protection(now)) {
            promise_ = "I9";
            return fmt::format("{} takes the protection away ({} -> {})", word_of(step), was.text(),
                               text);
        }
        if (async_ && tracked && !now.written() && !is_special(now)) {
            if (page.changed || !page.armed) {
                promise_ = "I10";
                return page.changed ? fmt::format("called clean although it changed ({})", text)
                                    : fmt::format("called clean but was never armed ({})", text);
            }
        }
        return specials(step, here, was.text(), text);
    }

    std::string specials(const Step& step, bool here, const std::string& was,
                         const std::string& now) {
        const bool layout = step.verb == Verb::unmap || step.verb == Verb::remap;
        if (was == "K(GUARD)" && now != was) {
            if (!(here && (layout || is_advice(step, Advice::guard_remove)))) {
                promise_ = "GR";
                return fmt::format("{} takes a guard away ({})", word_of(step), now);
            }
        }
        if (was == "K(POISONED)" && now != was) {
            const bool may = layout || zaps(step) || is_advice(step, Advice::free) ||
                             step.verb == Verb::copy || step.verb == Verb::zeropage ||
                             step.verb == Verb::continue_;
            if (!may) {
                promise_ = "GR";
                return fmt::format("{} takes a poisoned page away ({})", word_of(step), now);
            }
        }
        return {};
    }

    const Program& program_;
    const bool async_;
    const bool markers_;
    bool forked_ = false;
    bool races_ = false;   // a step was not awaited
    bool strays_ = false;  // who is asleep may be so for another reason than this memory
    std::vector<Page> pages_;
    std::string_view promise_;
};

}  // namespace

std::optional<Broken> broken_promise(const Program& program, const Trace& trace) {
    Ledger ledger(program);
    const Seen nothing;
    for (std::size_t i = 0; i < trace.steps.size(); ++i) {
        const Seen& before = i == 0 ? nothing : trace.steps[i - 1];
        const std::string text = ledger.step(program.steps[i], before, trace.steps[i]);
        if (!text.empty()) {
            return Broken{i, ledger.promise(), text};
        }
    }
    return std::nullopt;
}

}  // namespace verso::check
