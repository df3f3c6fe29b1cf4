// A machine in words: tables of a State, as far as a program plays in it. Everything a cell says is
// read off the State, except what /proc would answer, which is asked of the model's own pagemap.
#pragma once

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "check/report/timeline.h"
#include "mm/model.h"

namespace verso::check::report {

inline constexpr const char* nothing = "–";

/// Names for what has only numbers, and changing ones: a folio keeps its letter from allocation to
/// free, whatever frame it gets; the next folio in that frame has the next letter.
class Names {
public:
    /// After every step of the model: frames that are free have lost their names.
    void look(const mm::State& state);
    std::string folio(const mm::State& state, mm::PageId page);
    std::string uffd(u8 context);

private:
    std::vector<std::string> pages_;
    unsigned given_ = 0;
    std::vector<u8> contexts_;
};

/// One of the program's areas in one of its processes.
struct Area {
    u8 space = 0;
    mm::Vpn first = 0;
    u32 pages = 0;      // of the program
    u32 unit = 1;       // pages of the model in one of them: more than one in hugetlb memory
    std::string whose;  // "", "child "
    bool second = false;

    mm::Vpn page(u32 i) const { return first + i * unit; }
    mm::Vpn end() const { return page(pages); }
    /// "0", "1'", "child 0"
    std::string label(u32 i) const;
    /// "0–1'": of a part of it, in pages of the model.
    std::string label(mm::Vpn from, mm::Vpn to) const;
};

struct Scene {
    const mm::State& state;
    const mm::Rules& rules;
    std::vector<Area> areas;
    std::vector<std::pair<u8, std::string>> threads;  // of the model, and what the program calls it
    std::function<u64(mm::Contents)> value;           // what a page of these contents begins with
    Names& names;
    bool scans = false;  // is what PAGEMAP_SCAN says of interest?
};

/// The area and page that an address of the model is; nullptr: none of the program's.
const Area* area_at(const std::vector<Area>& areas, u8 space, mm::Vpn at);
/// "page 0'", "page 0 of the child"; where it is no page of the program, in the model's numbers.
std::string place_in_words(const std::vector<Area>& areas, u8 space, mm::Vpn at);

std::vector<Table> tables_of(const Scene& scene);
Table entries_of(const Scene& scene);
Table mappings_of(const Scene& scene);
Table folios_of(const Scene& scene);
Table file_of(const Scene& scene);
Table swap_of(const Scene& scene);
Table userfaultfds_of(const Scene& scene);
Table threads_of(const Scene& scene);

}  // namespace verso::check::report
