// Frozen: who needs which page, and when storage can go.
#include "engine/frozen.h"

#include "abi/abi.h"

#include <algorithm>
#include <array>
#include <bit>

namespace verso::engine {

using kernel::Call;
using kernel::MapFlag;
using kernel::Outcome;
using kernel::Payload;
using kernel::Verdict;

namespace {
alignas(64) constexpr std::array<std::byte, page_size> zeroes{};
constexpr u64 slot_retired =
    ~u64{0} >> 1;  // no layer's seq; its bitmaps are empty, so nobody finds anything
}  // namespace

Result<Frozen> Frozen::create(kernel::Kernel& kernel, u64 pages, bool trusted) {
    constexpr std::string_view name = "verso-frozen";
    const Payload named{.in = std::as_bytes(std::span(name))};
    Outcome outcome = kernel.perform(Call::memfd_create(), named);
    if (!outcome.ok()) {
        return refuse(outcome, "creating the file for old pages");
    }
    Frozen frozen;
    frozen.kernel_ = &kernel;
    frozen.pages_ = pages;
    frozen.file_ = Fd(static_cast<int>(outcome.value));
    outcome =
        kernel.perform(Call::file_resize(frozen.fd(), LedgerHeader::slots_max * to_bytes(pages)));
    if (!outcome.ok()) {
        return refuse(outcome, "sizing the file for old pages");
    }
    Result<Ledger> ledger = Ledger::create(kernel, pages, trusted);
    if (!ledger) {
        return pass(ledger);
    }
    frozen.ledger_ = std::move(*ledger);
    return frozen;
}

/// What an engine has left that was killed while it gave a layer back (collect()) is given back
/// once more by unread(): nobody reads there. What it killed while a layer was being opened has no
/// place in time yet, and an empty slot.
Result<Frozen> Frozen::resume(kernel::Kernel& kernel, u64 pages, Fd file, Fd ledger) {
    Frozen frozen;
    frozen.kernel_ = &kernel;
    frozen.pages_ = pages;
    frozen.file_ = std::move(file);
    const Outcome size = kernel.perform(Call::file_size(frozen.fd()));
    if (!size.ok() || static_cast<u64>(size.value) < LedgerHeader::slots_max * to_bytes(pages)) {
        return fail(ErrorKind::peer, size.error, "the file of old pages is too small for {} pages",
                    pages);
    }
    Result<Ledger> opened = Ledger::open(kernel, std::move(ledger), pages);
    if (!opened) {
        return pass(opened);
    }
    frozen.ledger_ = std::move(*opened);
    for (const u32 slot : frozen.ledger_.slots_from(1)) {
        const u64 seq = frozen.ledger_.seq(slot);
        if (seq == slot_retired) {
            continue;
        }
        Result<std::unique_ptr<Layer>> layer = frozen.open_layer(slot);
        if (!layer) {
            return pass(layer);
        }
        (*layer)->seq = seq;
        (*layer)->written->set_range(0, pages);
        const u64 lost = (*layer)->lost.count();
        (*layer)->pages_lost.store(lost);
        (*layer)->pages_captured.store((*layer)->captured.count() - lost);
        frozen.seq_last_ = seq;
        frozen.layers_.push_back(std::move(*layer));
    }
    return frozen;
}

Result<std::unique_ptr<Layer>> Frozen::open_layer(u32 slot) {
    auto layer = std::make_unique<Layer>();
    Result<Mapping> area =
        Mapping::map(*kernel_, fd(), area_offset(slot), to_bytes(pages_),
                     MapFlag::read | MapFlag::shared | MapFlag::no_fork, "a layer of old pages");
    if (!area) {
        return pass(area);
    }
    layer->slot = slot;
    open_inlet(*layer);
    layer->captured = ledger_.captured(slot);
    layer->lost = ledger_.lost(slot);
    layer->area = std::move(*area);
    layer->written = Bitmap(pages_);
    return layer;
}

Result<std::unique_ptr<Layer>> Frozen::prepare() {
    for (u32 slot = 0; slot < LedgerHeader::slots_max; ++slot) {
        if (ledger_.seq(slot) != 0) {
            continue;
        }
        Result<std::unique_ptr<Layer>> layer = open_layer(slot);
        if (layer) {
            (*layer)->pins = 1;
        }
        return layer;
    }
    return fail(
        ErrorKind::resource, 0,
        "this region already has {} snapshots alive (or still read by children); release some",
        LedgerHeader::slots_max);
}

/// Whatever is refused here costs speed only.
void Frozen::open_inlet(Layer& layer) {
    if (!uffd_.valid() && !without_uffd_) {
        const Outcome opened = kernel_->perform(Call::uffd_open(abi::Feature::missing_shmem));
        without_uffd_ = !opened.ok();
        uffd_ = Fd(opened.ok() ? static_cast<int>(opened.value) : -1);
    }
    if (without_uffd_) {
        return;
    }
    constexpr u64 flags = MapFlag::read | MapFlag::write | MapFlag::shared | MapFlag::no_fork;
    Result<Mapping> inlet = Mapping::map(*kernel_, fd(), area_offset(layer.slot), to_bytes(pages_),
                                         flags, "a layer of old pages");
    if (inlet && kernel_
                     ->perform(Call::uffd_register(uffd_.get(), inlet->address(), to_bytes(pages_),
                                                   kernel::RegisterMode::missing))
                     .ok()) {
        layer.inlet = std::move(*inlet);
    }
}

Layer& Frozen::push(std::unique_ptr<Layer> layer) {
    layer->seq = ++seq_last_;
    ledger_.set_seq(layer->slot, layer->seq);
    layers_.push_back(std::move(layer));
    return *layers_.back();
}

std::size_t Frozen::index_of(const Layer& layer) const {
    const auto at = std::lower_bound(
        layers_.begin(), layers_.end(), layer.seq,
        [](const std::unique_ptr<Layer>& candidate, u64 seq) { return candidate->seq < seq; });
    VERSO_CHECK(at != layers_.end() && at->get() == &layer, "layer {} is not ours", layer.seq);
    return static_cast<std::size_t>(at - layers_.begin());
}

Layer* Frozen::needed_by(u64 page) const {
    for (std::size_t i = layers_.size(); i-- > 0;) {
        if (layers_[i]->captured.test(page)) {
            return nullptr;  // unchanged since a later moment than any pinned layer before it
        }
        if (layers_[i]->pins > 0) {
            return layers_[i].get();
        }
    }
    return nullptr;
}

Layer* Frozen::holder(const Layer& from, u64 page) const {
    for (std::size_t i = index_of(from); i < layers_.size(); ++i) {
        if (layers_[i]->captured.test(page)) {
            return layers_[i].get();
        }
    }
    return nullptr;
}

u64 Frozen::written_since(const Layer& from, u64 page) const {
    u64 word = 0;
    for (std::size_t i = index_of(from); i < layers_.size(); ++i) {
        word |= layers_[i]->written->word_of(page);
    }
    return word;
}

u64 Frozen::captured_since(const Layer& from, u64 page) const {
    u64 word = 0;
    for (std::size_t i = index_of(from); i < layers_.size(); ++i) {
        word |= layers_[i]->captured.word_of(page);
    }
    return word;
}

u64 Frozen::captured_at_most(const Layer& from) const {
    u64 total = 0;
    for (std::size_t i = index_of(from); i < layers_.size(); ++i) {
        total += layers_[i]->pages_captured.load(std::memory_order_relaxed) +
                 layers_[i]->pages_lost.load(std::memory_order_relaxed);
    }
    return total;
}

/// Returns how many pages were stored. Why it stopped does not matter: pwrite is asked next.
u64 Frozen::store_by_uffd(const Layer& layer, u64 first, std::span<const std::byte> bytes) {
    if (!layer.inlet.valid()) {
        return 0;
    }
    const auto source = reinterpret_cast<u64>(bytes.data());  // NOLINT
    const Outcome outcome = kernel_->perform(Call::uffd_copy(
        uffd_.get(), layer.inlet.address() + to_bytes(first), bytes.size(), source, 0));
    if (outcome.ok()) {
        return to_pages(bytes.size());
    }
    return outcome.verdict == Verdict::partial ? to_pages(static_cast<u64>(outcome.value)) : 0;
}

Outcome Frozen::store(Layer& layer, u64 first, std::span<const std::byte> bytes) {
    const u64 count = to_pages(bytes.size());
    Outcome outcome = Outcome::done(static_cast<i64>(bytes.size()));
    if (const u64 stored = store_by_uffd(layer, first, bytes); stored < count) {
        const std::span<const std::byte> rest = bytes.subspan(to_bytes(stored));
        const u64 offset = area_offset(layer.slot) + to_bytes(first + stored);
        outcome =
            kernel_->perform(Call::file_write(fd(), offset, rest.size()), Payload{.in = rest});
        if (!outcome.ok()) {
            return outcome;
        }
        if (static_cast<u64>(outcome.value) != rest.size()) {
            return Outcome{Verdict::no_memory, 0, outcome.value, 0};
        }
    }
    layer.captured.set_range(first, count);  // bytes first, then the bit (H7)
    layer.pages_captured.fetch_add(count, std::memory_order_relaxed);
    return outcome;
}

void Frozen::lose(Layer& layer, u64 first, u64 count) {
    layer.lost.set_range(first, count);
    layer.captured.set_range(first, count);
    layer.pages_lost.fetch_add(count, std::memory_order_relaxed);
}

Frozen::Garbage Frozen::unpin(Layer& layer) {
    VERSO_CHECK(layer.pins > 0, "layer {} is not pinned", layer.seq);
    --layer.pins;
    return layer.pins == 0 ? unread() : Garbage{};
}

Frozen::Garbage Frozen::unread() {
    Garbage garbage;
    for (std::size_t i = layers_.size(); i-- > 0;) {
        if (layers_[i]->pins == 0) {
            prune(i, garbage);
        }
    }
    return garbage;
}

Layer* Frozen::find(u64 seq) const {
    const auto at = std::ranges::find_if(layers_, [&](const auto& one) { return one->seq == seq; });
    return at == layers_.end() ? nullptr : at->get();
}

const Layer* Frozen::pinned_before(std::size_t index) const {
    while (index-- > 0) {
        if (layers_[index]->pins > 0) {
            return layers_[index].get();
        }
    }
    return nullptr;
}

/// Takes off the books what no older pinned layer reads from an unpinned one. The nearest older
/// pinned one decides: what is already stored between it and this layer, still older ones have
/// before this layer too.
void Frozen::prune(std::size_t index, Garbage& garbage) {
    Layer& layer = *layers_[index];
    const Layer* reader = pinned_before(index);
    bool kept = false;
    if (reader != nullptr) {
        const std::size_t from = index_of(*reader);
        const u32 slot = layer.slot;
        for (u64 base = 0; base < pages_; base += BitmapView::bits_per_word) {
            u64 earlier = 0;
            for (std::size_t i = from; i < index; ++i) {
                earlier |= layers_[i]->captured.word_of(base);
            }
            const u64 held = layer.captured.word_of(base);
            kept = kept || (held & ~earlier) != 0;
            for (u64 useless = held & earlier; useless != 0; useless &= useless - 1) {
                const u64 page = base + static_cast<u64>(std::countr_zero(useless));
                layer.captured.clear(page);
                if (!garbage.runs.empty() && garbage.runs.back().slot == slot &&
                    garbage.runs.back().first + garbage.runs.back().count == page) {
                    ++garbage.runs.back().count;
                } else {
                    garbage.runs.push_back({slot, page, 1});
                }
            }
        }
    }
    if (!kept) {
        if (index > 0) {
            for (u64 base = 0; base < pages_; base += BitmapView::bits_per_word) {
                layers_[index - 1]->written->set_word(base, layer.written->word_of(base));
            }
        }
        garbage.layers.push_back(std::move(layers_[index]));
        layers_.erase(layers_.begin() + static_cast<std::ptrdiff_t>(index));
    }
}

void Frozen::collect(const Garbage& garbage) {
    for (const Garbage::Run& run : garbage.runs) {
        // A refused punch keeps memory a little longer; nobody reads it, nothing is wrong.
        (void)kernel_->perform(Call::file_punch(fd(), area_offset(run.slot) + to_bytes(run.first),
                                                to_bytes(run.count)));
    }
    for (const std::unique_ptr<Layer>& layer : garbage.layers) {
        // The pages and the bitmaps go before the slot is offered again: a new layer must start
        // empty.
        const u32 slot = layer->slot;
        Outcome outcome =
            kernel_->perform(Call::file_punch(fd(), area_offset(slot), to_bytes(pages_)));
        if (outcome.ok()) {
            outcome = ledger_.erase(slot);
        }
        if (outcome.ok()) {
            ledger_.set_seq(slot, 0);
        } else {  // never taken again: costs one slot, loses nothing
            ledger_.captured(slot).clear_range(0, pages_);
            ledger_.set_seq(slot, slot_retired);
        }
    }
}

/// A page of zeroes stays a hole: it reads the same. (Whatever a failed store may have left there
/// was the beginning of the same bytes: a page has one version in a layer.)
Outcome Frozen::store_copy(Layer& layer, u64 page, std::span<const std::byte> copy) {
    VERSO_CHECK(copy.size() == page_size, "{} bytes", copy.size());
    if (!std::ranges::equal(copy, zeroes)) {
        return store(layer, page, copy);
    }
    layer.captured.set(page);
    layer.pages_captured.fetch_add(1, std::memory_order_relaxed);
    return Outcome::done(static_cast<i64>(page_size));
}

u64 Frozen::used_bytes() const {
    const Outcome used = kernel_->perform(Call::file_used(fd()));
    return used.ok() ? static_cast<u64>(used.value) : 0;
}

}  // namespace verso::engine
