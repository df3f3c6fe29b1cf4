// The glossary, in the order in which a page shows it: entries first, then what they lead to.
#include "check/report/glossary.h"

#include <algorithm>
#include <array>
#include <set>

#include <fmt/format.h>

#include "check/report/tables.h"

namespace verso::check::report {
namespace {

constexpr std::array terms = {
    // Columns of the page table, and what stands in them.
    Term{About::entries, "page", "A page of the program's area; 0' is one of its second area."},
    Term{About::entries, "entry", "What the page table says of that page."},
    Term{About::entries, "none", "Empty: the first touch is a fault."},
    Term{About::entries, "present", "The processor finds the page by itself."},
    Term{About::entries, "huge", "One entry for a whole huge page."},
    Term{About::entries, "no access",
         "Present, but every touch faults: a hint of the NUMA balancer."},
    Term{About::entries, "swap", "The bytes are in a swap slot; a touch brings them back."},
    Term{About::entries, "migration",
         "The folio is on its way to another frame; who touches the page waits. The entry "
         "remembers whether it was writable."},
    Term{About::entries, "read", "Of a migration: the entry was not writable."},
    Term{About::entries, "read excl.", "Not writable, and nobody else has the folio."},
    Term{About::entries, "exclusive", "Nobody else has these bytes: no copy is needed to write."},
    Term{About::entries, "marker",
         "There is no page; the entry only remembers a fact about the address."},
    Term{About::entries, "poisoned", "Every touch gets SIGBUS (UFFDIO_POISON)."},
    Term{About::entries, "guard", "Every touch gets SIGSEGV (MADV_GUARD_INSTALL)."},
    Term{About::entries, "hwpoison", "The memory is broken; the bytes are lost."},
    Term{About::entries, "not mapped", "No mapping covers the address."},
    Term{About::entries, "leads to", "Where the entry points."},
    Term{About::entries, "folio", "A page of memory; each has a letter for as long as it lives."},
    Term{About::entries, "slot", "A place on the swap device."},
    Term{About::entries, "zero page", "The one page of zeroes that all share, read-only."},
    Term{About::entries, "write", "The processor may write without asking. It asks nothing else."},
    Term{About::entries, "dirty", "The page was written through this entry."},
    Term{About::entries, "soft-dirty", "Written since clear_refs, for /proc/PID/pagemap."},
    Term{About::entries, "uffd-wp",
         "Protected by userfaultfd: a write is to be reported. Only the kernel reads this bit, "
         "so it protects nothing while `write` is set."},
    Term{About::entries, "reads", "What a load of the page would bring: the number stored last."},
    Term{About::entries, "pagemap", "What /proc/PID/pagemap answers, in letters:"},
    Term{About::entries, "P", "present,"},
    Term{About::entries, "S", "in swap, or migrating,"},
    Term{About::entries, "N", "nothing there,"},
    Term{About::entries, "u", "(behind it) protected by userfaultfd,"},
    Term{About::entries, "f", "(behind it) of a file or shared,"},
    Term{About::entries, "K(WP)", "a protection marker,"},
    Term{About::entries, "K(POISONED)", "a poison marker,"},
    Term{About::entries, "K(GUARD)", "a guard,"},
    Term{About::entries, "K(WRITTEN)", "a marker of a written page (a proposal)."},
    Term{About::entries, "scan", "What PAGEMAP_SCAN says of the page:"},
    Term{About::entries, "written", "written since it was last protected,"},
    Term{About::entries, "clean", "not written since."},
    Term{About::mappings, "access", "What the program may do: mmap's and mprotect's PROT_ bits."},
    Term{About::mappings, "kind", "Whether writes reach the file."},
    Term{About::mappings, "userfaultfd",
         "What the mapping is registered for. WP: writes to protected pages are reported. MISSING: "
         "touches of absent pages. MINOR: touches of pages that only the page cache has."},
    Term{About::mappings, "new entries",
         "vm_page_prot: what an entry that the kernel builds anew is allowed. If it is writable, "
         "protection can be undone by whatever rebuilds an entry."},
    Term{About::mappings, "flags", "What else was asked for: mlock, madvise."},
    Term{About::folios, "kind", "Anonymous memory, the page cache of a file, or a device's."},
    Term{About::folios, "mapped", "How many entries lead to it."},
    Term{About::folios, "exclusive", "Anonymous, and only one process has it."},
    Term{About::folios, "dirty", "Its bytes are newer than what is on disk or in swap."},
    Term{About::folios, "swap cache", "It has a swap slot as well."},
    Term{About::folios, "pins", "Devices that were given the page: it may not move."},
    Term{About::folios, "state", "Locked: somebody is at work on it. KSM: merged with equal ones."},
    Term{About::folios, "contents", "The number that its bytes begin with."},
    Term{About::file, "page cache", "The folio that holds this page of the file."},
    Term{About::file, "else", "Where the bytes are when it is in no folio."},
    Term{About::swap, "named by", "Who will want these bytes back."},
    Term{About::swap, "swap cache", "A folio that has them in memory, too."},
    Term{About::swap, "contents", "The number that the bytes begin with."},
    Term{About::userfaultfds, "protection",
         "Synchronous: a writer is held back until somebody resolves its fault. Asynchronous: the "
         "kernel only notes the write."},
    Term{About::userfaultfds, "tells by",
         "Message: the thread sleeps meanwhile. SIGBUS: the thread gets a signal instead."},
    Term{About::userfaultfds, "unread", "Messages that nobody has read yet."},
    Term{About::userfaultfds, "unanswered", "Messages that were read and whose threads sleep on."},
    Term{About::threads, "waits for", "The thread is asleep in the kernel until this comes."},
};

std::vector<std::string> split(std::string_view text) {
    std::vector<std::string> parts;
    while (!text.empty()) {
        const std::size_t end = std::min(text.find(", "), text.size());
        parts.emplace_back(text.substr(0, end));
        text.remove_prefix(std::min(end + 2, text.size()));
    }
    return parts;
}

std::vector<std::string> words_of_entry(std::string_view text) {
    std::vector<std::string> words;
    if (text.starts_with("huge ")) {
        words.emplace_back("huge");
        text.remove_prefix(5);
    }
    if (const std::size_t colon = text.find(": "); colon != std::string_view::npos) {
        words.emplace_back(text.substr(0, colon));
        text.remove_prefix(colon + 2);
    }
    for (std::string& part : split(text)) {
        words.push_back(std::move(part));
    }
    return words;
}

std::vector<std::string> words_of_pagemap(std::string_view text) {
    if (text.starts_with('K')) {
        return {std::string(text)};
    }
    std::vector<std::string> words;
    for (const char letter : text) {
        words.emplace_back(1, letter);
    }
    return words;
}

}  // namespace

std::span<const Term> glossary() { return terms; }

const Term* find_term(About about, std::string_view word) {
    const auto found = std::ranges::find_if(
        terms, [&](const Term& one) { return one.about == about && one.word == word; });
    return found == terms.end() ? nullptr : &*found;
}

std::vector<std::string> words_of(About about, std::string_view column, std::string_view text) {
    std::vector<std::string> words{std::string(column)};
    if (about != About::entries || text == nothing) {
        return words;
    }
    std::vector<std::string> more;
    if (column == "entry") {
        more = words_of_entry(text);
    } else if (column == "pagemap") {
        more = words_of_pagemap(text);
    } else if (column == "scan") {
        more = {std::string(text)};
    } else if (column == "leads to") {
        more = {text.starts_with("slot") ? "slot" : text == "zero page" ? "zero page" : "folio"};
    }
    words.insert(words.end(), more.begin(), more.end());
    return words;
}

std::vector<const Term*> terms_of(const Timeline& timeline) {
    std::set<std::pair<About, std::string>> words;
    for (const Moment& moment : timeline.moments) {
        for (const Table& table : moment.tables) {
            for (const Row& row : table.rows) {
                for (std::size_t i = 0; i < row.cells.size(); ++i) {
                    for (std::string& word :
                         words_of(table.about, table.columns[i], row.cells[i].text)) {
                        words.emplace(table.about, std::move(word));
                    }
                }
            }
        }
    }
    std::vector<const Term*> used;
    for (const Term& term : terms) {
        if (words.contains({term.about, std::string(term.word)})) {
            used.push_back(&term);
        }
    }
    return used;
}

std::string heading_of(const Timeline& timeline) {
    return fmt::format("{}, on the model of Linux {}.", memory_in_words(timeline.program),
                       timeline.kernel);
}

std::string contents_in_words(const Timeline& timeline) {
    std::string text;
    for (const std::string& one : timeline.contents) {
        text += (text.empty() ? "" : ", ") + one.substr(one.starts_with("= ") ? 2 : 0);
    }
    return text;
}

std::string verdict_of(const Timeline& timeline) {
    std::string text;
    std::string danger;
    for (const Moment& moment : timeline.moments) {
        for (const Violation& one : moment.violations) {
            std::string& into = one.promise ? text : danger;
            if (into.empty()) {
                into = fmt::format("step {} ({}): {}.", moment.number(), moment.title, one.name);
            }
        }
    }
    text = !text.empty()              ? "A promise was broken in " + text
           : timeline.why_not.empty() ? "No promise was broken."
                                      : "No promise was broken up to there.";
    return danger.empty() ? text : text + " The danger began in " + danger;
}

}  // namespace verso::check::report
