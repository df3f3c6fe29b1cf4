// Versions: see the header.
#include "mm/sim/versions.h"

#include <algorithm>
#include <bit>
#include <cstring>

namespace verso::mm::sim {
namespace {

constexpr Contents nobody_home = ~Contents{0};
constexpr std::array<std::byte, page_size> zero_page{};

/// Four lanes of multiply-and-rotate, folded; never 0.
u64 hash_of_page(PageSpan bytes) {
    std::array<u64, 4> lanes = {0x9e3779b97f4a7c15, 0xbf58476d1ce4e5b9, 0x94d049bb133111eb, 1};
    for (std::size_t at = 0; at < page_size; at += sizeof lanes) {
        std::array<u64, 4> words;
        std::memcpy(words.data(), bytes.data() + at, sizeof words);
        for (std::size_t i = 0; i < lanes.size(); ++i) {
            lanes[i] = std::rotl(lanes[i] ^ words[i], 29) * 0x9e3779b97f4a7c15;
        }
    }
    u64 hash = lanes[0];
    for (std::size_t i = 1; i < lanes.size(); ++i) {
        hash = std::rotl(hash ^ lanes[i], 31) * 0xbf58476d1ce4e5b9;
    }
    return hash == 0 ? 1 : hash;
}

}  // namespace

Versions::Versions() {
    table_.assign(256, nobody_home);
    const Contents first = intern(zero_page);
    VERSO_CHECK(first == zeroes, "zeroes are version {}", first);
}

PageSpan Versions::bytes(Contents version) const {
    VERSO_CHECK(version < hashes_.size() && hashes_[version] != 0, "no version {}", version);
    const std::byte* const chunk = chunks_[version / chunk_pages]->bytes.data();
    return PageSpan(chunk + version % chunk_pages * page_size, page_size);
}

std::byte* Versions::place(Contents version) {
    return chunks_[version / chunk_pages]->bytes.data() + version % chunk_pages * page_size;
}

Contents Versions::take_number() {
    if (!free_.empty()) {
        const Contents number = free_.back();
        free_.pop_back();
        return number;
    }
    const auto number = static_cast<Contents>(hashes_.size());
    if (number % chunk_pages == 0) {
        chunks_.push_back(std::make_unique_for_overwrite<Chunk>());
    }
    hashes_.push_back(0);
    return number;
}

void Versions::insert(Contents version) {
    const std::size_t mask = table_.size() - 1;
    std::size_t at = hashes_[version] & mask;
    while (table_[at] != nobody_home) {
        at = (at + 1) & mask;
    }
    table_[at] = version;
}

void Versions::rebuild_table() {
    table_.assign(std::bit_ceil(std::max<std::size_t>(used_ * 4, 256)), nobody_home);
    for (Contents version = 0; version < hashes_.size(); ++version) {
        if (hashes_[version] != 0) {
            insert(version);
        }
    }
}

Contents Versions::intern(PageSpan bytes) {
    const u64 hash = hash_of_page(bytes);
    const std::size_t mask = table_.size() - 1;
    for (std::size_t at = hash & mask; table_[at] != nobody_home; at = (at + 1) & mask) {
        const Contents version = table_[at];
        if (hashes_[version] == hash && std::memcmp(place(version), bytes.data(), page_size) == 0) {
            return version;
        }
    }
    const Contents version = take_number();
    std::memcpy(place(version), bytes.data(), page_size);
    hashes_[version] = hash;
    ++used_;
    if (used_ * 2 > table_.size()) {
        rebuild_table();
    } else {
        insert(version);
    }
    return version;
}

Contents Versions::open(Write& write) {
    const auto free = std::ranges::find(writes_, nullptr, &Open::write);
    const auto number = static_cast<Contents>(free - writes_.begin());
    if (free == writes_.end()) {
        writes_.emplace_back();
    }
    writes_[number] = {&write, running_ == nullptr ? 0 : *running_};
    return number;
}

Versions::Write::Write(Versions& versions, u64 offset, std::span<const std::byte> bytes)
    : versions_(versions), offset_(offset), bytes_(bytes), number_(versions.open(*this)) {
    VERSO_CHECK(offset + bytes.size() <= page_size, "{} bytes at {}", bytes.size(), offset);
}

Versions::Write::Write(Versions& versions, std::vector<Contents> pages)
    : versions_(versions), pages_(std::move(pages)), number_(versions.open(*this)) {}

Versions::Write::~Write() { versions_.writes_[number_] = {}; }

void Versions::abandon(const std::function<bool(int owner)>& gone) {
    for (Open& open : writes_) {
        if (open.write != nullptr && gone(open.owner)) {
            open = {};
        }
    }
}

Contents Versions::written(Contents before, Contents write) {
    VERSO_CHECK(write < writes_.size() && writes_[write].write != nullptr, "no write {}", write);
    std::array<std::byte, page_size> page;
    std::memcpy(page.data(), bytes(before).data(), page_size);
    const std::span<const std::byte> bytes = writes_[write].write->bytes_;
    if (!bytes.empty()) {
        std::memcpy(page.data() + writes_[write].write->offset_, bytes.data(), bytes.size());
    }
    return intern(page);
}

Contents Versions::filled(Contents source, u32 n) {
    VERSO_CHECK(source < writes_.size() && writes_[source].write != nullptr, "no copy {}", source);
    return writes_[source].write->pages_.at(n);
}

void Versions::sweep(const State& state, std::span<const std::span<const Contents>> others) {
    std::vector<bool> named(hashes_.size());
    named[zeroes] = true;
    for (const auto& page : state.pages) {
        named[page.contents] = true;
    }
    for (const auto& slot : state.slots) {
        named[slot.contents] = true;
    }
    for (const auto& file : state.files) {
        for (const auto& cached : file.cache) {
            named[cached.disk] = true;
        }
    }
    const auto keep = [&](std::span<const Contents> versions) {
        for (const Contents version : versions) {
            named[version] = true;
        }
    };
    for (const Open& open : writes_) {
        if (open.write != nullptr) {
            keep(open.write->pages_);
        }
    }
    std::ranges::for_each(others, keep);
    for (Contents version = 0; version < hashes_.size(); ++version) {
        if (hashes_[version] != 0 && !named[version]) {
            hashes_[version] = 0;
            free_.push_back(version);
            --used_;
        }
    }
    rebuild_table();
    sweep_at_ = std::max<std::size_t>(1024, used_ * 2);
}

}  // namespace verso::mm::sim
