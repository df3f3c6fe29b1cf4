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
    friend bool operator==(const Place&, const Place&) = default;
};

class History {
public:
    /// Begins here: what is there is right, nothing is armed.
    History(const State& state, const Rules& rules);

    void before(const State& state, const Call& call);
    /// The first oracle that does not hold, as a sentence that begins with its row.
    std::string after(const Machine& machine, const Call& call, const Outcome& outcome);

    const Place& at(u8 space, Vpn page) const { return places_[space * space_pages_ + page]; }
    u64 hash() const;
    /// How often it had to look away. No part of the value.
    u64 met(Exception exception) const { return met_[static_cast<std::size_t>(exception)]; }
    friend bool operator==(const History& a, const History& b) {
        return a.places_ == b.places_ && a.files_ == b.files_ &&
               a.waiters_moved_ == b.waiters_moved_ && a.given_up_ == b.given_up_;
    }

private:
    struct FilePlace {
        Contents value = zeroes;
        bool pinned = false;
        friend bool operator==(const FilePlace&, const FilePlace&) = default;
    };
    /// A step, for the functions below.
    struct Step {
        const State& state;
        const Rules& rules;
        const Call& call;
        const Outcome& outcome;
        u8 space;  ///< the caller's
        bool done() const { return outcome.verdict == Verdict::done; }
        bool covers(u8 space_of, Vpn at) const;
    };

    // history_expect.cc: what the call is to bring about. A sentence: it must not have.
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
    void expect_mremap(const Step& step);
    void expect_fork(const Step& step);
    void forget(u8 space, Vpn first, Vpn last);

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
    Place& place(u8 space, Vpn page) { return places_[space * space_pages_ + page]; }

    u32 space_pages_;
    u32 file_pages_ = 0;  ///< room for each file
    std::vector<Place> places_;
    std::vector<FilePlace> files_;
    Access pending_{};       ///< of the thread that retries
    u32 waiters_moved_ = 0;  ///< bit for each thread: its range was unmapped as it waited
    std::array<u64, exception_count> met_{};
    bool given_up_ = false;  ///< a device migration let go of a page before it restored it
};

/// Nobody waits for ever: see progress.cc. `moved`: threads that wait on what was unmapped since.
std::string nobody_blocked(const State& state, u32 moved, bool device_window);

}  // namespace verso::mm
