// Memory: steps, processes and files of the state; window.cc has what of it is real memory.
#include "mm/sim/memory.h"

#include <algorithm>
#include <bit>

namespace verso::mm::sim {

Memory::Memory(const Rules& rules, const Shape& shape, Choice& choice)
    : state_(boot(shape)), rules_(rules), machine_{state_, rules_, choice} {
    machine_.bytes = &versions_;
    state_.threads[0] = Thread{};  // processes bring their own
    state_.spaces[0].alive = false;
}

Memory::~Memory() {
    for (u8 space = 0; space < windows_.size(); ++space) {
        close_window(space);
    }
    for (std::unique_ptr<Behind>& one : behind_) {
        if (one != nullptr) {
            drop_view(*one);
        }
    }
}

void Memory::note(const Call& call, const Outcome& outcome) {
    const u64 words[] = {
        static_cast<u64>(call.op) | static_cast<u64>(call.thread) << 8 |
            static_cast<u64>(call.fd) << 16 | static_cast<u64>(call.flags) << 32,
        call.address,
        call.length,
        call.extra,
        static_cast<u64>(outcome.verdict) | static_cast<u64>(static_cast<u32>(outcome.error)) << 8,
        static_cast<u64>(outcome.value)};
    for (const u64 word : words) {
        trace_ = std::rotl(trace_ ^ word, 29) * 0x9e3779b97f4a7c15;
    }
    ++steps_;
}

void Memory::sweep() {
    std::vector<std::span<const Contents>> shown;
    for (const std::unique_ptr<Behind>& one : behind_) {
        if (one != nullptr) {
            shown.emplace_back(one->shown);
        }
    }
    versions_.sweep(state_, shown);
}

void Memory::note_write(u8 file, u32 index, Contents now) {
    Call call{.op = Op::store, .fd = file};
    call.address = to_bytes(index);
    note(call, Outcome::ok(now));
    if (watcher_ != nullptr) {
        watcher_->wrote(file, index, now);
    }
}

Outcome Memory::step(const Call& call) {
    if (versions_.wants_sweep()) {
        sweep();
    }
    if (watcher_ != nullptr) {
        watcher_->before(machine_, call);
    }
    const Outcome outcome = mm::step(machine_, call);
    note(call, outcome);
    if (watcher_ != nullptr) {
        watcher_->after(machine_, call, outcome);
    }
    return outcome;
}

Outcome Memory::step_at(u8 space, u64 address, u64 length, const Call& call) {
    pull_at(space, address, length);
    const Outcome outcome = step(call);
    push_at(space, address, length);
    return outcome;
}

Outcome Memory::step_anywhere(const Call& call) {
    pull_all();
    const Outcome outcome = step(call);
    for (u8 file = 0; file < state_.files.size(); ++file) {
        push(file, 0, state_.files[file].size);
    }
    show_all();
    return outcome;
}

/// An index is free once neither a process nor a userfaultfd remembers it (fork.cc does the same).
u8 Memory::new_space() {
    const auto remembered = [&](u8 id) {
        return std::ranges::any_of(state_.contexts,
                                   [&](const auto& context) { return context.space == id; });
    };
    u8 id = 0;
    while (id < state_.spaces.size() && (state_.spaces[id].alive || remembered(id))) {
        ++id;
    }
    VERSO_CHECK(id < state_.shape.spaces_max, "more than {} processes", state_.shape.spaces_max);
    if (id == state_.spaces.size()) {
        state_.spaces.emplace_back();
    }
    Space fresh;
    fresh.alive = true;
    fresh.pmds.resize(state_.shape.space_pages / state_.shape.huge_pages);
    fresh.entries.resize(state_.shape.space_pages);
    state_.spaces[id] = std::move(fresh);
    return id;
}

/// clone(CLONE_VM): nothing of it concerns memory.
u8 Memory::new_thread(u8 space) {
    const auto free =
        std::ranges::find_if(state_.threads, [](const auto& one) { return !one.alive; });
    const auto id = static_cast<u8>(free - state_.threads.begin());
    if (free == state_.threads.end()) {
        VERSO_CHECK(id < state_.shape.threads_max, "more than {} threads", id);
        state_.threads.emplace_back();
    }
    state_.threads[id] = Thread{};
    state_.threads[id].alive = true;
    state_.threads[id].space = space;
    return id;
}

void Memory::thread_ends(u8 thread) { state_.threads[thread] = Thread{}; }

u8 Memory::make_file(FileKind kind, u32 pages) {
    File file;
    file.kind = kind;
    file.page_mkwrite = kind == FileKind::ordinary;  // as ext4, XFS and btrfs do
    u8 id = nobody;
    if (!free_files_.empty()) {
        id = free_files_.back();
        free_files_.pop_back();
        state_.files[id] = std::move(file);
    } else if (state_.files.size() < nobody) {
        id = static_cast<u8>(state_.files.size());
        state_.files.push_back(std::move(file));
    } else {
        return nobody;
    }
    if (kind == FileKind::shmem) {
        behind_.resize(std::max<std::size_t>(behind_.size(), id + 1U));
        behind_[id] = std::make_unique<Behind>();
    }
    state_.files[id].size = pages;
    state_.files[id].cache.resize(pages);
    return id;
}

Outcome Memory::resize(u8 file, u32 pages, u8 thread) {
    const u32 before = state_.files[file].size;
    if (pages < before) {
        pull_data(file);
    }
    Call call{.op = Op::ftruncate, .thread = thread, .fd = file};
    call.length = to_bytes(pages);
    const Outcome outcome = step(call);
    if (Behind* const real = behind(file); real != nullptr && outcome.verdict == Verdict::done) {
        grow(*real, pages);
        push(file, pages, before - std::min(before, pages));
    }
    return outcome;
}

bool Memory::mapped_anywhere(u8 file) const {
    return std::ranges::any_of(state_.spaces, [&](const Space& space) {
        return std::ranges::any_of(space.vmas, [&](const Vma& vma) { return vma.file == file; });
    });
}

void Memory::orphan(u8 file) {
    orphans_.push_back(file);
    end_orphans();
}

/// evict_inode(). A page that is still pinned or under way keeps its file for another time.
void Memory::end_orphans() {
    std::erase_if(orphans_, [&](u8 file) {
        if (mapped_anywhere(file)) {
            return false;
        }
        const Call call{.op = Op::ftruncate, .fd = file};
        const Outcome outcome = do_truncate(machine_, call);  // nobody's: the last name has gone
        note(call, outcome);
        if (outcome.verdict != Verdict::done) {
            return false;
        }
        if (Behind* const real = behind(file)) {
            drop_view(*real);
            behind_[file].reset();
        }
        state_.files[file] = File{};
        free_files_.push_back(file);
        return true;
    });
}

Contents Memory::version_of(u8 file, u32 index) const {
    const File& of = state_.files[file];
    if (index >= of.size) {
        return zeroes;
    }
    const Cached& cached = of.cache[index];
    if (cached.page != no_page) {
        return state_.pages[cached.page].contents;
    }
    return cached.slot != no_slot ? state_.slots[cached.slot].contents : cached.disk;
}

}  // namespace verso::mm::sim
