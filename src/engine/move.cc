// A chunk of a live child moves to the frozen layer. A child that was forked while little of its
// snapshot was captured maps the source's live file; what is captured later it would get as copies
// of its own, and so would each of its siblings. Where that is much of a chunk, the source stores
// all of the chunk in the layer, and the child maps the layer's area over it: from then on it
// shares the layer's pages, as a child does that was forked frozen.
//
//   source, serving a fault              child, worker thread
//   much of the chunk is captured?
//   store the rest in the layer
//   ── ask; fill nothing there ────────▶ protect the chunk: nobody writes from here on
//                                        pages of its own? then it stays: lift, wake
//                                        map the layer's area over it, register that
//   ◀── moved, or stayed ──────────────  wake: whoever waits asks once more
//
// Nothing is lost on the way. What the child wrote before the protection, the page map shows after
// it; a write after it waits, and is done in what the chunk is then. Nobody else puts pages there
// meanwhile: the source has said that it does not, and a child whose source dies waits as well.
// Between mapping and registering, touches find the layer's pages without asking: the right bytes,
// because all of the chunk is in the layer. A step that fails before the mapping leaves things as
// they were.
#include <algorithm>
#include <bit>

#include "abi/abi.h"
#include "engine/place.h"
#include "engine/region.h"

