// What outlives the engine's process, and how the next one goes on: see verso/takeover.hpp.
//
// Only memory that another process has lent can be taken over. Of it there are put away
//
//   NAME/region        memfd, userfaultfd, old pages, ledger, socket to the lender
//   NAME/snapshot/SEQ  nothing: the layer of that place in time is read
//   NAME/child/N/ITS   socket, userfaultfd, pidfd of a child elsewhere; which layer it reads
//
// in the order that makes every moment a good one to be killed in: what is to be read is put away
// before anybody may read it, and taken off before it is given back. All else can be found again:
//
//   which pages a layer holds   the ledger. Bytes are stored before they are marked, and marked
//                               before a writer is released; stored twice they are the same bytes
//   which pages are writable    nobody knows: all are protected once more. One that was released
//                               is marked in the newest layer that needed it, so its next fault
//                               stores nothing
//   what was written since      everything, for all that is known: a rewind looks at all that is
//                               held, and puts back bytes that may be there
//   who waits for a page        all are woken, and fault again
//   what a child has asked      it is told, and says it again (wire.h: resumed)
//
// Not found: a layout event that was read and not acted upon.
#include <algorithm>
#include <array>

#include "engine/exporter.h"
#include "engine/region.h"

namespace verso::engine {

using kernel::Call;
using kernel::Outcome;
using kernel::RegisterMode;
using kernel::Verdict;
using Entry = Safekeeping::Entry;

namespace {

// The first number of an entry. Others are not ours.
constexpr u64 is_region = 1;
constexpr u64 is_snapshot = 2;
constexpr u64 is_child = 3;

bool is(const Entry& entry, u64 what, std::size_t numbers) {
    return !entry.numbers.empty() && entry.numbers[0] == what && entry.numbers.size() == numbers;
}

Result<std::vector<Fd>> duplicates(kernel::Kernel& kernel, std::span<const int> fds) {
    std::vector<Fd> copies;
    for (const int fd : fds) {
        const Outcome copied = kernel.perform(Call::duplicate(fd));
        if (!copied.ok()) {
            return refuse(copied, "taking over from an engine that was killed");
        }
        copies.emplace_back(static_cast<int>(copied.value));
    }
    return copies;
}

/// NAME/child/N/ITS
std::string child_name(const std::string& key) {
    const std::size_t number = key.find('/', key.find('/') + 1) + 1;
    const std::size_t its = key.find('/', number);
    return its == std::string::npos ? "" : key.substr(its + 1);
}

tl::unexpected<Error> not_ours(const std::string& key) {
    return fail(
        ErrorKind::peer, 0,
        "'{}' is not what an engine of this version puts away; end what runs and start anew", key);
}

}  // namespace

std::string Region::key(std::string_view what, u64 number) const {
    return number == 0 ? fmt::format("{}/{}", name_, what)
                       : fmt::format("{}/{}/{}", name_, what, number);
}

Result<void> Region::keep_region() {
    if (safe_ == nullptr) {
        return {};
    }
    Entry entry{key("region"), {is_region, pages_, base_, 0, 0, granule_}, {}};
    {
        Locked lock(*damage_mutex_);
        entry.numbers[3] = mapping_gone_ ? 1 : 0;
        entry.numbers[4] = loan_ended_ ? 1 : 0;
    }
    entry.fds = {live_.get(), uffd_.get(), frozen_.fd(), frozen_.ledger().fd()};
    if (socket_.valid()) {
        entry.fds.push_back(socket_.get());
    }
    return safe_->keep(entry);
}

Result<void> Region::keep_snapshot(const Layer& layer) {
    if (safe_ == nullptr) {
        return {};
    }
    return safe_->keep({key("snapshot", layer.seq), {is_snapshot, layer.seq}, {}});
}

void Region::drop_snapshot(const Layer& layer) {
    if (safe_ != nullptr) {
        safe_->drop(key("snapshot", layer.seq));
    }
}

Result<std::string> Region::keep_child(const Layer& layer, const FillTarget& child,
                                       std::span<const int> fds) {
    VERSO_CHECK(child.base_file == BaseFile::frozen, "lent memory is never mapped by a child");
    const u64 number = children_kept_.fetch_add(1) + 1;
    const std::string name = fmt::format("{}/{}", key("child", number), child.counts->name);
    Result<void> kept = safe_->keep({name,
                                     {is_child, number, layer.seq, child.base, child.lifeline},
                                     std::vector<int>(fds.begin(), fds.end())});
    return kept ? Result<std::string>(name) : pass(kept);
}

/// The lender's memory as it was put away; nothing is served yet.
Result<void> Region::take_memory(const Entry& entry) {
    Result<std::vector<Fd>> fds = duplicates(kernel_, entry.fds);
    if (!fds) {
        return pass(fds);
    }
    local_ = false;
    live_ = std::move((*fds)[0]);
    uffd_ = std::move((*fds)[1]);
    if (fds->size() > 4) {
        socket_ = std::move((*fds)[4]);
    }
    base_ = entry.numbers[2];
    guard_ = Guard(kernel_, Backend::userfaultfd, uffd_.get(), base_);
    open_->clear_range(0, pages_);
    if (entry.numbers[3] != 0) {
        mapping_gone_ = true;
        damage_ = fmt::format("region '{}': the application unmapped or moved some of it", name_);
    }
    loan_ended_ = entry.numbers[4] != 0;
    granule_ = entry.numbers[5] == 1 ? 1 : Stripes::chunk_pages;
    return map_live(false, 0);
}

/// Group by group, as a pass does. What the reader releases meanwhile is protected after it or
/// stays open and known to be.
Result<void> Region::protect_everything() {
    constexpr unsigned tries_max = 10'000;  // as arm() has it
    unsigned tries = 0;
    for (u64 first = 0; first < pages_;) {
        const u64 count = std::min(Stripes::chunk_pages, pages_ - first);
        Outcome outcome;
        {
            const Stripes::One held(stripes_, first);
            outcome = guard_.protect(first, count);
            if (outcome.ok()) {
                open_->clear_range(first, count);
            }
        }
        if (outcome.ok()) {
            first += count;
        } else if (outcome.verdict == Verdict::target_gone) {
            return {};  // nobody is left who could write
        } else if (outcome.verdict == Verdict::no_such_range) {
            Locked lock(*damage_mutex_);
            mapping_gone_ = true;
            damage_ = fmt::format("region '{}': its memory is not watched any more", name_);
            return {};
        } else if (outcome.verdict != Verdict::layout_changing &&
                   outcome.verdict != Verdict::interrupted) {
            return refuse(outcome, fmt::format("protecting region '{}'", name_));
        } else if (++tries == tries_max) {
            return refuse(outcome, fmt::format("protecting region '{}'", name_));
        } else {
            (void)kernel_.perform(Call::wait(1));
        }
    }
    return {};
}

Result<void> Region::serve_again() {
    reader_ = kernel_.spawn("verso-faults", [this] { read_events(); });
    if (reader_ == nullptr) {
        return fail(ErrorKind::resource, 0, "no more threads to serve the lender's memory");
    }
    Result<void> done = protect_everything();
    (void)guard_.wake(0, pages_);
    return done;
}

/// Whoever reads an old layer: a snapshot, or a child elsewhere, which is not served yet.
Result<void> Region::take_reader(const Entry& entry, TakenOver& taken,
                                 std::vector<Waiting>& children) {
    const bool snapshot = is(entry, is_snapshot, 2);
    if (!snapshot && !is(entry, is_child, 5)) {
        return {};
    }
    Layer* const layer = frozen_.find(entry.numbers[snapshot ? 1 : 2]);
    if (layer == nullptr || (!snapshot && (entry.fds.size() < 2 || entry.fds.size() > 3))) {
        return not_ours(entry.key);
    }
    if (snapshot) {
        pin(*layer);
        taken.snapshots.push_back(std::make_shared<Snapshot>(shared_from_this(), *layer));
        return {};
    }
    children_kept_.store(std::max(children_kept_.load(), entry.numbers[1]));
    Result<std::vector<Fd>> fds = duplicates(kernel_, entry.fds);
    if (!fds) {
        return pass(fds);
    }
    Result<ChildService*> child =
        resume_child(shared_from_this(), *layer, std::move(*fds), entry.numbers[3],
                     entry.numbers[4], child_name(entry.key));
    if (!child) {
        return pass(child);
    }
    children.push_back({*child, entry.key});
    return {};
}

/// The memory, and the layers that were put away with it: nobody reads them yet.
Result<std::shared_ptr<Region>> Region::take_region(Runtime& runtime, const Entry& entry) {
    kernel::Kernel& kernel = runtime.kernel();
    Result<Runtime::Seat> seat = runtime.seat();
    Result<std::vector<Fd>> files = duplicates(kernel, std::span(entry.fds).subspan(2, 2));
    if (!seat || !files) {
        return tl::unexpected<Error>(!seat ? seat.error() : files.error());
    }
    const u64 pages = entry.numbers[1];
    Result<Frozen> frozen =
        Frozen::resume(kernel, pages, std::move((*files)[0]), std::move((*files)[1]));
    if (!frozen) {
        return pass(frozen);
    }
    Setup setup{entry.key.substr(0, entry.key.find('/')), pages, Tracking::contents,
                Origin::attached, std::move(*seat)};
    Result<std::shared_ptr<Region>> made = make(runtime, std::move(setup), std::move(*frozen));
    if (!made) {
        return made;
    }
    Result<void> memory = (*made)->take_memory(entry);
    return memory ? made : pass(memory);
}

Result<Region::TakenOver> Region::take_over(Runtime& runtime, std::span<const Entry> entries,
                                            Safekeeping& safe) {
    const auto at = std::ranges::find_if(entries, [](const Entry& one) {
        return is(one, is_region, 6) && (one.fds.size() == 4 || one.fds.size() == 5) &&
               one.key.find('/') != std::string::npos && one.numbers[1] > 0;
    });
    if (at == entries.end()) {
        return fail(ErrorKind::invalid_argument, 0, "no memory was put away that can be served");
    }
    Result<std::shared_ptr<Region>> made = take_region(runtime, *at);
    if (!made) {
        return pass(made);
    }
    Region& region = **made;
    TakenOver taken{*made, {}};
    std::vector<Waiting> children;
    Result<void> done;
    for (const Entry& entry : entries) {
        done = done ? region.take_reader(entry, taken, children) : done;
    }
    if (done) {
        region.give_back_unread();
        done = region.serve_again();
    }
    for (const Waiting& child : children) {
        if (done) {
            child.service->kept(safe, child.key);
        }
        child.service->decide(done.has_value());
    }
    if (!done) {
        return pass(done);
    }
    region.safe_ = &safe;  // from here on, what goes is taken off
    return taken;
}

void Region::give_back_unread() {
    Locked one_at_a_time(*release_mutex_);
    Frozen::Garbage unread;
    {
        const Stripes::All held(stripes_);
        unread = frozen_.unread();
    }
    frozen_.collect(unread);
}

}  // namespace verso::engine
