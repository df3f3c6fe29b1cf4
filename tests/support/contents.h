// What tests write into pages and how they check it. A page's bytes follow from (seed, page,
// version), so that any process can tell which version it reads without having seen it written.
#pragma once

#include <array>
#include <atomic>
#include <csetjmp>
#include <csignal>
#include <cstddef>
#include <cstring>
#include <span>

#include "base/base.h"

namespace verso::test {

/// A 64-bit mixer: a counter in, evenly spread bits out.
inline u64 mix(u64 value) {
    value += 0x9E37'79B9'7F4A'7C15;
    value = (value ^ (value >> 30)) * 0xBF58'476D'1CE4'E5B9;
    value = (value ^ (value >> 27)) * 0x94D0'49BB'1331'11EB;
    return value ^ (value >> 31);
}

/// Numbers from a seed; the same on every machine.
class Random {
public:
    explicit Random(u64 seed) : state_(seed) {}
    u64 next() { return mix(state_++); }
    u64 below(u64 bound) { return next() % bound; }
    bool chance(u64 one_in) { return below(one_in) == 0; }

private:
    u64 state_;
};

using Page = std::array<std::byte, page_size>;

inline Page page_of(u64 seed, u64 page, u64 version) {
    std::array<u64, page_size / sizeof(u64)> words;
    const u64 root = mix(seed ^ mix(page) ^ mix(~version));
    for (std::size_t i = 0; i < words.size(); ++i) {
        words[i] = root + i;
    }
    Page bytes;
    std::memcpy(bytes.data(), words.data(), page_size);
    return bytes;
}

inline void write_page(std::span<std::byte> region, u64 seed, u64 page, u64 version) {
    const Page bytes = page_of(seed, page, version);
    std::memcpy(region.data() + to_bytes(page), bytes.data(), page_size);
}

inline void write_all(std::span<std::byte> region, u64 seed, u64 version) {
    for (u64 page = 0; page < to_pages(region.size()); ++page) {
        write_page(region, seed, page, version);
    }
}

namespace detail {
inline thread_local sigjmp_buf bus_return;
inline thread_local volatile std::sig_atomic_t bus_expected = 0;
inline void on_bus(int signal) {
    if (bus_expected != 0) {
        siglongjmp(bus_return, 1);
    }
    (void)std::signal(signal, SIG_DFL);
    (void)std::raise(signal);
}
}  // namespace detail

/// Set where the kernel cannot poison pages, or pretends so: then a lost one raises SIGSEGV. Not
/// beside regions of the mprotect backend, whose handler that takes away.
inline std::atomic<bool> lost_is_segv{false};

/// Loads a page. False: the access raised SIGBUS, which is how a lost page shows itself.
inline bool load_page(const std::byte* from, Page& to) {
    (void)std::signal(SIGBUS, &detail::on_bus);
    if (lost_is_segv.load()) {
        (void)std::signal(SIGSEGV, &detail::on_bus);
    }
    detail::bus_expected = 1;
    const bool whole = sigsetjmp(detail::bus_return, 1) == 0;
    if (whole) {
        std::memcpy(to.data(), from, page_size);
    }
    detail::bus_expected = 0;
    return whole;
}

/// How a stretch of memory compares to what it should hold.
struct Tally {
    u64 right = 0;
    u64 wrong = 0;
    u64 lost = 0;  // SIGBUS, or SIGSEGV: load_page
    u64 first_wrong = 0;
};

inline Tally tally(std::span<const std::byte> region, u64 seed, u64 version) {
    Tally result;
    Page seen;
    for (u64 page = 0; page < to_pages(region.size()); ++page) {
        if (!load_page(region.data() + to_bytes(page), seen)) {
            ++result.lost;
        } else if (seen == page_of(seed, page, version)) {
            ++result.right;
        } else {
            result.first_wrong = result.wrong == 0 ? page : result.first_wrong;
            ++result.wrong;
        }
    }
    return result;
}

/// Whether these are bytes of page_of(), whatever the seed and version: no zeroes, no mixture.
inline bool is_some_page(const Page& bytes) {
    std::array<u64, page_size / sizeof(u64)> words;
    std::memcpy(words.data(), bytes.data(), page_size);
    for (std::size_t i = 0; i < words.size(); ++i) {
        if (words[i] != words[0] + i) {
            return false;
        }
    }
    return words[0] != 0;
}

/// The first page at which they differ, or the number of pages.
inline u64 first_difference(std::span<const std::byte> a, std::span<const std::byte> b) {
    const u64 pages = to_pages(a.size());
    for (u64 page = 0; page < pages; ++page) {
        if (std::memcmp(a.data() + to_bytes(page), b.data() + to_bytes(page), page_size) != 0) {
            return page;
        }
    }
    return pages;
}

}  // namespace verso::test
