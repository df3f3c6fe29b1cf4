// The integer types of the house, and page arithmetic. Prefer these to bare built-ins, so that a
// width is visible.
#pragma once

#include <cstddef>
#include <cstdint>

namespace verso {

using u8 = std::uint8_t;
using u16 = std::uint16_t;
using u32 = std::uint32_t;
using u64 = std::uint64_t;
using i32 = std::int32_t;
using i64 = std::int64_t;

inline constexpr u64 page_shift = 12;
inline constexpr u64 page_size = u64{1} << page_shift;

constexpr u64 to_bytes(u64 pages) { return pages << page_shift; }
constexpr u64 to_pages(u64 bytes) { return bytes >> page_shift; }
constexpr u64 round_up(u64 value, u64 unit) { return (value + unit - 1) / unit * unit; }
constexpr u64 round_down(u64 value, u64 unit) { return value / unit * unit; }
constexpr bool is_page_aligned(u64 value) { return (value & (page_size - 1)) == 0; }

}  // namespace verso