namespace verso::engine {

using kernel::Call;
using kernel::MapFlag;
using kernel::Outcome;
using kernel::RegisterMode;

namespace {
constexpr u64 islands_max = 1000;  // each may take two mappings of the 65,530 that a process has
constexpr u64 batch = 64;          // pages stored while a writer waits: 0.1 ms
}  // namespace

/// Whether moving takes no more memory than copying: the pages not captured are stored once, where
/// the captured would be copied by each child.
bool Region::worth_moving_held(const FillTarget& target, const Layer& layer, u64 page) const {
    const u64 chunk = Stripes::chunk_of(page);
    const Moves& moves = target.moves;
    if (!target.ask_move || target.protect.load() || moves.asked->test(chunk) ||
        frozen_.holder(layer, page) == nullptr) {
        return false;
    }
    const auto moved = [&](u64 at) {
        return at < moves.frozen->size() && (moves.frozen->test(at) || moves.moving->test(at));
    };
    if (moves.islands >= islands_max && !moved(chunk + 1) && (chunk == 0 || !moved(chunk - 1))) {
        return false;
    }
    const PageRange range = target.chunk(chunk);
    u64 captured = 0;
    for (u64 at = range.first; at < range.first + range.count; at += BitmapView::bits_per_word) {
        captured += static_cast<u64>(std::popcount(frozen_.captured_since(layer, at)));
    }
    return captured * (live_children_ + 1) >= range.count;
}

/// True: the child was asked, and will wake whoever waits for a page of the chunk.
bool Region::ask_to_move(FillTarget& target, Layer& layer, u64 chunk) {
    target.moves.asked->set(chunk);
    const PageRange range = target.chunk(chunk);
    const u64 end = range.first + range.count;
    for (u64 first = range.first; first < end; first += batch) {
        const Stripes::One held(stripes_, first);
        if (!bring_to_layer_held(layer, first, std::min(batch, end - first))) {
            return false;
        }
    }
    const bool beside = chunk > 0 && target.moves.frozen->test(chunk - 1);
    target.moves.islands += beside ? 0 : 1;
    target.moves.moving->set(chunk);
    if (target.ask_move(chunk)) {
        return true;
    }
    target.moves.moving->clear(chunk);
    return false;
}

/// Asked of a child, on its reader thread: which must be free to read the event of the mapping
/// that goes.
void Region::want_move(u64 chunk) {
    bool accepted = false;
    {
        Locked lock(*work_mutex_);
        accepted = may_move_;
        if (accepted) {
            moves_.push_back(chunk);
            work_changed_->notify_all();
        }
    }
    if (!accepted) {
        conclude_move(chunk, false);
    }
}

void Region::conclude_move(u64 chunk, bool moved) {
    const PageRange range = target_.chunk(chunk);
    if (moved) {
        target_.moves.frozen->set(chunk);
        target_.served->clear_range(range.first, range.count);
    }
    filler_->concluded(target_, chunk, moved);
    target_.moves.moving->clear(chunk);
    place::wake(kernel_, target_, range.first, range.count);
}

/// The worker's share of one round, work_mutex_ held.
void Region::make_moves() {
    std::vector<u64> chunks;
    chunks.swap(moves_);
    moving_ = true;
    const bool may = may_move_;
    work_mutex_->unlock();
    for (const u64 chunk : chunks) {
        conclude_move(chunk, may && move_chunk(chunk));
    }
    work_mutex_->lock();
    moving_ = false;
    work_changed_->notify_all();
}

/// A child that becomes a source keeps the mapping it has: the protection of its pages must not go
/// with a mapping, nor pages arrive unprotected.
Result<void> Region::end_moves() {
    Locked lock(*work_mutex_);
    may_move_ = false;
    while (moving_ || !moves_.empty()) {
        work_changed_->wait(*work_mutex_);
    }
    if (!unwatched_) {
        return {};
    }
    Result<void> watched =
        watch(RegisterMode::missing | RegisterMode::minor | RegisterMode::write_protect);
    unwatched_ = !watched;
    return watched;
}

/// The page map before and after the protection. Absent before is absent after, since nobody fills
/// (without privilege, a protected absent page cannot be told from one that is swapped out).
bool Region::owns_none_once_protected(PageRange range) {
    const auto read = [&](std::vector<u64>& entries) {
        entries.resize(range.count);
        const std::span<std::byte> bytes = std::as_writable_bytes(std::span(entries));
        const Outcome outcome = kernel_.perform(
            Call::pagemap_read(base_ + to_bytes(range.first), to_bytes(range.count)),
            kernel::Payload{.out = bytes});
        return outcome.ok() && static_cast<u64>(outcome.value) == bytes.size();
    };
    constexpr u64 there =
        abi::PagemapBit::present | abi::PagemapBit::swapped | abi::PagemapBit::file;
    std::vector<u64> before;
    std::vector<u64> after;
    if (!read(before) || std::ranges::any_of(before, abi::is_private_copy) ||
        !guard_.protect(range.first, range.count).ok() || !read(after)) {
        return false;
    }
    for (u64 i = 0; i < range.count; ++i) {
        if ((before[i] & there) != 0 && abi::is_private_copy(after[i])) {
            return false;
        }
    }
    return true;
}

bool Region::move_chunk(u64 chunk) {
    const PageRange range = target_.chunk(chunk);
    if (!owns_none_once_protected(range) || !map_layer(range)) {
        // Where this is refused, the page's own writer is released by its own fault.
        (void)guard_.release(range.first, range.count);
        return false;
    }
    constexpr unsigned tries_max = 3;
    for (unsigned tries = 0; tries < tries_max; ++tries) {
        const Outcome registered = kernel_.perform(Call::uffd_register(
            uffd_.get(), base_ + to_bytes(range.first), to_bytes(range.count),
            RegisterMode::missing | RegisterMode::minor | RegisterMode::write_protect));
        if (registered.ok()) {
            return true;
        }
    }
    Locked lock(*work_mutex_);
    unwatched_ = true;  // all right as it is; only a source must watch everything
    return true;
}

/// Maps the layer's area over pages of ours. False: the mapping is what it was.
bool Region::map_layer(PageRange range) {
    const u64 address = base_ + to_bytes(range.first);
    const Call mapping =
        Call::map(layer_file_, layer_offset_ + to_bytes(range.first), to_bytes(range.count),
                  layer_access_ | MapFlag::no_reserve | MapFlag::no_fork | MapFlag::fixed, address);
    own_unmap_.store(range.first);
    Outcome mapped = kernel_.perform(mapping);
    // Before Linux 6.12 a refusal can come after the old mapping has gone. What was there is then
    // nowhere else, and the layer holds the same.
    for (unsigned tries = 0; !mapped.ok(); ++tries) {
        if (kernel_.perform(Call::check_mapped(address, to_bytes(range.count))).ok()) {
            break;
        }
        VERSO_CHECK(tries < 10'000, "a child's memory could not be mapped for ten seconds: {}",
                    kernel::to_string(mapped));
        (void)kernel_.perform(Call::wait(1));
        mapped = kernel_.perform(mapping);
    }
    wait_for_reader();  // it has read our event, if there was one, and may not have got to it
    own_unmap_.store(no_page);
    if (mapped.ok()) {
        keep_from_merging(range);
    }
    return mapped.ok();
}

}  // namespace verso::engine
