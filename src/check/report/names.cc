// Names: letters for folios, numbers for userfaultfds, the program's own numbers for pages.
#include <algorithm>

#include <fmt/format.h>

#include "check/report/tables.h"
#include "mm/folio.h"

namespace verso::check::report {

void Names::look(const mm::State& state) {
    pages_.resize(state.pages.size());
    for (std::size_t i = 0; i < pages_.size(); ++i) {
        if (state.pages[i].use == mm::PageUse::free) {
            pages_[i].clear();
        }
    }
}

/// A, B, …, Z, A2, B2, …; the parts of a large folio: A, A+1, …
std::string Names::folio(const mm::State& state, mm::PageId page) {
    pages_.resize(state.pages.size());
    const mm::PageId head = mm::head_of(state, page);
    std::string& name = pages_[head];
    if (name.empty()) {
        constexpr unsigned letters = 26;
        name = std::string(1, static_cast<char>('A' + given_ % letters));
        name += given_ < letters ? "" : std::to_string(given_ / letters + 1);
        ++given_;
    }
    return head == page ? name : fmt::format("{}+{}", name, page - head);
}

std::string Names::uffd(u8 context) {
    const auto found = std::ranges::find(contexts_, context);
    const auto at = found - contexts_.begin();
    if (found == contexts_.end()) {
        contexts_.push_back(context);
    }
    return fmt::format("userfaultfd {}", at + 1);
}

std::string Area::label(u32 i) const { return fmt::format("{}{}{}", whose, i, second ? "'" : ""); }

std::string Area::label(mm::Vpn from, mm::Vpn to) const {
    const u32 a = (std::max(from, first) - first) / unit;
    const u32 b = (std::min(to, end()) - first + unit - 1) / unit - 1;
    return a == b ? label(a) : fmt::format("{}–{}{}", label(a), b, second ? "'" : "");
}

const Area* area_at(const std::vector<Area>& areas, u8 space, mm::Vpn at) {
    const auto found = std::ranges::find_if(areas, [&](const Area& one) {
        return one.space == space && at >= one.first && at < one.end();
    });
    return found == areas.end() ? nullptr : &*found;
}

std::string place_in_words(const std::vector<Area>& areas, u8 space, mm::Vpn at) {
    const Area* const area = area_at(areas, space, at);
    if (area == nullptr) {
        return fmt::format("page {} of address space {} (the model's numbers)", at, space);
    }
    return fmt::format("page {}{}{}", (at - area->first) / area->unit, area->second ? "'" : "",
                       area->whose.empty() ? "" : " of the child");
}

std::vector<Table> tables_of(const Scene& scene) {
    return {entries_of(scene), mappings_of(scene),     folios_of(scene), file_of(scene),
            swap_of(scene),    userfaultfds_of(scene), threads_of(scene)};
}

}  // namespace verso::check::report
