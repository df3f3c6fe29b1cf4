// Book: see the header.
#include "check/swarm/book.h"

#include <algorithm>
#include <cstring>

#include <fmt/format.h>

namespace verso::check::swarm {
namespace {

/// 0, 584, 1168, …, 4088: multiples of 8, the first and the last word of the page among them.
constexpr u64 stride = (page_size - 8) / (words_per_page - 1);
static_assert(stride % 8 == 0 && stride * (words_per_page - 1) == page_size - 8);

}  // namespace

u64 offset_of(u32 place) {
    return to_bytes(place / words_per_page) + place % words_per_page * stride;
}

std::string stray_byte(Page bytes) {
    static constexpr std::array<std::byte, stride> zeroes{};
    for (u64 at = 0; at + stride < page_size; at += stride) {
        if (std::memcmp(bytes.data() + at + 8, zeroes.data(), stride - 8) != 0) {
            const auto from = bytes.begin() + static_cast<std::ptrdiff_t>(at) + 8;
            const auto bad =
                std::find_if(from, bytes.end(), [](std::byte b) { return b != std::byte{}; });
            return fmt::format("byte {} of the page is {:#x}, nobody wrote there",
                               bad - bytes.begin(), static_cast<unsigned>(*bad));
        }
    }
    return {};
}

Words words_of(u32 page, Page bytes) {
    Words words{page, {}};
    for (u32 i = 0; i < words_per_page; ++i) {
        std::memcpy(&words.value[i], bytes.data() + i * stride, sizeof(u64));
    }
    return words;
}

bool Moment::fits(const Overlay& candidate, const Words& words, u8 which) const {
    const u8 own = candidate.has[words.page] & which;
    for (u32 i = 0; i < words_per_page; ++i) {
        const bool here = (own >> i & 1) != 0;
        if (here && candidate.value[words.page * words_per_page + i] != words.value[i]) {
            return false;
        }
        const bool there = (which >> i & 1) != 0 && !here;
        if (there && origin_ == nullptr && words.value[i] != 0) {
            return false;
        }
    }
    const auto inherited = static_cast<u8>(which & ~own);
    return inherited == 0 || origin_ == nullptr || origin_->may_have(words, inherited);
}

bool Moment::may_have(const Words& words, u8 which) const {
    return std::ranges::any_of(
        candidates_, [&](const Overlay& candidate) { return fits(candidate, words, which); });
}

bool Moment::saw(const Words& words, u8 which) {
    if (!may_have(words, which)) {
        return false;
    }
    std::erase_if(candidates_,
                  [&](const Overlay& candidate) { return !fits(candidate, words, which); });
    if (candidates_.size() == 1 && origin_ != nullptr) {
        const auto inherited = static_cast<u8>(which & ~candidates_[0].has[words.page]);
        return inherited == 0 || origin_->saw(words, inherited);
    }
    return true;
}

bool Moment::differs(u32 place, u64 value) const {
    return std::ranges::all_of(candidates_, [&](const Overlay& candidate) {
        if ((candidate.has[place / words_per_page] >> place % words_per_page & 1) != 0) {
            return candidate.value[place] != value;
        }
        return origin_ == nullptr ? value != 0 : origin_->differs(place, value);
    });
}

void Book::wrote(u32 place, u64 value) {
    now_.set(place, value);
    stores_.push_back({place, value});
    changed(place / words_per_page);
}

void Book::discarded(u32 page) {
    for (u32 i = 0; i < words_per_page; ++i) {
        wrote(page * words_per_page + i, 0);
    }
}

void Book::dropped(u32 page) {
    now_.has[page] = 0;
    changed(page);
}

void Book::rewound(std::shared_ptr<Moment> to) {
    for (u32 place = 0; place < pages_ * words_per_page; ++place) {
        const bool here = (now_.has[place / words_per_page] >> place % words_per_page & 1) != 0;
        if (here && to->differs(place, now_.value[place])) {
            changed(place / words_per_page);
        }
    }
    origin_ = std::move(to);
    now_ = {};
    stores_.clear();
}

std::string Book::saw(u32 page, Page bytes) {
    if (std::string stray = stray_byte(bytes); !stray.empty()) {
        return stray;
    }
    const Words words = words_of(page, bytes);
    const u8 own = now_.has[page];
    for (u32 i = 0; i < words_per_page; ++i) {
        const u32 place = page * words_per_page + i;
        if ((own >> i & 1) != 0 ? now_.value[place] != words.value[i]
                                : origin_ == nullptr && words.value[i] != 0) {
            return fmt::format("page {} word {} holds {:#x} and not {:#x}", page, i, words.value[i],
                               (own >> i & 1) != 0 ? now_.value[place] : 0);
        }
    }
    if (origin_ != nullptr && !origin_->saw(words, static_cast<u8>(~own))) {
        return fmt::format("page {} is not what it was when its source was frozen", page);
    }
    return {};
}

std::string Book::saw(u32 place, u64 value) {
    Words words{place / words_per_page, {}};
    words.value[place % words_per_page] = value;
    const auto bit = static_cast<u8>(1U << place % words_per_page);
    const bool own = (now_.has[words.page] & bit) != 0;
    const u64 expected = own ? now_.value[place] : 0;
    if (own || origin_ == nullptr ? value != expected : !origin_->saw(words, bit)) {
        return fmt::format("page {} word {} holds {:#x}{}", words.page, place % words_per_page,
                           value, own ? fmt::format(" and not {:#x}", expected) : "");
    }
    return {};
}

std::shared_ptr<Moment> Book::end(const Begun& begun) const {
    std::vector<Overlay> candidates{begun.words};
    for (std::size_t i = begun.stores; i < stores_.size(); ++i) {
        candidates.push_back(candidates.back());
        candidates.back().set(stores_[i].place, stores_[i].value);
    }
    return std::make_shared<Moment>(origin_, std::move(candidates));
}

}  // namespace verso::check::swarm
