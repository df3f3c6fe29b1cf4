// ColumnLog: see the header.
#include "check/swarm/column_log.h"

#include <algorithm>

namespace verso::check::swarm {
namespace {

const char* glyph_of(const mm::Entry& entry) {
    switch (entry.kind) {
        case mm::EntryKind::none: return "·";
        case mm::EntryKind::present:
            if (entry.protnone) {
                return "h";
            }
            return entry.uffd_wp && entry.write ? "!"
                   : entry.uffd_wp              ? "p"
                   : entry.write                ? "w"
                                                : "r";
        case mm::EntryKind::swap: return entry.uffd_wp ? "S" : "s";
        case mm::EntryKind::migration: return "M";
        case mm::EntryKind::marker: return "p";
        case mm::EntryKind::hwpoison: return "x";
    }
    return "?";
}

std::size_t characters(const std::string& text) {
    return static_cast<std::size_t>(std::ranges::count_if(
        text, [](char c) { return (static_cast<unsigned char>(c) & 0xC0U) != 0x80U; }));
}

}  // namespace

std::string ColumnLog::glyphs(const Memory& memory) const {
    const auto process = static_cast<int>(memory.process);
    const u64 base = world_->machine().to_model(process, memory.base);
    const u8 space = world_->machine().space_of(process);
    std::string text;
    for (u32 page = 0; page < memory.book.pages(); ++page) {
        text +=
            glyph_of(entry_at(world_->state(), space, static_cast<mm::Vpn>(to_pages(base) + page)));
    }
    return text;
}

void ColumnLog::on(const std::string& who, const std::string& what) {
    std::string columns;
    if (world_ != nullptr) {
        for (const std::weak_ptr<Memory>& each : world_->memories()) {
            const MemoryRef memory = each.lock();
            if (memory != nullptr && world_->machine().alive(static_cast<int>(memory->process))) {
                columns += fmt::format("{}:{} ", memory->name, glyphs(*memory));
            }
        }
    }
    width_ = std::max(width_, characters(columns));
    const std::string line =
        fmt::format("{:>7}  {:<12} {:<{}} {}\n", world_ == nullptr ? 0 : world_->decisions(), who,
                    columns, width_, what);
    const u64 size = size_.load();
    if (line.size() <= text_.size() - size) {
        std::ranges::copy(line, text_.begin() + static_cast<std::ptrdiff_t>(size));
        size_.store(size + line.size());
    }
}

}  // namespace verso::check::swarm
