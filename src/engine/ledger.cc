// Ledger: layout arithmetic, creation and the checks on one that came from elsewhere.
#include "engine/ledger.h"

#include <algorithm>

namespace verso::engine {

using kernel::Call;
using kernel::MapFlag;
using kernel::Outcome;
using kernel::Payload;

namespace {
constexpr u64 header_bytes = (sizeof(LedgerHeader) + page_size - 1) / page_size * page_size;
constexpr u64 map_flags = MapFlag::read | MapFlag::write | MapFlag::shared | MapFlag::no_fork;
}  // namespace

u64 Ledger::bitmap_bytes() const {
    return round_up(BitmapView::words_for(pages_) * sizeof(Word), page_size);
}

u64 Ledger::area_offset(u32 slot) const { return header_bytes + u64{2} * slot * bitmap_bytes(); }

u64 Ledger::file_bytes(u64 pages) {
    const u64 bitmap = round_up(BitmapView::words_for(pages) * sizeof(Word), page_size);
    return header_bytes + u64{2} * LedgerHeader::slots_max * bitmap;
}

BitmapView Ledger::view(u32 slot, u32 which) const {
    VERSO_CHECK(slot < LedgerHeader::slots_max, "slot {}", slot);
    std::byte* at = mapping_.data() + area_offset(slot) + which * bitmap_bytes();
    return {reinterpret_cast<Word*>(at), pages_};
}

Result<Ledger> Ledger::create(kernel::Kernel& kernel, u64 pages, bool trusted) {
    constexpr std::string_view name = "verso-ledger";
    const Payload named{.in = std::as_bytes(std::span(name))};
    Outcome outcome = kernel.perform(Call::memfd_create(), named);
    if (!outcome.ok()) {
        return refuse(outcome, "creating the region's ledger");
    }
    Ledger ledger;
    ledger.kernel_ = &kernel;
    ledger.fd_ = Fd(static_cast<int>(outcome.value));
    ledger.pages_ = pages;
    const u64 bytes = file_bytes(pages);
    outcome = kernel.perform(Call::file_resize(ledger.fd(), bytes));
    if (!outcome.ok()) {
        return refuse(outcome, "sizing the region's ledger");
    }
    Result<Mapping> mapping = Mapping::map(kernel, ledger.fd(), 0, bytes, map_flags, "the ledger");
    if (!mapping) {
        return pass(mapping);
    }
    ledger.mapping_ = std::move(*mapping);
    LedgerHeader& header = ledger.header();
    header.magic = LedgerHeader::magic_value;
    header.version = version_current;
    header.slots = LedgerHeader::slots_max;
    header.pages = pages;
    header.trusted.store(trusted ? 1 : 0, std::memory_order_release);
    return ledger;
}

Result<Ledger> Ledger::open(kernel::Kernel& kernel, Fd fd, u64 pages) {
    const u64 bytes = file_bytes(pages);
    const Outcome size = kernel.perform(Call::file_size(fd.get()));
    if (!size.ok() || static_cast<u64>(size.value) < bytes) {
        return fail(ErrorKind::peer, size.error,
                    "the ledger that came with the child is too small for {} pages; "
                    "exporter and importer must be the same version of Verso",
                    pages);
    }
    Result<Mapping> mapping = Mapping::map(kernel, fd.get(), 0, bytes, map_flags, "the ledger");
    if (!mapping) {
        return pass(mapping);
    }
    Ledger ledger;
    ledger.kernel_ = &kernel;
    ledger.fd_ = std::move(fd);
    ledger.pages_ = pages;
    ledger.mapping_ = std::move(*mapping);
    const LedgerHeader& header = ledger.header();
    if (header.magic != LedgerHeader::magic_value || header.version != version_current ||
        header.slots != LedgerHeader::slots_max || header.pages != pages) {
        return fail(
            ErrorKind::peer, 0,
            "what came with the child is not a ledger of this version of Verso for {} pages",
            pages);
    }
    return ledger;
}

std::vector<u32> Ledger::slots_from(u64 seq_first) const {
    std::vector<u32> slots;
    for (u32 slot = 0; slot < LedgerHeader::slots_max; ++slot) {
        const u64 at = seq(slot);
        if (at != 0 && at >= seq_first) {
            slots.push_back(slot);
        }
    }
    std::sort(slots.begin(), slots.end(), [this](u32 a, u32 b) { return seq(a) < seq(b); });
    return slots;
}

Outcome Ledger::erase(u32 slot) {
    return kernel_->perform(Call::file_punch(fd(), area_offset(slot), 2 * bitmap_bytes()));
}

u64 Ledger::used_bytes() const {
    const Outcome used = kernel_->perform(Call::file_used(fd()));
    return used.ok() ? static_cast<u64>(used.value) : 0;
}

}  // namespace verso::engine
