// History: what has to be remembered to say whether a step was right. The oracles that look at one
// state are in invariants.cc; these look at what came before:
//
//   I9        no store gets through to a page that WRITEPROTECT(set) protected (sync)
//   I10       a page that changed since it was armed is never called clean (async)
//   E-SD8     a page stored to since clear_refs is never called clean
//   SC        what PAGEMAP_SCAN reports is what the entries say
//   contents  what an address reads changes only by a write, or by a call that may drop it
//   progress  nobody waits for what cannot come (progress.cc)
//
//   History history(state, rules);
//   history.before(state, call);  outcome = step(machine, call);
//   std::string broken = history.after(machine, call, outcome);   // empty: all is well
//
// It keeps, for every page of every address space and of every file, what must be read there, and
// four facts about its past. It asks none of the functions that it judges (view.h). A plain value:
// copied, compared and hashed beside the State.
#pragma once

#include <array>
#include <string>
#include <string_view>

#include "mm/model.h"
#include "mm/view.h"

namespace verso::mm {

/// Where 6.18 itself breaks what section 3 asks for, and the oracles look away: known, counted.
enum class Exception : u8 { entry_gone, blind_store, moved_waiter, through_pin };
inline constexpr std::size_t exception_count = 4;
struct KnownException {
    std::string_view name;
    std::string_view rows;
    std::string_view reason;
};
const KnownException& known(Exception exception);

/// What is asked of every step. A History that does not watch an oracle goes on where it is broken:
/// a search for lost writes must get past the state of 5.19 that breaks I1 on the way there.
enum class Oracle : u8 { invariants, sync, async, soft_dirty, scan, contents, progress };
inline constexpr std::size_t oracle_count = 7;
class Oracles {
public:
    static constexpr Oracles all() { return Oracles((1U << oracle_count) - 1); }
    static constexpr Oracles none() { return Oracles(0); }
    constexpr Oracles with(Oracle one) const { return Oracles(bits_ | 1U << index(one)); }
    constexpr bool has(Oracle one) const { return (bits_ >> index(one) & 1) != 0; }
    constexpr bool empty() const { return bits_ == 0; }
    friend constexpr bool operator==(Oracles, Oracles) = default;

private:
    static constexpr unsigned index(Oracle one) { return static_cast<unsigned>(one); }
    constexpr explicit Oracles(u32 bits) : bits_(bits) {}
    u32 bits_;
};

/// One page of an address space. The first three rows are what was seen after the last step.
struct Place {
    Contents value = zeroes;
    u32 index = 0;     ///< page of the file
    u8 file = nobody;  ///< behind the mapping, private or shared
    bool mapped : 1 = false;
    bool readable : 1 = false;
    bool own : 1 = false;
    bool held : 1 = false;
    bool special : 1 = false;
    bool pinned : 1 = false;
    bool shared : 1 = false;
    bool returns_writable : 1 = false;
    // The past:
    bool armed : 1 = false;    ///< sync: WRITEPROTECT(set) has returned, nothing has released it
    bool changed : 1 = false;  ///< async: since it was last armed, or never armed
    bool stored : 1 = false;   ///< since clear_refs
    bool blind : 1 = false;    ///< clear_refs could not make it read-only (SD-2)
    bool lazy : 1 = false;     ///< MADV_FREE, and no store since: may become zeroes
    u8 gap_bits : 3 = 0;       ///< see state.h
    u8 gap = 0;
    friend bool operator==(const Place&, const Place&) = default;
};

/// One page of a file.
struct FilePlace {
    Contents value = zeroes;
    bool pinned = false;
    std::array<u8, 3> gap{};
    friend bool operator==(const FilePlace&, const FilePlace&) = default;
};

/// All that is remembered; within the same scopes as a State one block of bytes, for the same
/// reason (state.h).
struct Past {
    InlineVector<Place, 12> places;
    InlineVector<FilePlace, 4> files;
    u32 file_pages = 0;     ///< room for each file
    u32 waiters_moved = 0;  ///< bit for each thread: its range was unmapped as it waited
    bool given_up = false;  ///< a device migration let go of a page before it restored it
    std::array<u8, 7> gap{};
    bool flat() const { return places.flat() && files.flat(); }
    friend bool operator==(const Past&, const Past&) = default;
};
static_assert(std::has_unique_object_representations_v<Place>);
static_assert(sizeof(Past) == sizeof(Past::places) + sizeof(Past::files) + 16);

class History {
public:
    /// Begins here: what is there is right, nothing is armed.
    History(const State& state, const Rules& rules, Oracles watched = Oracles::all());

