// The thread that reads a region's userfaultfd, and (for a child) the one beside it that captures.
//
// After an event the reader goes on looking for another 30 µs before it sleeps: a wake-up costs
// about 5 µs of every fault, and faults come in bursts. Waking it from a sleep is what the
// design's 13 µs against 8.6 µs measured.
#include <algorithm>
#include <array>

#include "engine/region.h"

namespace verso::engine {

using kernel::Call;
using kernel::Event;
using kernel::EventKind;
using kernel::Outcome;
using kernel::Payload;
using kernel::Verdict;
using kernel::Wait;

namespace {
constexpr u64 spin_ns = 30'000;
constexpr unsigned turns_per_yield = 256;  // 4 to 15 µs
constexpr u64 for_ever = ~u64{0};
constexpr unsigned batches_per_look =
    64;  // however busy, look at what else is watched now and then

bool changes_layout(const Event& event) {
    return event.kind == EventKind::removed || event.kind == EventKind::remapped ||
           event.kind == EventKind::unmapped;
}
}  // namespace

void Region::read_events() {
    std::array<Event, 16> events;
    u64 last_ns = 0;
    unsigned batches = 0;
    while (true) {
        reads_.fetch_add(1);  // odd: events may be read and not yet acted upon
        const Outcome read =
            kernel_.perform(Call::uffd_read(uffd_.get()), Payload{.events = events});
        if (!read.ok() || read.value <= 0) {
            reads_.fetch_add(1);
        } else {
            const auto batch = std::span(events).first(static_cast<std::size_t>(read.value));
            list_layout(batch);
            reads_.fetch_add(1);  // nobody waits for the rest but those who are woken
            if (origin_ != Origin::child) {
                act_on_layout();
            }
            for (const Event& event : batch) {
                dispatch(event);
            }
            last_ns = kernel_.now_ns();
            if (++batches % batches_per_look == 0 && beside() >= 0) {
                on_beside();
            }
            continue;
        }
        if (read.verdict == Verdict::interrupted) {
            continue;
        }
        if (!read.ok() && read.verdict != Verdict::would_block) {
            // Unheard of. Giving up would leave every later writer asleep: slow down, and look out
            // for the end.
            std::array<Wait, 1> stop{Wait{stop_.get()}};
            (void)kernel_.perform(Call::wait(1), Payload{.waits = stop});
            if (stop[0].ready) {
                return;
            }
            continue;
        }
        if (step_ahead() || (filler_ != nullptr && filler_->fill_ahead(target_))) {
            last_ns = kernel_.now_ns();
            continue;
        }
        if (kernel_.now_ns() - last_ns < spin_ns) {
            kernel_.relax();
            continue;
        }
        std::array<Wait, 3> waits{Wait{uffd_.get()}, Wait{stop_.get()}, Wait{beside()}};
        const std::size_t used = waits[2].fd >= 0 ? 3 : 2;
        (void)kernel_.perform(Call::wait(for_ever), Payload{.waits = std::span(waits).first(used)});
        if (waits[1].ready || waits[0].hung_up) {
            return;
        }
        if (waits[2].ready || waits[2].hung_up) {
            on_beside();
        }
    }
}

/// What the reader watches beside its userfaultfd: a child its parent's process, an attached
/// region its lender; -1: nothing.
int Region::beside() const { return filler_ != nullptr ? filler_->watched() : socket_.get(); }

void Region::on_beside() {
    if (filler_ != nullptr) {
        filler_->on_watched(target_);
    } else {
        hear_lender();
    }
}

/// Returns when every change of the mapping that the reader had read is acted upon. munmap and
/// madvise return to the application as soon as their event is read, so the damage may not be noted
/// yet (H9).
///
/// The writer that the reader wakes may take its processor, and a snapshot that this writer then
/// takes spun for the rest of a time slice, 3 to 5 ms. So batches of faults alone are not waited
/// for, and spinning gives the processor away now and then.
void Region::wait_for_reader() const {
    const u64 seen = reads_.load();
    for (unsigned turns = 1; seen % 2 != 0 && reads_.load() == seen; ++turns) {
        kernel_.relax();
        if (turns % turns_per_yield == 0) {
            (void)kernel_.perform(Call::wait(0));
        }
    }
}

void Region::dispatch(const Event& event) {
    const u64 page = to_pages(event.address - base_);
    switch (event.kind) {
        case EventKind::write_protect:
            if (origin_ == Origin::child) {  // and not: if there is a worker, which ends before us
                Locked lock(*work_mutex_);
                work_.push_back(page);
                work_changed_->notify_all();
            } else {
                resolve_write(page);
            }
            return;
        case EventKind::missing:
        case EventKind::minor:
            if (filler_ != nullptr) {
                filler_->fill(target_, page);
            } else {
                refill_missing(page);
            }
            return;
        case EventKind::removed:
        case EventKind::remapped:
        case EventKind::unmapped:  // on the list
        case EventKind::forked:
        case EventKind::other: return;
    }
}

void Region::work() {
    work_mutex_->lock();
    while (true) {
        if (!work_.empty()) {
            std::vector<u64> pages;
            pages.swap(work_);
            work_mutex_->unlock();
            for (const u64 page : pages) {
                resolve_write(page);
            }
            work_mutex_->lock();
        } else if (!layout_.empty()) {
            act_on_layout_held();
        } else if (!moves_.empty()) {
            make_moves();
        } else if (work_ended_) {
            break;
        } else {
            work_changed_->wait(*work_mutex_);
        }
    }
    work_mutex_->unlock();
}

/// What the application did to its mapping, before any fault that was read with it: whoever did it
/// goes on once the event is read, and what is at those places from then on is not what snapshots
/// need. Listed first, and acted upon after that, because that takes stripes: who keeps an old
/// version has one, and looks at the list *after* having read the bytes. Bytes that came in place
/// of those that went were filled in by the reader, so after it had listed the event.
///
/// The reader acts upon a root's itself. A child's are the worker's: who holds a stripe may be
/// reading the child's memory, which waits for the reader (seen: a child that was snapshotted while
/// its application discarded parts of it stood still for ever).
void Region::list_layout(std::span<const Event> batch) {
    if (std::ranges::none_of(batch, changes_layout)) {
        return;
    }
    Locked lock(*work_mutex_);
    for (const Event& event : batch) {
        if (changes_layout(event) && !is_our_unmap(event)) {
            layout_.push_back(event);
        }
    }
    layout_count_.store(layout_.size());
    work_changed_->notify_all();
}

/// A chunk that is being mapped anew (move.cc).
bool Region::is_our_unmap(const Event& event) const {
    const u64 page = to_pages(event.address - base_);
    return event.kind == EventKind::unmapped && page == own_unmap_.load() &&
           event.length == to_bytes(target_.chunk(Stripes::chunk_of(page)).count);
}

void Region::act_on_layout() {
    if (layout_count_.load() > 0) {
        Locked lock(*work_mutex_);
        while (!layout_.empty()) {
            act_on_layout_held();
        }
    }
}

/// The first that is listed. work_mutex_ is held, but not while it is acted upon.
void Region::act_on_layout_held() {
    const Event event = layout_.front();
    work_mutex_->unlock();
    note_damage(event);
    work_mutex_->lock();
    layout_.erase(layout_.begin());
    layout_count_.store(layout_.size());
    work_changed_->notify_all();
}

void Region::wait_for_layout() const {
    wait_for_reader();
    if (layout_count_.load() > 0) {
        Locked lock(*work_mutex_);
        while (!layout_.empty()) {
            work_changed_->wait(*work_mutex_);
        }
    }
}

PageRange Region::pages_of(const Event& event) const {
    const u64 begin = std::max(event.address, base_);
    const u64 end =
        std::min(event.kind == EventKind::remapped ? event.address + event.length : event.end,
                 base_ + to_bytes(pages_));
    return begin < end ? PageRange{to_pages(begin - base_), to_pages(end - begin)} : PageRange{};
}

/// The parts of [first, first + count) that are on the list.
std::vector<PageRange> Region::going(u64 first, u64 count) const {
    std::vector<PageRange> all;
    if (layout_count_.load() == 0) {
        return all;
    }
    Locked lock(*work_mutex_);
    for (const Event& event : layout_) {
        const PageRange range = pages_of(event);
        const u64 begin = std::max(range.first, first);
        const u64 end = std::min(range.first + range.count, first + count);
        if (begin < end) {
            all.push_back({begin, end - begin});
        }
    }
    return all;
}

/// Loses to the snapshots what they still need of those parts. True: something was.
bool Region::lose_going_held(u64 first, u64 count) {
    bool any = false;
    for (const PageRange& range : going(first, count)) {
        for (u64 page = range.first; page < range.first + range.count; ++page) {
            if (Layer* const layer = frozen_.needed_by(page); layer != nullptr) {
                frozen_.lose(*layer, page, 1);
                lost_early_.fetch_add(1);
                any = true;
            }
        }
    }
    return any;
}

/// The application changed the mapping under us. What snapshots still needed of it is gone, or
/// will be by the time anybody could look: it is declared lost, loudly, rather than guessed (H9,
/// H17).
void Region::note_damage(const Event& event) {
    const auto [first, count] = pages_of(event);
    if (count == 0) {
        return;
    }
    u64 lost = lost_early_.exchange(0);
    for (u64 page = first; page < first + count; ++page) {
        const Stripes::One held(stripes_, page);
        Layer* layer = frozen_.needed_by(page);
        if (layer != nullptr) {
            frozen_.lose(*layer, page, 1);
            ++lost;
        }
        note_written_held(page, 1);
        open_->set(page);
    }
    const std::string_view what = event.kind == EventKind::removed    ? "discarded (madvise)"
                                  : event.kind == EventKind::unmapped ? "unmapped (munmap)"
                                                                      : "moved (mremap)";
    if (event.kind == EventKind::removed && lost == 0) {
        return;  // nobody needed the old bytes, and the range is still tracked
    }
    damage_mutex_->lock();
    mapping_gone_ = mapping_gone_ || event.kind != EventKind::removed;
    damage_ = fmt::format(
        "region '{}': the application {} pages [{}, {}) behind the engine's back; {} of them were "
        "needed by "
        "snapshots and are lost to them. Use Region::discard, and keep the mapping in place",
        name_, what, first, first + count, lost);
    damage_mutex_->unlock();
    (void)keep_region();  // refused, a later engine will find that it cannot protect what has gone
}

}  // namespace verso::engine
