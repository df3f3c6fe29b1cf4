// A small model that other checkers can search as well: the machinery in which 5.19 lost writes.
// A sweeper protects pages one after the other, a migrator takes them away and brings them back,
// writers store. Bringing back made the entry writable whatever its protection said, so that the
// next store told nobody: `lost`. A state is one word, a step a guarded command on its bits. The
// table of commands is searched here (Toy, ToyWorker) and printed as Promela (to_promela).
//
//   writer    ready ──picks a page──▶ storing ──writable──▶ ready, dirty, a write less; lost if
//                                        │  ▲               the page is protected
//                           not writable ▼  │ handler: told, not protected, writable
//                                        fault            (a page that is away: waits)
//   sweeper   page 0, 1, …: protected, not writable, not told, not dirty; a sweep less at the last
//   migrator  a page away; back, and writable; a migration less
#pragma once

#include <initializer_list>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "check/explore/breadth_first.h"

namespace verso::bench {

struct ToySize {
    u32 writers = 2;
    u32 pages = 2;
    u32 writes = 5;      // of each writer
    u32 sweeps = 7;      // of all pages
    u32 migrations = 7;  // of a page each
};

struct Variable {
    std::string name;
    u32 shift = 0;
    u32 bits = 0;
    u64 initial = 0;
    u64 mask() const { return ((u64{1} << bits) - 1) << shift; }
};

/// If (state & mask) == value and, where asked, nonzero has a bit: (state & ~clear | set) − take.
struct Command {
    u64 mask = 0;
    u64 value = 0;
    u64 nonzero = 0;
    u64 clear = 0;
    u64 set = 0;
    u64 take = 0;
    u32 process = 0;
    std::string promela{};  // the same
};

class Toy {
public:
    explicit Toy(const ToySize& size) : size_(size) {
        for (u32 page = 0; page < size.pages; ++page) {
            pages_.push_back({flag("prot", page), flag("writable", page, 1), flag("away", page),
                              flag("told", page), flag("dirty", page), flag("lost", page)});
        }
        for (u32 i = 0; i < size.writers; ++i) {
            writers_.push_back({add(fmt::format("phase{}", i), 2), add(fmt::format("page{}", i), 3),
                                add(fmt::format("left{}", i), 3, size.writes)});
        }
        sweeps_ = add("sweeps", 3, size.sweeps);
        at_ = add("at", 3);
        migrations_ = add("migrations", 3, size.migrations);
        for (u32 writer = 0; writer < size.writers; ++writer) {
            for (u32 page = 0; page < size.pages; ++page) {
                store(writer, page);
            }
        }
        for (u32 page = 0; page < size.pages; ++page) {
            sweep(page);
            migrate(page);
        }
    }

    u64 initial() const {
        u64 state = 0;
        for (const Variable& one : variables_) {
            state |= one.initial << one.shift;
        }
        return state;
    }
    const std::vector<Command>& commands() const { return commands_; }

    /// One process for each writer, one for the sweeper, one for the migrator. Each stays at one
    /// place, its loop, and a command is one step: a state is the variables and nothing else.
    std::string to_promela() const {
        std::string text;
        for (const Variable& one : variables_) {
            text +=
                fmt::format("{} {} = {};\n", one.bits == 1 ? "bit" : "byte", one.name, one.initial);
        }
        for (u32 process = 0; process < size_.writers + 2; ++process) {
            text += fmt::format("active proctype p{}() {{\nend: do\n", process);
            for (const Command& one : commands_) {
                text += one.process == process ? one.promela : "";
            }
            text += "  od\n}\n";
        }
        return text;
    }

private:
    using Index = std::size_t;
    struct Page {
        Index prot, writable, away, told, dirty, lost;
    };
    struct Writer {
        Index phase, page, left;
    };
    enum Phase : u64 { ready, storing, fault };
    struct Equals {
        Index variable;
        u64 value;
    };

    Index add(std::string name, u32 bits, u64 initial = 0) {
        VERSO_CHECK(used_ + bits <= 64 && initial < u64{1} << bits, "the toy is too large");
        variables_.push_back({std::move(name), used_, bits, initial});
        used_ += bits;
        return variables_.size() - 1;
    }
    Index flag(const char* name, u32 page, u64 initial = 0) {
        return add(fmt::format("{}{}", name, page), 1, initial);
    }