    void before(const State& state, const Call& call);
    /// The first oracle that does not hold, as a sentence that begins with its row.
    std::string after(const Machine& machine, const Call& call, const Outcome& outcome);
    /// write(2): no step of the model, but its bytes are in the file from now on.
    void wrote(u8 file, u32 index, Contents value);

    const Place& at(u8 space, Vpn page) const { return past_.places[space * space_pages_ + page]; }
    u64 hash() const;
    const Past& past() const { return past_; }
    /// Goes on from what another History of this machine remembered.
    void restore(const Past& past) { past_ = past; }
    /// How often it had to look away. No part of the value.
    u64 met(Exception exception) const { return met_[static_cast<std::size_t>(exception)]; }
    friend bool operator==(const History& a, const History& b) { return a.past_ == b.past_; }

private:
    /// A step, for the functions below.
    struct Step {
        const State& state;
        const Rules& rules;
        const Call& call;
        const Outcome& outcome;
        u8 space;                          ///< the caller's
        const Machine* machine = nullptr;  ///< whose bytes a write's number stands for
        bool done() const { return outcome.verdict == Verdict::done; }
        bool covers(u8 space_of, Vpn at) const;
        bool moves_several() const;
    };

    // history_expect.cc: what the call is to bring about. A sentence: it must not have.
    Call what_goes_on(const State& state, const Call& call, const Outcome& outcome) const;
    std::string expect(const Step& step);
    std::string expect_access(const Step& step, const Access& access);
    std::string expect_populate(const Step& step);
    void expect_write(u8 space, Vpn at, Contents value);
    void expect_file(u8 file, u32 index, Contents value);
    void expect_fill(const Step& step);
    void expect_move(const Step& step);
    void expect_protect(const Step& step);
    void expect_register(const Step& step);
    void expect_advice(const Step& step);
    void expect_hole(u8 file, u32 first, u32 count);
    void expect_mmap(const Step& step);
    void expect_punch(const Step& step);
    void expect_truncate(const Step& step);
    void expect_clear_refs(const Step& step);
    void expect_fork(const Step& step);
    void forget(u8 space, Vpn first, Vpn last);

    // history_mremap.cc
    void note_mappings(const State& state, const Call& call);
    void expect_mremap(const Step& step);
    void expect_moved(const Step& step, Vpn from, Vpn to, u32 pages);
    void expect_parts_moved(const Step& step, bool in_part);
    void expect_moved_in_part(const Step& step);
    void begin_anew(const Step& step, Vpn first, u32 count);

    // history.cc: what came of it.
    std::string look(const Step& step);
    std::string look_at_place(const Step& step, u8 space, const Vma& vma, Vpn at);
    std::string compare(const Step& step, u8 space, const Vma& vma, Vpn at, const Seen& seen);
    std::string check_protection(const Step& step, u8 space, const Vma& vma, Vpn at,
                                 const Seen& seen);
    std::string check_soft_dirty(const Step& step, u8 space, const Vma& vma, Vpn at,
                                 const Seen& seen);
    std::string look_at_files(const Step& step);
    std::string check_scan(const Machine& machine, const Step& step) const;
    bool may_become(const Step& step, u8 space, Vpn at, const Place& was, const Seen& now) const;
    bool may_vanish(const Step& step) const;
    static bool arms_some(const Step& step, u8 space, Vpn at);
    void note_waiters(const Step& step);
    void fit(const State& state);
    void meet(Exception exception, bool met) {
        met_[static_cast<std::size_t>(exception)] += met ? 1 : 0;
    }
    Place& place(u8 space, Vpn page) { return past_.places[space * space_pages_ + page]; }
    bool watches(Oracle one) const { return watched_.has(one); }

    u32 space_pages_;
    Oracles watched_;
    Past past_;
    Access pending_{};    ///< of the thread that retries
    Advising half_{};     ///< of the thread that goes on with its madvise()
    Vpn half_start_ = 0;  ///< … from this page on
    Vmas moving_{};       ///< what a mremap() finds in its range
    std::array<u64, exception_count> met_{};
};

/// Nobody waits for ever: see progress.cc. `moved`: threads that wait on what was unmapped since.
std::string nobody_blocked(const State& state, u32 moved, bool device_window);

}  // namespace verso::mm
