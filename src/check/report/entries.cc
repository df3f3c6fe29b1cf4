// The page tables, as rows: one for each page of the program, whichever level holds its entry.
#include <algorithm>

#include <fmt/format.h>

#include "abi/abi.h"
#include "check/program/run.h"
#include "check/report/tables.h"
#include "mm/pagemap_scan.h"
#include "mm/view.h"

namespace verso::check::report {
namespace {

using mm::Entry;
using mm::EntryKind;
using mm::Marker;

std::string yes(bool bit) { return bit ? "yes" : "no"; }

std::string marker_words(u8 markers) {
    std::string text;
    for (const auto& [bit, word] :
         {std::pair{Marker::uffd_wp, "uffd-wp"}, std::pair{Marker::poisoned, "poisoned"},
          std::pair{Marker::guard, "guard"}, std::pair{Marker::written, "written"}}) {
        if ((markers & bit) != 0) {
            text += (text.empty() ? "" : ", ") + std::string(word);
        }
    }
    return "marker: " + text;
}

std::string kind_words(const Entry& entry) {
    switch (entry.kind) {
        case EntryKind::none: return "none";
        case EntryKind::present: return entry.protnone ? "present, no access" : "present";
        case EntryKind::swap: return entry.exclusive ? "swap, exclusive" : "swap";
        case EntryKind::migration:
            switch (entry.migration) {
                case mm::MigrationKind::read: return "migration: read";
                case mm::MigrationKind::read_exclusive: return "migration: read excl.";
                case mm::MigrationKind::write: return "migration: write";
            }
            break;
        case EntryKind::marker: return marker_words(entry.markers);
        case EntryKind::hwpoison: return "hwpoison";
    }
    return "?";
}

std::string target_words(const Scene& scene, const Entry& entry) {
    switch (entry.kind) {
        case EntryKind::present:
            return entry.zero ? "zero page" : scene.names.folio(scene.state, entry.target);
        case EntryKind::migration:
        case EntryKind::hwpoison: return scene.names.folio(scene.state, entry.target);
        case EntryKind::swap: return fmt::format("slot {}", entry.target);
        case EntryKind::none:
        case EntryKind::marker: break;
    }
    return nothing;
}

bool in_a_leaf(const mm::State& state, u8 space, mm::Vpn at) {
    return state.spaces[space].pmds[state.pmd_index(at)].kind == mm::PmdKind::leaf;
}

/// What /proc/PID/pagemap and PAGEMAP_SCAN answer, asked of a copy.
PageFacts facts_of(const Scene& scene, u8 space, mm::Vpn at) {
    mm::State copy = scene.state;
    FirstChoice choice;
    mm::Machine machine{copy, scene.rules, choice};
    PageFacts facts;
    mm::read_pagemap(machine, space, to_bytes(at), page_size);
    facts.word = machine.pagemap.empty() ? 0 : machine.pagemap.front();
    const auto thread = std::ranges::find_if(
        copy.threads, [&](const mm::Thread& one) { return one.alive && one.space == space; });
    if (thread == copy.threads.end()) {
        return facts;
    }
    mm::ScanArg arg;
    arg.start = to_bytes(at);
    arg.end = arg.start + page_size;
    arg.vec_len = 1;
    arg.return_mask = abi::PageIs::wp_allowed | abi::PageIs::written;
    mm::pagemap_scan(machine, to_call(arg, static_cast<u8>(thread - copy.threads.begin())));
    facts.categories = machine.scanned.empty() ? 0 : machine.scanned.front().categories;
    return facts;
}

std::string scan_words(const PageFacts& facts) {
    const bool tracked = (facts.categories & abi::PageIs::wp_allowed) != 0;
    return !tracked ? nothing : facts.written() ? "written" : "clean";
}

Row row_of(const Scene& scene, const Area& area, u32 i) {
    const mm::State& state = scene.state;
    const mm::Vpn at = area.page(i);
    Row row{area.label(i)};
    row.cells.push_back({area.label(i)});
    const mm::Vma* const vma = state.find_vma(area.space, at);
    if (vma == nullptr) {
        row.cells.push_back({"not mapped"});
        row.cells.resize(scene.scans ? 10 : 9, {nothing});
        return row;
    }
    const Entry entry = mm::entry_at(state, area.space, at);
    const bool leaf = in_a_leaf(state, area.space, at);
    const bool present = entry.present();
    const bool travels = present || entry.kind == EntryKind::migration;
    const bool protectable = travels || entry.kind == EntryKind::swap;
    const mm::Seen seen = mm::look_at(state, scene.rules, area.space, *vma, at);
    const PageFacts facts = facts_of(scene, area.space, at);
    row.cells.push_back({(leaf ? "huge " : "") + kind_words(entry)});
    row.cells.push_back({target_words(scene, entry)});
    row.cells.push_back({present ? yes(entry.write) : nothing});
    row.cells.push_back({travels ? yes(entry.dirty) : nothing});
    row.cells.push_back({protectable ? yes(entry.soft_dirty) : nothing});
    row.cells.push_back({protectable                        ? yes(entry.uffd_wp)
                         : entry.is_marker(Marker::uffd_wp) ? "yes"
                                                            : nothing});
    row.cells.push_back({seen.readable ? std::to_string(scene.value(seen.value)) : nothing});
    row.cells.push_back({facts.text()});
    if (scene.scans) {
        row.cells.push_back({scan_words(facts)});
    }
    return row;
}

}  // namespace

Table entries_of(const Scene& scene) {
    Table table{About::entries,
                {"page", "entry", "leads to", "write", "dirty", "soft-dirty", "uffd-wp", "reads",
                 "pagemap"},
                {}};
    if (scene.scans) {
        table.columns.push_back("scan");
    }
    for (const Area& area : scene.areas) {
        const bool used =
            !area.second ||
            !mm::vmas_between(scene.state, area.space, area.first, area.end()).empty();
        for (u32 i = 0; used && i < area.pages; ++i) {
            table.rows.push_back(row_of(scene, area, i));
        }
    }
    return table;
}

}  // namespace verso::check::report
