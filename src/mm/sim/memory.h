// Memory: the one State of a simulated world, and what this process can see of it.
//
//   State ◀── step ── Call                      addresses of the model: 0 … space_pages × 4096
//     │ contents                                addresses of a process: its window's base + that
//     ▼
//   Versions        bytes by number
//     ▲ pull   push ▼                           a page at a time, around the steps that look at
//   memfd ◀── mmap ── window of a process       the page's contents
//
// Windows. Each process has a range of this program's address space, reserved without access, and
// its addresses are those. Where the process has a shared mapping of a memfd that no userfaultfd
// watches, the window shows the file's bytes in real memory: the engine reads and writes its alias
// mappings and ledgers by plain loads and stores, and two mappings of one file are one memory.
// Everything else stays without access, so code that touches application memory past the seam
// crashes here, as it must: on Linux it would wait for the userfault that it is there to serve.
// A mapping is an alias until somebody registers it, and again once nobody has it registered.
//
// The bytes of a memfd are thus in two places, and plain stores tell nobody. `pull` compares what
// the memory shows with what the model believes (60 ns a page) and makes a store of the
// difference; `push` goes the other way. Both look only at the pages that the step is about.
// What plain accesses cannot do here: fault, wait for a migration, meet poisoned pages.
//
// A child of fork(2) has its parent's addresses, and so no memory behind them: aliases are not for
// children (the engine maps them no_fork); what a child inherits it reaches through the seam.
#pragma once

#include <memory>
#include <vector>

#include "base/fd.h"
#include "mm/model.h"
#include "mm/sim/versions.h"

namespace verso::mm::sim {

/// Who is shown every step of a simulated machine, whoever makes it.
class Watcher {
public:
    virtual ~Watcher() = default;
    virtual void before(const Machine& machine, const Call& call) = 0;
    virtual void after(const Machine& machine, const Call& call, const Outcome& outcome) = 0;
    /// write(2), which is no step of the model.
    virtual void wrote(u8 file, u32 index, Contents now) = 0;
};

class Memory {
public:
    Memory(const Rules& rules, const Shape& shape, Choice& choice);
    ~Memory();
    Memory(const Memory&) = delete;
    Memory& operator=(const Memory&) = delete;

    State& state() { return state_; }
    const State& state() const { return state_; }
    const Rules& rules() const { return rules_; }
    Machine& machine() { return machine_; }
    Versions& versions() { return versions_; }
    const Versions& versions() const { return versions_; }
    Choice& choice() { return machine_.choice; }
    void watch(Watcher* watcher) { watcher_ = watcher; }
    u64 limit() const { return to_bytes(state_.shape.space_pages); }

    /// One step, as it is. What it reports besides is in machine().
    Outcome step(const Call& call);
    /// The same around a pull and a push of [address, address + length).
    Outcome step_at(u8 space, u64 address, u64 length, const Call& call);
    /// The same around a pull and a push of everything: for steps that anybody may make.
    Outcome step_anywhere(const Call& call);
    u64 steps() const { return steps_; }
    /// Of every step so far and what came of it.
    u64 trace() const { return trace_; }

    // ── processes ──────────────────────────────────────────────────────────────────────────────
    /// An address space with nothing in it, as after exec.
    u8 new_space();
    u8 new_thread(u8 space);
    void thread_ends(u8 thread);
    /// The space that `thread` runs in shall have a window of its own, or (fork) that of `parent`.
    void open_window(u8 space);
    void inherit_window(u8 space, u8 parent);
    void close_window(u8 space);
    u64 to_model(u8 space, u64 address) const;
    u64 from_model(u8 space, u64 address) const { return windows_[space].base + address; }
    bool in_window(u8 space, u64 address) const;
    /// Makes the window show what the mappings of [address, address + length) say.
    void show(u8 space, u64 address, u64 length);
    void show_all();

    // ── files ──────────────────────────────────────────────────────────────────────────────────
    /// nobody: there are 254 of them.
    u8 make_file(FileKind kind, u32 pages);
    Outcome resize(u8 file, u32 pages, u8 thread);
    /// Its last descriptor has gone. Without a mapping it ends, else with its last mapping.
    void orphan(u8 file);
    void end_orphans();
    /// The version that a page of a file is of, wherever it is.
    Contents version_of(u8 file, u32 index) const;
    /// What a mapping of the file would show meanwhile becomes a store.
    void pull(u8 file, u32 first, u32 count);
    void push(u8 file, u32 first, u32 count);
    void pull_at(u8 space, u64 address, u64 length);
    void push_at(u8 space, u64 address, u64 length);
    void pull_all();
    /// Every page of the file that may differ from zeroes.
    void pull_data(u8 file);
    /// A write(2) is a step, too: somebody may wait for one.
    void note_write(u8 file, u32 index, Contents now);

private:
    /// What stands behind a memfd: a real one, all of it mapped at `view`.
    struct Behind {
        Fd memfd;
        std::byte* view = nullptr;
        u32 pages = 0;
        std::vector<Contents> shown;  ///< by page: the version that the memory showed last
    };
    struct Shown {
        u8 file = nobody;
        bool write = false;
        u32 index = 0;
        friend bool operator==(const Shown&, const Shown&) = default;
    };
    struct Window {
        u64 base = 0;
        bool own = false;
        std::vector<Shown> pages;
    };
    Behind* behind(u8 file) { return file < behind_.size() ? behind_[file].get() : nullptr; }
    void grow(Behind& behind, u32 pages);
    void drop_view(Behind& behind);
    void pull_page(u8 file, Behind& behind, u32 index);
    Shown wanted(const Vma& vma, Vpn at) const;
    void map_run(Window& window, Vpn first, u32 count);
    bool mapped_anywhere(u8 file) const;
    void note(const Call& call, const Outcome& outcome);
    void sweep();

    State state_;
    const Rules rules_;
    Versions versions_;
    Machine machine_;
    Watcher* watcher_ = nullptr;
    std::vector<Window> windows_;
    std::vector<std::unique_ptr<Behind>> behind_;
    std::vector<u8> orphans_;
    std::vector<u8> free_files_;
    u64 steps_ = 0;
    u64 trace_ = 0;
};

}  // namespace verso::mm::sim
