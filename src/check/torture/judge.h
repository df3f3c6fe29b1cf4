// Whether a memory is what an instance's memory was at one moment, to the last byte.
//
//   find    a copy of the instance's memory, seen for the first time. Each page must be what its
//           own first word says; the newest step of each writer is then the moment, and every page
//           must be what it was at that moment: not older, not newer, and only the page of the
//           newest step may be half way.
//   match   the same memory again, later: the same bytes, except for what its owner wrote since
//
// A moment is right if (1) it lies between how far the writers were before the snapshot was asked
// for and after it had been taken, and (2) no page says that the other writer had been further when
// it was begun: a snapshot with the later of two stores has the earlier.
#pragma once

#include <array>
#include <span>
#include <string>
#include <vector>

#include "check/torture/course.h"

namespace verso::check::torture {

using Progress = std::array<u64, writers_per_instance>;  // steps that each has completed

struct Bounds {
    Progress least{};
    Progress most{};
};

struct Verdict {
    u64 right = 0;  // pages
    u64 wrong = 0;
    u64 lost = 0;       // their access raised SIGBUS
    std::string first;  // what is wrong with the first that is

    bool holds() const { return wrong == 0 && lost == 0; }
    void blame(u64& count, std::string what);
};

class Judge {
public:
    explicit Judge(const Layout& layout);

    Verdict find(std::span<const std::byte> memory, const Bounds& bounds);
    Verdict match(std::span<const std::byte> memory) const;
    const Progress& moment() const { return moment_; }  // after find()

    /// The memory's owner fills a page with words that count from the root: from now on that is
    /// what it must hold.
    void overwrite(std::span<std::byte> memory, u64 page, u64 root);

private:
    struct Claim {
        u64 step = 0;
        u64 saw = 0;
    };
    struct Half {  // a page half way
        u64 page = ~u64{0};
        Words words{};
    };
    struct Newest {
        u64 step = 0;
        u64 stored = words_per_page;  // of the words of that step's page
    };
    bool read(std::span<const std::byte> memory, u64 page, Words& words, Verdict& verdict) const;
    void claim(const Words& words, u64 page, Verdict& verdict);
    void claim_half(const Words& words, u64 page, Verdict& verdict);
    void check_moment(const Bounds& bounds, Verdict& verdict) const;

    const Layout& layout_;
    std::vector<Claim> claims_;
    std::vector<u64> roots_;  // of pages that the owner overwrote; 0: it did not
    std::array<Half, writers_per_instance> half_;
    std::array<Newest, writers_per_instance> newest_;
    Progress moment_{};
};

/// Copies a page out of memory that may be refused. False: the access raised SIGBUS.
bool load_page(const std::byte* from, Words& to);

}  // namespace verso::check::torture
