// Two files in a span: lengths, gaps, extents, and a header that nobody has to believe.
#include <array>
#include <cstring>

#include "memory_span.h"

namespace verso::cli {
namespace {

std::span<const std::byte> bytes_of(const char* text) {
    return std::as_bytes(std::span(text, std::strlen(text)));
}

TEST(SpanFiles, ReadBackWhatWasWritten) {
    MemorySpan memory;
    const SpanFiles files = memory.format();
    ASSERT_TRUE(files.write(FileKind::database, 100, bytes_of("hello")));
    std::array<char, 5> out{};
    EXPECT_EQ(files.read(FileKind::database, 100, std::as_writable_bytes(std::span(out))), 5U);
    EXPECT_EQ(std::string_view(out.data(), 5), "hello");
    EXPECT_EQ(files.size(FileKind::database), 105U);
}

TEST(SpanFiles, AGapAfterATruncatedFileReadsAsZeroes) {
    MemorySpan memory;
    const SpanFiles files = memory.format();
    ASSERT_TRUE(files.write(FileKind::journal, 0, bytes_of("old old old old")));
    ASSERT_TRUE(files.resize(FileKind::journal, 0));
    ASSERT_TRUE(files.write(FileKind::journal, 8, bytes_of("new")));
    std::array<char, 8> out{};
    files.read(FileKind::journal, 0, std::as_writable_bytes(std::span(out)));
    EXPECT_EQ(out, (std::array<char, 8>{}));
}

TEST(SpanFiles, AReadPastTheEndIsShort) {
    MemorySpan memory;
    const SpanFiles files = memory.format();
    ASSERT_TRUE(files.write(FileKind::database, 0, bytes_of("abc")));
    std::array<std::byte, 8> out{};
    EXPECT_EQ(files.read(FileKind::database, 1, out), 2U);
    EXPECT_EQ(files.read(FileKind::database, 3, out), 0U);
}

TEST(SpanFiles, AWriteBeyondTheExtentChangesNothing) {
    MemorySpan memory;
    const SpanFiles files = memory.format();
    const u64 room = files.capacity(FileKind::database);
    EXPECT_FALSE(files.write(FileKind::database, room - 1, bytes_of("ab")));
    EXPECT_FALSE(files.write(FileKind::database, ~u64{0} - 1, bytes_of("ab")));
    EXPECT_FALSE(files.resize(FileKind::database, room + 1));
    EXPECT_EQ(files.size(FileKind::database), 0U);
    EXPECT_TRUE(files.write(FileKind::database, room - 2, bytes_of("ab")));
}

TEST(SpanFiles, AByteCopyIsACopyOfBothFiles) {
    MemorySpan memory;
    const SpanFiles files = memory.format();
    ASSERT_TRUE(files.write(FileKind::journal, 0, bytes_of("x")));
    files.create(FileKind::journal);
    MemorySpan copy = memory;
    files.remove(FileKind::journal);
    EXPECT_TRUE(copy.open().journal_is_hot());
    EXPECT_FALSE(files.journal_is_hot());
}

TEST(SpanFiles, MemoryWithoutAHeaderIsRefused) {
    MemorySpan memory;
    const auto files = SpanFiles::open(memory.bytes());
    ASSERT_FALSE(files.has_value());
    EXPECT_EQ(files.error().kind, ErrorKind::invalid_argument);
}

TEST(SpanFiles, AHeaderWithAnyBitFlippedIsRefusedOrStaysInBounds) {
    MemorySpan memory;
    ASSERT_TRUE(memory.format().resize(FileKind::database, 4096));
    for (std::size_t bit = 0; bit < 48 * 8; ++bit) {  // all but the two "present" words
        std::byte& byte = memory.bytes()[bit / 8];
        const std::byte sound = byte;
        byte ^= std::byte{1} << (bit % 8);
        const auto files = SpanFiles::open(memory.bytes());
        if (files) {
            EXPECT_LE(files->size(FileKind::database), files->capacity(FileKind::database));
            EXPECT_LE(files->size(FileKind::journal), files->capacity(FileKind::journal));
        }
        byte = sound;
    }
}

TEST(SpanFiles, ASpanForSoManyBytesHoldsThemAndMore) {
    for (const u64 bytes : {u64{0}, u64{1} << 20, u64{256} << 20, u64{4} << 30}) {
        const u64 span = SpanFiles::span_for(bytes);
        EXPECT_EQ(span % page_size, 0U);
        EXPECT_GE(span - span / 16 - (u64{6} << 20), bytes + bytes / 10) << bytes;
    }
}

}  // namespace
}  // namespace verso::cli
