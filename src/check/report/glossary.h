// What the words of a timeline mean: one sentence for each, and which of them a cell is made of.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "check/report/timeline.h"

namespace verso::check::report {

struct Term {
    About about;
    std::string_view word;
    std::string_view text;
};
std::span<const Term> glossary();
/// nullptr: has none.
const Term* find_term(About about, std::string_view word);

/// The words of a cell that need an explanation, its column's among them: no names, no numbers.
std::vector<std::string> words_of(About about, std::string_view column, std::string_view text);
/// Those that occur, in the glossary's order.
std::vector<const Term*> terms_of(const Timeline& timeline);

/// "1 page of shared shmem (memfd), on the model of Linux 6.18."
std::string heading_of(const Timeline& timeline);
/// "2, 0, SIGBUS": what the pages read in the end.
std::string contents_in_words(const Timeline& timeline);
/// "No promise was broken." "A promise was broken in step 5 (store): lost write. …"
std::string verdict_of(const Timeline& timeline);

}  // namespace verso::check::report