    /// `left`: must not be zero; `less`: and becomes one less.
    void command(u32 process, std::initializer_list<Equals> guards,
                 std::initializer_list<Equals> changes, std::optional<Index> left = {},
                 bool less = false) {
        Command made{.process = process};
        std::vector<std::string> when;
        std::vector<std::string> then;
        for (const Equals& guard : guards) {
            const Variable& one = variables_[guard.variable];
            made.mask |= one.mask();
            made.value |= guard.value << one.shift;
            when.push_back(fmt::format("{} == {}", one.name, guard.value));
        }
        for (const Equals& change : changes) {
            const Variable& one = variables_[change.variable];
            made.clear |= one.mask();
            made.set |= change.value << one.shift;
            then.push_back(fmt::format("{} = {}", one.name, change.value));
        }
        if (left) {
            const Variable& one = variables_[*left];
            made.nonzero = one.mask();
            when.push_back(one.name + " > 0");
            if (less) {
                made.take = u64{1} << one.shift;
                then.push_back(fmt::format("{0} = {0} - 1", one.name));
            }
        }
        made.promela = fmt::format("  :: d_step {{ {} -> {} }}\n", fmt::join(when, " && "),
                                   fmt::join(then, "; "));
        commands_.push_back(std::move(made));
    }

    void store(u32 writer, u32 number) {
        const auto& [phase, page, left] = writers_[writer];
        const Page& on = pages_[number];
        command(writer, {{phase, ready}}, {{phase, storing}, {page, number}}, left);
        for (const u64 prot : {0U, 1U}) {
            const std::initializer_list<Equals> here = {
                {phase, storing}, {page, number}, {on.away, 0}, {on.writable, 1}, {on.prot, prot}};
            if (prot == 0) {
                command(writer, here, {{phase, ready}, {page, 0}, {on.dirty, 1}}, left, true);
            } else {
                command(writer, here, {{phase, ready}, {page, 0}, {on.dirty, 1}, {on.lost, 1}},
                        left, true);
            }
        }
        command(writer, {{phase, storing}, {page, number}, {on.away, 0}, {on.writable, 0}},
                {{phase, fault}});
        command(writer, {{phase, fault}, {page, number}, {on.away, 0}},
                {{phase, storing}, {on.told, 1}, {on.prot, 0}, {on.writable, 1}});
    }

    void sweep(u32 number) {
        const Page& on = pages_[number];
        const bool last = number + 1 == size_.pages;
        command(size_.writers, {{at_, number}},
                {{on.prot, 1},
                 {on.writable, 0},
                 {on.told, 0},
                 {on.dirty, 0},
                 {at_, last ? 0 : number + 1}},
                sweeps_, last);
    }

    void migrate(u32 number) {
        const Page& on = pages_[number];
        command(size_.writers + 1, {{on.away, 0}}, {{on.away, 1}, {on.writable, 0}}, migrations_,
                true);
        command(size_.writers + 1, {{on.away, 1}}, {{on.away, 0}, {on.writable, 1}});
    }

    ToySize size_;
    std::vector<Variable> variables_;
    std::vector<Command> commands_;
    std::vector<Page> pages_;
    std::vector<Writer> writers_;
    Index sweeps_ = 0;
    Index at_ = 0;
    Index migrations_ = 0;
    u32 used_ = 0;
};

/// The toy as BreadthFirst wants it. No oracle: both searches visit every state and no more.
class ToyWorker {
public:
    explicit ToyWorker(const Toy& toy) {
        for (const Command& one : toy.commands()) {
            fast_.push_back({one.mask, one.value, one.nonzero, ~one.clear, one.set, one.take});
        }
    }
    static std::size_t size(const u64*) { return 1; }
    template <class Emit>
    void expand(std::span<const u64> state, u32, Emit emit) {
        const u64 now = state[0];
        for (u16 i = 0; i < fast_.size(); ++i) {
            const Fast& one = fast_[i];
            if ((now & one.mask) == one.value && (one.nonzero == 0 || (now & one.nonzero) != 0)) {
                const u64 next = ((now & one.keep) | one.set) - one.take;
                emit(std::span(&next, 1), check::explore::Label{i, 0});
            }
        }
    }
    bool fresh(std::span<const u64>, check::explore::Origin) { return true; }
    bool enough() const { return false; }

private:
    struct Fast {
        u64 mask, value, nonzero, keep, set, take;
    };
    std::vector<Fast> fast_;
};

struct ToyCount {
    u64 states = 0;
    u64 steps = 0;
    unsigned depth = 0;
    bool fits = true;
};

inline ToyCount search(const Toy& toy, unsigned workers, u64 memory_bytes = u64{16} << 30) {
    namespace explore = check::explore;
    std::vector<std::unique_ptr<ToyWorker>> all;
    for (unsigned i = 0; i < workers; ++i) {
        all.push_back(std::make_unique<ToyWorker>(toy));
    }
    explore::BreadthFirst<ToyWorker> search(std::move(all), {memory_bytes});
    const u64 first = toy.initial();
    search.add_beginning(std::span(&first, 1), 0);
    bool fits = true;
    while (fits && search.level().states() != 0) {
        fits = search.run_level() == explore::Halt::no;
    }
    return {search.states(), search.edges() - 1, search.depth() - 1, fits};
}

}  // namespace verso::bench
