// Book: what a memory must hold, and what a snapshot of it may. The scheduler of a simulated world
// runs one task at a time, and a task that made an access goes on from there: so the order in which
// stores return is the order in which they were performed, and the history is exact.
//
//   root     zeroes ◀── its stores            a snapshot during which two stores were performed is
//              ▲                              one of three moments: these are its candidates. Each
//   moment     └ {…} {…,x} {…,x,y}            look at a page strikes out those that differ, also a
//              ▲                              look at a page that a child has not written.
//   child      └── its own stores             None left: the snapshot is no point in time.
//
// Nobody looks at a page only to keep the books: a child that is never read stays as lazy as it
// was.
//
// Of a page eight words may be written, the first and the last among them; all other bytes must
// read zero. Which word is where: offset_of().
#pragma once

#include <array>
#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "check/swarm/knobs.h"

namespace verso::check::swarm {

inline constexpr u32 words_per_page = 8;
inline constexpr u32 places_max = pages_max * words_per_page;
/// Place p is word p % 8 of page p / 8.
u64 offset_of(u32 place);

/// Some words of a memory: those that were written since something.
struct Overlay {
    std::array<u8, pages_max> has{};  // bit for each word
    std::array<u64, places_max> value{};

    void set(u32 place, u64 to) {
        has[place / words_per_page] |= static_cast<u8>(1U << place % words_per_page);
        value[place] = to;
    }
};

using Page = std::span<const std::byte, page_size>;

/// The words of a page that was read.
struct Words {
    u32 page = 0;
    std::array<u64, words_per_page> value{};
};

/// A point in time of some memory: one of its candidates.
class Moment {
public:
    Moment(std::shared_ptr<Moment> origin, std::vector<Overlay> candidates)
        : origin_(std::move(origin)), candidates_(std::move(candidates)) {}

    /// False: no candidate has these words. Otherwise those that have not are struck out.
    bool saw(const Words& words, u8 which = 0xff);
    bool may_have(const Words& words, u8 which) const;
    std::size_t candidates() const { return candidates_.size(); }
    /// Whether the place cannot hold this value.
    bool differs(u32 place, u64 value) const;

private:
    bool fits(const Overlay& candidate, const Words& words, u8 which) const;
    std::shared_ptr<Moment> origin_;  // nullptr: zeroes
    std::vector<Overlay> candidates_;
};

/// Empty, or which byte should be zero.
std::string stray_byte(Page bytes);
Words words_of(u32 page, Page bytes);

class Book {
public:
    explicit Book(u32 pages, std::shared_ptr<Moment> origin = nullptr)
        : pages_(pages), origin_(std::move(origin)) {}

    u32 pages() const { return pages_; }
    /// A store was performed just now.
    void wrote(u32 place, u64 value);
    void discarded(u32 page);
    /// What was written there is gone: it is as its source's again.
    void dropped(u32 page);
    /// Everything is as it was then.
    void rewound(std::shared_ptr<Moment> to);
    /// A page was read just now. Empty, or what is wrong.
    std::string saw(u32 page, Page bytes);
    /// The same of one word.
    std::string saw(u32 place, u64 value);

    /// Around a call that freezes the memory: a Moment is one of all points between the two.
    struct Begun {
        Overlay words;
        std::size_t stores = 0;
        u64 clock = 0;
    };
    Begun begin() const { return {now_, stores_.size(), clock_}; }
    std::shared_ptr<Moment> end(const Begun& begun) const;

    // Tracking: pages that changed in (since, until], and not in the blur around either.
    u64 clock() const { return clock_; }
    const std::array<u64, pages_max>& last_changes() const { return last_change_; }

private:
    struct Store {
        u32 place;
        u64 value;
    };
    void changed(u32 page) { last_change_[page] = ++clock_; }

    u32 pages_;
    std::shared_ptr<Moment> origin_;
    Overlay now_;
    std::vector<Store> stores_;  // since the origin
    std::array<u64, pages_max> last_change_{};
    u64 clock_ = 0;
};

}  // namespace verso::check::swarm
