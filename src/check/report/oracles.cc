// Oracles: see the header. A broken invariant is found anew in every state that follows; it is
// reported where it appears. After a broken promise the history begins anew, so that one lost write
// is not also reported as a dozen pages that hold what they should not.
#include "check/report/oracles.h"

#include <algorithm>
#include <charconv>

#include "base/check.h"

namespace verso::check::report {
namespace {

struct Known {
    std::string_view oracle;
    std::string_view name;
    bool promise;
    std::string_view why;
};
constexpr Known known[] = {
    {"I9", "lost write", true,
     "Whoever protected the page waits to be told of exactly this write. Nobody was told: a "
     "snapshot taken from this page now holds bytes from after the snapshot."},
    {"I10", "false clean", true,
     "PAGEMAP_SCAN calls a page unwritten that was written: an incremental copy leaves it out."},
    {"E-SD8", "false clean", true,
     "The soft-dirty bit says that the page was not written since clear_refs, and it was: an "
     "incremental copy leaves it out."},
    {"SC", "false report", true, "PAGEMAP_SCAN reports something else than the entries say."},
    {"contents", "lost bytes", true,
     "A load brings something that nobody stored there, or no longer brings what was stored."},
    {"progress", "no progress", true, "Somebody waits for what cannot come any more."},
    {"I1", "protected, yet writable", false,
     "The processor asks the write bit alone; uffd-wp is a bit that only the kernel reads. The "
     "next store goes through without a fault, and nobody is told."},
    {"I2", "protected, yet migrating as writable", false,
     "When the migration ends, the entry becomes writable, and protection is void."},
    {"I3", "writable, yet shared", false,
     "A store would change bytes that somebody else sees as its own."},
    {"I4", "protected for nobody", false,
     "Protection without a registration: a store faults, and there is nobody to tell."},
    {"I5", "half a registration", false, "A mode without a userfaultfd, or one without a mode."},
    {"I6", "writable by default", false,
     "vm_page_prot of a protected shared mapping allows writing. Whatever builds an entry from it "
     "(the end of a migration, a NUMA hint, mprotect) hands write permission back."},
    {"I8", "marker without WP_UNPOPULATED", false,
     "Anonymous memory holds a protection marker that nobody asked for."},
};

/// Every "page N of address space M" becomes what the program calls it.
std::string renamed(std::string text, const std::vector<Area>& areas) {
    constexpr std::string_view page = "page ";
    constexpr std::string_view space = " of address space ";
    for (std::size_t at = 0; (at = text.find(page, at)) != std::string::npos; ++at) {
        const char* const end = text.data() + text.size();
        u32 number = 0;
        const auto [after, error] = std::from_chars(text.data() + at + page.size(), end, number);
        const auto offset = static_cast<std::size_t>(after - text.data());
        if (error != std::errc{} || text.compare(offset, space.size(), space) != 0) {
            continue;
        }
        u32 of = 0;
        const auto [last, wrong] = std::from_chars(after + space.size(), end, of);
        if (wrong == std::errc{}) {
            const std::string name = place_in_words(areas, static_cast<u8>(of), number);
            text.replace(at, static_cast<std::size_t>(last - text.data()) - at, name);
        }
    }
    return text;
}

}  // namespace

Violation in_words(const std::string& sentence, const std::vector<Area>& areas) {
    const std::size_t colon = std::min(sentence.find(':'), sentence.size());
    Violation violation;
    violation.oracle = sentence.substr(0, colon);
    violation.what = renamed(sentence.substr(std::min(colon + 2, sentence.size())), areas);
    const auto found = std::ranges::find(known, violation.oracle, &Known::oracle);
    violation.name = found != std::end(known) ? found->name : "bookkeeping";
    violation.promise = found != std::end(known) && found->promise;
    violation.why = found != std::end(known) ? found->why : "";
    return violation;
}

void Oracles::before(const mm::Machine& machine, const mm::Call& call) {
    if (!history_) {
        history_.emplace(machine.state, machine.rules);
    }
    history_->before(machine.state, call);
}

void Oracles::after(const mm::Machine& machine, const mm::Call& call, const mm::Outcome& outcome) {
    std::string broken = mm::broken_invariant(machine.state, machine.rules);
    if (!broken.empty() && broken != broken_) {
        sentences_.push_back(broken);
    }
    broken_ = std::move(broken);
    VERSO_CHECK(history_.has_value(), "a step ended that had not begun");
    std::string promise = history_->after(machine, call, outcome);
    if (!promise.empty()) {
        sentences_.push_back(std::move(promise));
        history_.emplace(machine.state, machine.rules);
    }
}

void Oracles::wrote(u8 file, u32 index, mm::Contents now) {
    if (history_) {
        history_->wrote(file, index, now);
    }
}

std::vector<Violation> Oracles::found(const std::vector<Area>& areas) {
    std::vector<Violation> all;
    all.reserve(sentences_.size());
    for (const std::string& sentence : sentences_) {
        all.push_back(in_words(sentence, areas));
    }
    sentences_.clear();
    return all;
}

}  // namespace verso::check::report
