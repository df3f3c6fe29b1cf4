// The other way round: any message that a program can build, whatever its fields, is either
// understood exactly as it was meant or refused with a sentence.
#include <cstring>

#include "base/check.h"
#include "engine/wire.h"

using verso::u32;
using verso::u64;
namespace wire = verso::engine::wire;

namespace {

/// The input, as a stream of numbers; zeroes when it has run out.
class Numbers {
public:
    Numbers(const std::uint8_t* data, std::size_t size) : left_(data, size) {}
    u64 next(std::size_t bytes) {
        u64 value = 0;
        const std::size_t used = std::min(bytes, left_.size());
        std::memcpy(&value, left_.data(), used);
        left_ = left_.subspan(used);
        return value;
    }

private:
    std::span<const std::uint8_t> left_;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    Numbers numbers(data, size);
    wire::Message message;
    message.kind = static_cast<wire::Kind>(1 + numbers.next(1) % 8);
    message.pages = numbers.next(4);
    message.address = verso::to_bytes(numbers.next(5));
    message.page = numbers.next(8);
    message.number = numbers.next(8);
    message.protect = numbers.next(1) % 2 != 0;
    message.base_file = static_cast<verso::engine::BaseFile>(numbers.next(1) % 2);
    message.levels.resize(numbers.next(1) % 70);
    for (wire::LevelInfo& level : message.levels) {
        const u64 flags = numbers.next(1);
        level = {numbers.next(8), static_cast<u32>(numbers.next(2)), (flags & 1) != 0,
                 (flags & 2) != 0};
    }
    message.text.assign(numbers.next(2) % 1500, 'x');
    const verso::Result<wire::Message> back = wire::decode(wire::encode(message));
    if (!back) {
        VERSO_CHECK(!back.error().message.empty(), "a refusal without a word");
        return 0;
    }
    message.text.resize(std::min(message.text.size(), wire::text_bytes_max));
    VERSO_CHECK(*back == message, "a message arrived as another");
    return 0;
}
