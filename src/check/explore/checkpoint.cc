// Checkpoints: see the header.
#include "check/explore/checkpoint.h"

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "check/explore/node.h"

namespace verso::check::explore {
namespace {

constexpr std::string_view magic = "verso explore 2\n";

/// Writes, and hashes what it writes.
class Writer {
public:
    explicit Writer(const std::string& path) : file_(path, std::ios::binary) {
        XXH3_64bits_reset(&hash_);
    }
    void bytes(const void* from, std::size_t count) {
        file_.write(static_cast<const char*>(from), static_cast<std::streamsize>(count));
        XXH3_64bits_update(&hash_, from, count);
    }
    template <class T>
    void value(const T& one) {
        static_assert(std::has_unique_object_representations_v<T>);
        bytes(&one, sizeof(T));
    }
    void text(std::string_view words) {
        value(u64{words.size()});
        bytes(words.data(), words.size());
    }
    template <class T>
    void list(const std::vector<T>& of) {
        static_assert(std::has_unique_object_representations_v<T>);
        value(u64{of.size()});
        bytes(of.data(), of.size() * sizeof(T));
    }
    bool finish() {
        const u64 sum = XXH3_64bits_digest(&hash_);
        value(sum);
        file_.close();
        return !file_.fail();
    }

private:
    std::ofstream file_;
    XXH3_state_t hash_{};
};

/// Reads; once something is missing, `ok` is false and everything else is empty.
class Reader {
public:
    explicit Reader(const std::string& path) : file_(path, std::ios::binary | std::ios::ate) {
        left_ = file_ ? static_cast<u64>(file_.tellg()) : 0;
        file_.seekg(0);
        XXH3_64bits_reset(&hash_);
    }
    bool ok() const { return ok_ && !file_.fail(); }
    void bytes(void* to, u64 count) {
        if (!ok() || count > left_) {
            ok_ = false;
            return;
        }
        file_.read(static_cast<char*>(to), static_cast<std::streamsize>(count));
        left_ -= count;
        XXH3_64bits_update(&hash_, to, count);
    }
    template <class T>
    T value() {
        T one{};
        bytes(&one, sizeof(T));
        return one;
    }
    std::string text() {
        std::string words(room_for(value<u64>(), 1), '\0');
        bytes(words.data(), words.size());
        return words;
    }
    template <class T>
    std::vector<T> list() {
        std::vector<T> all(room_for(value<u64>(), sizeof(T)));
        bytes(all.data(), all.size() * sizeof(T));
        return all;
    }
    bool finish() {
        const u64 sum = XXH3_64bits_digest(&hash_);
        return value<u64>() == sum && ok() && left_ == 0;
    }

private:
    /// What a damaged file says may be anything.
    u64 room_for(u64 count, u64 each) {
        if (!ok() || count > left_ / each) {
            ok_ = false;
            return 0;
        }
        return count;
    }
    std::ifstream file_;
    u64 left_ = 0;
    bool ok_ = true;
    XXH3_state_t hash_{};
};

void write_tally(Writer& to, const Tally& tally) {
    for (const u64 one :
         {tally.edges, tally.outside, tally.tried, tally.nanoseconds, tally.mattered.asked}) {
        to.value(one);
    }
    to.list(tally.mattered.times);
    to.list(tally.mattered.first_depth);
    to.value(u64{tally.found.size()});
    for (const auto& [kind, finding] : tally.found) {
        to.text(kind);
        to.text(finding.sentence);
        to.value(finding.origin);
        to.value(finding.depth);
        to.value(finding.times);
        to.value(u8{finding.exception});
    }
}

bool read_tally(Reader& from, Tally& tally) {
    for (u64* const one :
         {&tally.edges, &tally.outside, &tally.tried, &tally.nanoseconds, &tally.mattered.asked}) {
        *one = from.value<u64>();
    }
    tally.mattered.times = from.list<u64>();
    tally.mattered.first_depth = from.list<unsigned>();
    const auto count = from.value<u64>();
    for (u64 i = 0; i < count && from.ok(); ++i) {
        const std::string kind = from.text();
        Finding& finding = tally.found[kind];
        finding.sentence = from.text();
        finding.origin = from.value<Origin>();
        finding.depth = from.value<unsigned>();
        finding.times = from.value<u64>();
        finding.exception = from.value<u8>() != 0;
    }
    const std::size_t switches = mm::switches().size();
    return from.ok() && tally.mattered.times.size() == switches &&
           tally.mattered.first_depth.size() == switches;
}

void write_level(Writer& to, const Level& level) {
    to.value(u64{level.blocks().size()});
    for (const Level::Block& block : level.blocks()) {
        to.value(block.used);
        to.value(block.states);
        to.bytes(block.words.get(), block.used * sizeof(u64));
    }
}

bool read_level(Reader& from, Level& level) {
    const auto blocks = from.value<u64>();
    for (u64 i = 0; i < blocks && from.ok(); ++i) {
        const auto used = from.value<u32>();
        const auto states = from.value<u32>();
        if (used > Level::block_words) {
            return false;
        }
        std::vector<u64> words(used);
        from.bytes(words.data(), used * sizeof(u64));
        u32 count = 0;
        for (std::size_t at = 0; at < used && from.ok(); ++count) {
            if (at + Packer::bitmap_words > used) {
                return false;
            }
            const std::size_t size = Packer::size(words.data() + at);
            if (at + size > used) {
                return false;
            }
            level.push(std::span(words).subspan(at, size));
            at += size;
        }
        if (count != states) {
            return false;
        }
    }
    return from.ok();
}

}  // namespace

Result<bool> write_checkpoint(const std::string& path, const std::string& identity,
                              const CheckpointView& search) {
    std::error_code none;
    const auto kind = std::filesystem::status(path, none).type();
    if (kind != std::filesystem::file_type::not_found &&
        kind != std::filesystem::file_type::regular) {
        return fail(ErrorKind::invalid_argument, 0,
                    "'{}' is no plain file, and the checkpoint would take its place; name another",
                    path);
    }
    const std::string beside = path + ".new";
    Writer to(beside);
    to.bytes(magic.data(), magic.size());
    to.text(identity);
    to.value(search.depth);
    to.list(search.level_states);
    write_tally(to, search.tally);
    u64 count = 0;
    search.visited.for_each([&](const Fingerprint&) { ++count; });
    to.value(count);
    search.visited.for_each([&](const Fingerprint& one) { to.value(one); });
    to.list(search.origins);
    write_level(to, search.level);
    if (!to.finish() || std::rename(beside.c_str(), path.c_str()) != 0) {
        return fail(ErrorKind::resource, errno,
                    "the checkpoint '{}' cannot be written; free some room or name another place",
                    path);
    }
    return true;
}

Result<Checkpoint> read_checkpoint(const std::string& path, const std::string& identity) {
    Reader from(path);
    std::string begins(magic.size(), '\0');
    from.bytes(begins.data(), begins.size());
    if (!from.ok() || begins != magic) {
        return fail(ErrorKind::invalid_argument, 0,
                    "'{}' is no checkpoint of this version; name one or begin anew", path);
    }
    if (const std::string is = from.text(); is != identity) {
        return fail(ErrorKind::invalid_argument, 0,
                    "the checkpoint '{}' is of another search ({}); ask for that one", path, is);
    }
    Checkpoint read;
    read.depth = from.value<unsigned>();
    read.level_states = from.list<u64>();
    const bool counted = read_tally(from, read.tally);
    read.met = from.list<Fingerprint>();
    read.origins = from.list<Origin>();
    const bool whole = counted && read_level(from, read.level) && from.finish() &&
                       read.level.states() <= read.origins.size();
    if (!whole) {
        return fail(ErrorKind::invalid_argument, 0, "the checkpoint '{}' is damaged; begin anew",
                    path);
    }
    return read;
}

}  // namespace verso::check::explore
