// Everything but the page tables: mappings, folios, the file, swap, userfaultfds, waiting threads.
#include "check/report/tables.h"

#include <algorithm>

#include <fmt/format.h>

#include "abi/abi.h"
#include "mm/folio.h"

namespace verso::check::report {
namespace {

using mm::VmFlag;

template <class Bits>
std::string words(Bits bits, std::initializer_list<std::pair<Bits, const char*>> names) {
    std::string text;
    for (const auto& [bit, word] : names) {
        if ((bits & bit) != 0) {
            text += (text.empty() ? "" : ", ") + std::string(word);
        }
    }
    return text.empty() ? nothing : text;
}

bool plays(const Scene& scene, u8 space) {
    return std::ranges::any_of(scene.areas, [&](const Area& one) { return one.space == space; });
}

Row mapping_row(const Area& area, const mm::Vma& vma) {
    const std::string label = area.label(vma.start, vma.end);
    Row row{area.label(vma.start, vma.start + 1)};
    row.cells.push_back({label});
    row.cells.push_back(
        {words<u32>(vma.flags, {{VmFlag::read, "read"}, {VmFlag::write, "write"}})});
    row.cells.push_back({vma.shared() ? "shared" : "private"});
    row.cells.push_back({words<u32>(vma.flags, {{VmFlag::uffd_missing, "MISSING"},
                                                {VmFlag::uffd_wp, "WP"},
                                                {VmFlag::uffd_minor, "MINOR"}})});
    row.cells.push_back({!vma.prot_access ? "no access"
                         : vma.prot_write ? "writable"
                                          : "read-only"});
    row.cells.push_back({words<u32>(vma.flags, {{VmFlag::locked, "locked"},
                                                {VmFlag::mergeable, "mergeable"},
                                                {VmFlag::hugepage, "hugepage"},
                                                {VmFlag::nohugepage, "nohugepage"},
                                                {VmFlag::soft_dirty, "all soft-dirty"}})});
    return row;
}

bool is_entered(const Scene& scene, mm::PageId page) {
    for (const Area& area : scene.areas) {
        for (mm::Vpn at = area.first; at < area.end(); ++at) {
            const mm::Entry entry = mm::entry_at(scene.state, area.space, at);
            const bool has_page = entry.maps_page() || entry.kind == mm::EntryKind::migration ||
                                  entry.kind == mm::EntryKind::hwpoison;
            if (has_page && entry.target == page) {
                return true;
            }
        }
    }
    return false;
}

/// In the play: mapped in an area, of a file, in the swap cache, pinned or under way. What is left
/// is the runner's page that COPY copies from.
bool is_of_interest(const Scene& scene, mm::PageId id) {
    const mm::Page& page = scene.state.pages[id];
    if (page.use == mm::PageUse::free || (page.hugetlb && page.tail)) {
        return false;
    }
    return page.file != mm::nobody || page.slot != mm::no_slot || page.pins != 0 || page.locked ||
           page.writeback || is_entered(scene, id);
}

std::string use_words(const mm::State& state, mm::PageId id) {
    const mm::Page& page = state.pages[id];
    const bool large = page.head || page.tail;
    const std::string size = page.hugetlb ? ", hugetlb" : large ? ", huge" : "";
    switch (page.use) {
        case mm::PageUse::free: return "free";
        case mm::PageUse::anonymous: return "anonymous" + size;
        case mm::PageUse::cache: return "page cache" + size;
        case mm::PageUse::device: return "device";
    }
    return "?";
}

Row folio_row(const Scene& scene, mm::PageId id) {
    const mm::Page& page = scene.state.pages[id];
    const bool anonymous = page.use == mm::PageUse::anonymous;
    Row row{scene.names.folio(scene.state, id)};
    row.cells.push_back({row.key});
    row.cells.push_back({use_words(scene.state, id)});
    row.cells.push_back({page.maps == 0   ? "by nobody"
                         : page.maps == 1 ? "once"
                                          : fmt::format("{} times", page.maps)});
    row.cells.push_back({!anonymous ? nothing : page.anon_exclusive ? "yes" : "no"});
    row.cells.push_back({page.dirty ? "yes" : "no"});
    row.cells.push_back({page.slot == mm::no_slot ? nothing : fmt::format("slot {}", page.slot)});
    row.cells.push_back({page.pins == 0 ? nothing : std::to_string(page.pins)});
    std::string state;
    for (const auto& [is, word] : {std::pair{page.locked, "locked"},
                                   {page.writeback, "writeback"},
                                   {page.ksm, "KSM"},
                                   {page.lazyfree, "lazyfree"},
                                   {page.hwpoison, "hwpoison"}}) {
        state += !is ? "" : (state.empty() ? "" : ", ") + std::string(word);
    }
    row.cells.push_back({state.empty() ? nothing : state});
    row.cells.push_back({std::to_string(scene.value(page.contents))});
    return row;
}

/// The program's file, and how many pages of the model one of its pages is.
struct OneFile {
    const mm::File* file = nullptr;
    u32 unit = 1;
};
OneFile file_in_play(const Scene& scene) {
    for (const mm::File& file : scene.state.files) {
        if (!file.cache.empty()) {
            return {&file, scene.areas.empty() ? 1 : scene.areas.front().unit};
        }
    }
    return {};
}

std::string thread_name(const Scene& scene, u8 id) {
    const auto found = std::ranges::find(scene.threads, id, &std::pair<u8, std::string>::first);
    return found != scene.threads.end() ? found->second : "main";
}

std::string message_words(const Scene& scene, const mm::Context& context, const mm::Message& one) {
    const std::string place =
        place_in_words(scene.areas, context.space, static_cast<mm::Vpn>(to_pages(one.address)));
    switch (one.kind) {
        case mm::MessageKind::pagefault: {
            const std::string flags = words<u8>(one.flags, {{mm::FaultFlag::wp, "WP"},
                                                            {mm::FaultFlag::minor, "MINOR"},
                                                            {mm::FaultFlag::write, "WRITE"}});
            return fmt::format("fault ({}) at {}, {} waits", flags == nothing ? "MISSING" : flags,
                               place, thread_name(scene, one.thread));
        }
        case mm::MessageKind::fork: return "fork";
        case mm::MessageKind::remap: return "remap of " + place;
        case mm::MessageKind::remove: return "remove at " + place;
        case mm::MessageKind::unmap: return "unmap at " + place;
    }
    return "?";
}

std::string queue_words(const Scene& scene, const mm::Context& context,
                        const mm::Messages& messages) {
    std::string text;
    for (const mm::Message& one : messages) {
        text += (text.empty() ? "" : "; ") + message_words(scene, context, one);
    }
    return text.empty() ? nothing : text;
}

}  // namespace

Table mappings_of(const Scene& scene) {
    Table table{
        About::mappings, {"pages", "access", "kind", "userfaultfd", "new entries", "flags"}, {}};
    for (const Area& area : scene.areas) {
        for (const mm::Vma& vma :
             mm::vmas_between(scene.state, area.space, area.first, area.end())) {
            table.rows.push_back(mapping_row(area, vma));
        }
    }
    return table;
}

Table folios_of(const Scene& scene) {
    Table table{About::folios,
                {"folio", "kind", "mapped", "exclusive", "dirty", "swap cache", "pins", "state",
                 "contents"},
                {}};
    for (mm::PageId id = 0; id < scene.state.pages.size(); ++id) {
        if (is_of_interest(scene, id)) {
            table.rows.push_back(folio_row(scene, id));
        }
    }
    std::ranges::sort(table.rows, [](const Row& a, const Row& b) {
        return std::pair(a.key.size(), a.key) < std::pair(b.key.size(), b.key);
    });
    return table;
}

Table file_of(const Scene& scene) {
    Table table{About::file, {"file page", "page cache", "else"}, {}};
    const auto [file, unit] = file_in_play(scene);
    if (file == nullptr) {
        return table;
    }
    const u32 pages = static_cast<u32>(file->cache.size());
    for (u32 index = 0; index < pages; index += unit) {
        const mm::Cached& cached = file->cache[index];
        Row row{std::to_string(index / unit)};
        row.cells.push_back({row.key});
        row.cells.push_back(
            {cached.page == mm::no_page ? nothing : scene.names.folio(scene.state, cached.page)});
        const bool disk = file->kind == mm::FileKind::ordinary;
        row.cells.push_back({index >= file->size          ? "beyond the end"
                             : cached.slot != mm::no_slot ? fmt::format("swap slot {}", cached.slot)
                             : disk ? fmt::format("on disk: {}", scene.value(cached.disk))
                             : cached.page == mm::no_page ? "a hole: zeroes"
                                                          : nothing});
        table.rows.push_back(std::move(row));
    }
    return table;
}

Table swap_of(const Scene& scene) {
    Table table{About::swap, {"slot", "named by", "swap cache", "contents"}, {}};
    for (u16 id = 0; id < scene.state.slots.size(); ++id) {
        const mm::Slot& slot = scene.state.slots[id];
        const u32 entries = slot.count;
        if (entries == 0 && !slot.in_file_cache && slot.cached == mm::no_page) {
            continue;
        }
        Row row{std::to_string(id)};
        row.cells.push_back({fmt::format("slot {}", id)});
        row.cells.push_back({slot.in_file_cache ? "the file"
                             : entries == 1     ? "1 entry"
                                                : fmt::format("{} entries", entries)});
        row.cells.push_back(
            {slot.cached == mm::no_page ? nothing : scene.names.folio(scene.state, slot.cached)});
        row.cells.push_back(
            {slot.unreadable ? "unreadable" : std::to_string(scene.value(slot.contents))});
        table.rows.push_back(std::move(row));
    }
    return table;
}

Table userfaultfds_of(const Scene& scene) {
    Table table{
        About::userfaultfds, {"descriptor", "protection", "tells by", "unread", "unanswered"}, {}};
    for (u8 id = 0; id < scene.state.contexts.size(); ++id) {
        const mm::Context& context = scene.state.contexts[id];
        if (!context.open || !context.api_done || !plays(scene, context.space)) {
            continue;
        }
        const bool async = (context.features & abi::Feature::wp_async) != 0;
        const bool sigbus = (context.features & abi::Feature::sigbus) != 0;
        Row row{scene.names.uffd(id)};
        row.cells.push_back({row.key});
        row.cells.push_back({async ? "asynchronous" : "synchronous"});
        row.cells.push_back({sigbus ? "SIGBUS" : "message"});
        std::string unread = queue_words(scene, context, context.faults);
        const std::string events = queue_words(scene, context, context.events);
        if (events != nothing) {
            unread = unread == nothing ? events : fmt::format("{}; {}", unread, events);
        }
        row.cells.push_back({unread});
        row.cells.push_back({queue_words(scene, context, context.pending)});
        table.rows.push_back(std::move(row));
    }
    return table;
}

Table threads_of(const Scene& scene) {
    Table table{About::threads, {"thread", "waits for"}, {}};
    for (u8 id = 0; id < scene.state.threads.size(); ++id) {
        const mm::Thread& thread = scene.state.threads[id];
        if (!thread.alive || thread.waiting == mm::Waiting::no) {
            continue;
        }
        const std::string place = place_in_words(
            scene.areas, thread.space, static_cast<mm::Vpn>(to_pages(thread.access.address)));
        std::string reason;
        switch (thread.waiting) {
            case mm::Waiting::no: break;
            case mm::Waiting::fault: reason = "an answer to its fault at " + place; break;
            case mm::Waiting::migration: reason = "the end of a migration at " + place; break;
            case mm::Waiting::event: reason = "its event to be read"; break;
            case mm::Waiting::retry: reason = "its turn: it may go on"; break;
            case mm::Waiting::for_ever: reason = "a call that never returns"; break;
        }
        Row row{thread_name(scene, id)};
        row.cells.push_back({row.key});
        row.cells.push_back({reason});
        table.rows.push_back(std::move(row));
    }
    return table;
}

}  // namespace verso::check::report
