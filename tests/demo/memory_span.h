// Plain memory for a database, and copies of it: what a snapshot would hold.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include <gtest/gtest.h>

#include "cli/demo/bank.h"
#include "cli/demo/span_files.h"

namespace verso::cli {

class MemorySpan {
public:
    explicit MemorySpan(std::size_t mib = 16) : words_((mib << 20) / sizeof(u64)) {}
    std::span<std::byte> bytes() { return std::as_writable_bytes(std::span(words_)); }
    SpanFiles format() {
        auto files = SpanFiles::format(bytes());
        EXPECT_TRUE(files.has_value());
        return *files;
    }
    SpanFiles open() {
        auto files = SpanFiles::open(bytes());
        EXPECT_TRUE(files.has_value());
        return *files;
    }

private:
    std::vector<u64> words_;  // words, so that the header is aligned
};

/// Fails the test with the error's own sentence.
template <class T>
void expect_done(const Result<T>& result) {
    EXPECT_TRUE(result.has_value()) << (result ? "" : result.error().message);
}

}  // namespace verso::cli
