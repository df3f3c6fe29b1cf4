// Reading pages that may be refused, and judging them.
#include "check/torture/judge.h"

#include <algorithm>
#include <csetjmp>
#include <csignal>
#include <cstring>

#include <fmt/format.h>

namespace verso::check::torture {
namespace {
thread_local sigjmp_buf bus_return;
thread_local volatile std::sig_atomic_t bus_expected = 0;

void on_bus(int signal) {
    if (bus_expected != 0) {
        siglongjmp(bus_return, 1);
    }
    static_cast<void>(std::signal(signal, SIG_DFL));
    static_cast<void>(std::raise(signal));
}

/// Once for the process. SA_NODEFER: jumping out of the handler leaves nothing blocked.
void catch_bus() {
    static const bool done = [] {
        struct sigaction action {};
        action.sa_handler = &on_bus;
        action.sa_flags = SA_NODEFER;
        // Why safe: our own handler, which passes on what was not expected.
        return ::sigaction(SIGBUS, &action, nullptr) == 0;
    }();
    static_cast<void>(done);
}

/// The first word that is not as it should be, or the number of words.
u64 first_difference(const Words& held, const Words& right) {
    return static_cast<u64>(std::mismatch(held.begin(), held.end(), right.begin()).first -
                            held.begin());
}

bool counts_from(const Words& words, u64 root) {
    bool right = true;
    for (u64 i = 0; i < words_per_page; ++i) {
        right &= words[i] == root + i;
    }
    return right;
}
}  // namespace

bool load_page(const std::byte* from, Words& to) {
    catch_bus();
    bus_expected = 1;
    const bool whole = sigsetjmp(bus_return, 0) == 0;
    if (whole) {
        std::memcpy(to.data(), from, page_size);
    }
    bus_expected = 0;
    return whole;
}

void Verdict::blame(u64& count, std::string what) {
    if (first.empty()) {
        first = std::move(what);
    }
    ++count;
}

Judge::Judge(const Layout& layout) : layout_(layout), claims_(layout.pages), roots_(layout.pages) {}

bool Judge::read(std::span<const std::byte> memory, u64 page, Words& words,
                 Verdict& verdict) const {
    if (load_page(memory.data() + to_bytes(page), words)) {
        return true;
    }
    verdict.blame(verdict.lost, fmt::format("page {} cannot be read (SIGBUS)", page));
    return false;
}

/// What the page says of itself, and whether it is that.
void Judge::claim(const Words& words, u64 page, Verdict& verdict) {
    const Claim claimed{words[0], words[saw_word]};
    const Words right = words_of(layout_.seed, page, claimed.step, claimed.saw);
    const Course& course = layout_.courses[layout_.owner_of(page)];
    if (claimed.step != 0 && course.last_step(page, claimed.step) != claimed.step) {
        verdict.blame(verdict.wrong, fmt::format("page {} claims step {}, which writes another",
                                                 page, claimed.step));
    } else if (words != right) {
        claim_half(words, page, verdict);
    } else {
        claims_[page] = claimed;
        Newest& newest = newest_[layout_.owner_of(page)];
        if (claimed.step > newest.step) {
            newest = {claimed.step, words_per_page};
        }
        ++verdict.right;
    }
}

/// A beginning of its step and an end of the step before: right for one page of a writer at most,
/// which check_moment() sees to.
void Judge::claim_half(const Words& words, u64 page, Verdict& verdict) {
    const unsigned owner = layout_.owner_of(page);
    const u64 step = words[0];
    const Words after = words_of(layout_.seed, page, step, words[saw_word]);
    const u64 stored = first_difference(words, after);
    const u64 before_step = step == 0 ? 0 : layout_.courses[owner].last_step(page, step - 1);
    // The old page's word 510 is there unless only the last word is still to be stored.
    const u64 root = root_of(layout_.seed, page, before_step);
    bool whole = step != 0 && half_[owner].page == ~u64{0} && step > newest_[owner].step;
    for (u64 i = std::max<u64>(stored, 1); i < saw_word; ++i) {
        whole = whole && words[i] == root + i;
    }
    const bool seal_is_old =
        stored > saw_word || words[seal_word] == seal_of(root, words[saw_word]);
    if (!whole || !seal_is_old) {
        verdict.blame(
            verdict.wrong,
            fmt::format("page {} of step {} holds {:#x} at word {} where {:#x} belongs, and is no "
                        "page half way from step {}",
                        page, step, words[stored], stored, after[stored], before_step));
        return;
    }
    half_[owner] = {page, words};
    newest_[owner] = {step, stored};
    claims_[page] = {step, 0};
    ++verdict.right;
}

void Judge::check_moment(const Bounds& bounds, Verdict& verdict) const {
    for (unsigned writer = 0; writer < writers_per_instance; ++writer) {
        // The writer's own note of a step may come a moment after its last store.
        if (moment_[writer] < bounds.least[writer] || moment_[writer] > bounds.most[writer] + 1) {
            verdict.blame(
                verdict.wrong,
                fmt::format("holds {} steps of writer {}, which had done {} before the "
                            "snapshot was asked for and {} after",
                            moment_[writer], writer, bounds.least[writer], bounds.most[writer]));
        }
        const u64 half = half_[writer].page;
        if (half != ~u64{0} && claims_[half].step != newest_[writer].step) {
            verdict.blame(verdict.wrong,
                          fmt::format("page {} is half way to step {}, and step {} is there", half,
                                      claims_[half].step, newest_[writer].step));
        }
    }
    for (u64 page = 0; page < layout_.pages; ++page) {
        const unsigned owner = layout_.owner_of(page);
        const u64 step = layout_.courses[owner].last_step(page, newest_[owner].step);
        const unsigned other = 1 - owner;
        if (claims_[page].step != step) {
            verdict.blame(verdict.wrong,
                          fmt::format("page {} is of step {} but step {} was done at the moment {} "
                                      "of writer {}",
                                      page, claims_[page].step, step, newest_[owner].step, owner));
        } else if (claims_[page].saw > moment_[other]) {
            verdict.blame(verdict.wrong,
                          fmt::format("page {} was begun after step {} of writer {}, of which only "
                                      "{} steps are there: no moment has both",
                                      page, claims_[page].saw, other, moment_[other]));
        }
    }
}

Verdict Judge::find(std::span<const std::byte> memory, const Bounds& bounds) {
    Verdict verdict;
    Words words;
    half_ = {};
    newest_ = {};
    for (u64 page = 0; page < layout_.pages; ++page) {
        if (read(memory, page, words, verdict)) {
            claim(words, page, verdict);
        }
    }
    for (unsigned writer = 0; writer < writers_per_instance; ++writer) {
        const Newest& newest = newest_[writer];
        moment_[writer] = newest.stored == words_per_page ? newest.step : newest.step - 1;
    }
    if (verdict.holds()) {  // else what follows from the first mistake would hide it
        check_moment(bounds, verdict);
        verdict.right -= std::min(verdict.right, verdict.wrong);
    }
    return verdict;
}

Verdict Judge::match(std::span<const std::byte> memory) const {
    Verdict verdict;
    Words words;
    for (u64 page = 0; page < layout_.pages; ++page) {
        if (!read(memory, page, words, verdict)) {
            continue;
        }
        const unsigned owner = layout_.owner_of(page);
        const Claim& was = claims_[page];
        const bool same = roots_[page] != 0 ? counts_from(words, roots_[page])
                          : half_[owner].page == page
                              ? words == half_[owner].words
                              : words == words_of(layout_.seed, page, was.step, was.saw);
        if (same) {
            ++verdict.right;
        } else {
            verdict.blame(verdict.wrong,
                          fmt::format("page {} is not what it was: {} before, now it begins with "
                                      "{:#x} {:#x}",
                                      page,
                                      roots_[page] != 0 ? "its owner's own"
                                                        : fmt::format("of step {}", was.step),
                                      words[0], words[1]));
        }
    }
    return verdict;
}

void Judge::overwrite(std::span<std::byte> memory, u64 page, u64 root) {
    Words words;
    for (u64 i = 0; i < words_per_page; ++i) {
        words[i] = root + i;
    }
    std::memcpy(memory.data() + to_bytes(page), words.data(), page_size);
    roots_[page] = root;
}

}  // namespace verso::check::torture
