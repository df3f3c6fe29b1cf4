// Section 14.1: the two protection designs. (1) takes W out of vm_page_prot, (2) takes write
// permission away wherever the bit is set. One row for each program and kind; "on" is both designs,
// as the kernel has had them since 6.3; "off" lists all four combinations.
#include "claims/claim.h"

namespace verso::claims {
namespace {

struct Way {
    const char* name;
    const char* steps;
    const char* verdicts[4];  // neither, only (1), only (2), both: on shared memory
};
constexpr Way ways[] = {
    {"migration", "migrate", {"silent", "msg", "msg", "msg"}},
    {"a NUMA hint", "hint; load", {"silent", "msg", "silent", "msg"}},
    {"mprotect and back",
     "mprotect(READ); mprotect(READ|WRITE)",
     {"silent", "msg", "silent", "msg"}},
    {"reclaim and refault", "reclaim; load", {"silent", "msg", "msg", "msg"}},
};

struct Column {
    const char* name;
    bool writenotify;
    bool clears_w;
};
constexpr Column columns[] = {{"neither", false, false},
                              {"only (1)", true, false},
                              {"only (2)", false, true},
                              {"both", true, true}};

/// Empty: it does.
std::string why_it_does_not_apply(check::Kind kind, const Way& way) {
    if (!check::is_hugetlb(kind) || std::string_view(way.steps).starts_with("m")) {
        return "";
    }
    return std::string_view(way.steps).starts_with("h")
               ? "the scan for NUMA hints leaves hugetlb mappings out (task_numa_work)"
               : "hugetlb pages are on no list that reclaim looks at, and are never swapped";
}

/// Private memory gets hints where a second thread may be on another node (E-NU5).
std::string steps_of(check::Kind kind, const Way& way) {
    const bool hint = std::string_view(way.steps).starts_with("h");
    return (hint && !check::is_shared(kind) ? "t1 load; " : "") + std::string(way.steps);
}

Row row_of(check::Kind kind, const Way& way) {
    const bool shared = check::is_shared(kind);
    Row row;
    row.id = "14.1";
    row.claim = fmt::format("{} {} {}", check::name_of(kind), "after", way.name);
    row.rule = "neither / only (1) / only (2) / both";
    row.program = fmt::format("{}: store; REGISTER(WP); WRITEPROTECT; {}; store",
                              check::name_of(kind), steps_of(kind, way));
    row.kernel = "msg";
    row.on = "msg";
    for (std::size_t i = 0; i < std::size(columns); ++i) {
        row.off += fmt::format("{}{}", i == 0 ? "" : " / ", shared ? way.verdicts[i] : "msg");
    }
    row.show = [row, shared, way] {
        Verdicts seen;
        for (std::size_t i = 0; i < std::size(columns); ++i) {
            const mm::Rules with =
                mm::with_designs(mm::mainline(), columns[i].writenotify, columns[i].clears_w);
            const std::string words = shared ? way.verdicts[i] : "msg";
            seen.off += (i == 0 ? "" : " / ") + verdict_on_model(with, row.program, words);
        }
        seen.on = verdict_on_model(mm::mainline(), row.program, "msg");
        return seen;
    };
    return row;
}

Row without(const Row& row, std::string why) {
    Row only;
    only.id = row.id;
    only.claim = row.claim;
    return not_shown(only, std::move(why));
}

}  // namespace

Table designs() {
    Table table{"The two protection designs",
                "(1): a shared mapping that may be write-protected has no write permission in "
                "vm_page_prot (6.2, 6.1.8). (2): setting the bit takes the write bit away (6.3). "
                "The last column but one lists neither, only (1), only (2), both.",
                {}};
    for (const Way& way : ways) {
        for (const check::Kind kind :
             {check::Kind::SS, check::Kind::HS, check::Kind::A, check::Kind::SP, check::Kind::HP}) {
            const std::string why_not = why_it_does_not_apply(kind, way);
            const Row row = row_of(kind, way);
            table.rows.push_back(why_not.empty() ? row : without(row, why_not));
        }
    }
    return table;
}

}  // namespace verso::claims
