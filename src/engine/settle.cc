// Settling: a rewind protects again what it restores and takes it off the newest layer's list of
// written pages, so that the next rewind touches what was written since this one, and not
// everything that was written since the snapshot.
//
//   released, listed ──rewind──▶ restored, protected ──written again──▶ released, listed
//           ▲                                                                │ rewind
//           └───────── restored, left open: written time and again ◀─────────┘
//
// Protected first and restored after, so that no store can fall between. Only a courtesy: what
// cannot be protected stays listed, and is restored once more.
#include <algorithm>
#include <cstring>

#include "engine/region.h"

namespace verso::engine {

using kernel::Call;
using kernel::Outcome;
using kernel::Payload;

namespace {
constexpr u64 piece_pages = 64;    // 256 KiB: stays in the processor's second cache
constexpr u64 restore_ns = 2'500;  // a page
constexpr u64 looks_every = 8;     // rewinds; a look costs half of what restoring a page does

std::span<std::byte> room_for(std::vector<std::byte>& buffer, u64 bytes) {
    if (buffer.size() < bytes) {  // most runs are one page; 256 KiB at once would take 30 µs
        buffer.resize(bytes);
    }
    return std::span(buffer).first(bytes);
}
}  // namespace

/// With all stripes held. Restored pages are the layer's again if it is the newest (an older one's
/// differ from what the newer ones mean), and stay the newest while arm_mutex_ is held.
Region::Rewinding Region::rewinding_held(const Layer& layer) {
    Rewinding work{.layer = &layer};
    work.settles = alias_.valid() && backend() == Backend::userfaultfd && granule_ == 1 &&
                   !kernel_.abilities().user_mode_only && &layer == frozen_.layers().back().get();
    work.looks = rewinds_++ % looks_every == 0;
    return work;
}

/// Old bytes, read as a file: a mapping's first touch costs 2.5 µs a page, read(2) 0.5; and what
/// is a hole of F stays one.
std::span<const std::byte> Region::old_bytes(Rewinding& work, const Layer& holder, u64 first,
                                             u64 count) {
    const std::span<std::byte> out = room_for(work.old_bytes, to_bytes(count));
    const Outcome read = kernel_.perform(
        Call::file_read(frozen_.fd(), frozen_.area_offset(holder.slot) + to_bytes(first),
                        out.size()),
        Payload{.out = out});
    const bool whole = read.ok() && static_cast<u64>(read.value) == out.size();
    return whole ? out : frozen_.bytes(holder, first, count);
}

/// Whether pages that are open still have their old bytes. Only a hint: they are open.
bool Region::unchanged(Rewinding& work, const PastRun& run) {
    for (u64 at = run.first; at < run.first + run.count; at += piece_pages) {
        const u64 pages = std::min(piece_pages, run.first + run.count - at);
        const std::span<std::byte> out = room_for(work.live_bytes, to_bytes(pages));
        const Outcome read = kernel_.perform(Call::file_read(live_.get(), to_bytes(at), out.size()),
                                             Payload{.out = out});
        if (!read.ok() || static_cast<u64>(read.value) != out.size() ||
            std::memcmp(out.data(), old_bytes(work, *run.holder, at, pages).data(), out.size()) !=
                0) {
            return false;
        }
    }
    return true;
}

/// Protects pages that are about to be restored. A page that was written again after an earlier
/// rewind had protected it stays open: its writer would pay 10 µs a round for what costs a rewind
/// 2; until a look finds it as it was left. Protecting may take half of a rewind and no more: with
/// another thread running a call takes 10 µs. False: the pages stay as they are.
bool Region::settle_held(Rewinding& work, const PastRun& run) {
    if (!work.settles) {
        return false;
    }
    const bool again = rewound_->test(run.first);
    if (again && (!work.looks || !unchanged(work, run))) {
        return false;
    }
    if (open_->any(run.first, run.count) &&
        (work.cost.protect_ns > (work.restored + 16) * restore_ns ||
         !protect_run(run.first, run.count, work.cost).ok())) {
        return false;
    }
    if (again) {
        rewound_->clear_range(run.first, run.count);
    } else {
        rewound_->set_range(run.first, run.count);
    }
    return true;
}

/// Through the alias or its file: none of the steps can be refused.
void Region::restore_held(Rewinding& work, const PastRun& run) {
    const bool settled = settle_held(work, run);
    prepare_for_write_held(run.first, run.count);
    note_written_held(run.first, run.count);
    for (u64 at = run.first; at < run.first + run.count; at += piece_pages) {
        const u64 pages = std::min(piece_pages, run.first + run.count - at);
        const std::span<const std::byte> bytes = old_bytes(work, *run.holder, at, pages);
        // Written as a file: the alias may have no entries for these pages, at 2 µs each.
        const Outcome written = kernel_.perform(
            Call::file_write(live_.get(), to_bytes(at), bytes.size()), Payload{.in = bytes});
        if (!written.ok() || static_cast<u64>(written.value) != bytes.size()) {
            // Half a rewind is no answer; the slower way cannot be refused.
            std::ranges::copy(bytes, alias_.at(to_bytes(at), bytes.size()).begin());
        }
    }
    work.restored += run.count;
    if (settled) {
        frozen_.forget_written(run.first, run.count);
    }
}

}  // namespace verso::engine
