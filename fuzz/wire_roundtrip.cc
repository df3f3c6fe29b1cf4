// The other way round: any message that a program can build, whatever its fields, is either
// understood exactly as it was meant or refused with a sentence.
#include "base/check.h"
#include "engine/wire.h"
#include "numbers.h"

using verso::u32;
using verso::u64;
namespace wire = verso::engine::wire;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    verso::fuzz::Numbers numbers(data, size);
    wire::Message message;
    // Every field by its place: a field that is added to the message does not compile here until it
    // is given a value, too.
    auto& [kind, pages, address, lifeline, page, window, number, protect, base_file, levels,
           text] = message;
    kind = static_cast<wire::Kind>(numbers.next(1) % 16);  // some more than there are
    pages = numbers.next(4);
    address = verso::to_bytes(numbers.next(5));
    lifeline = verso::to_bytes(numbers.next(5));
    page = numbers.next(8);
    window.first = numbers.next(8);
    window.count = numbers.next(8);
    number = numbers.next(8);
    protect = numbers.flag();
    base_file = static_cast<verso::engine::BaseFile>(numbers.next(1) % 2);
    levels.resize(numbers.next(1) % 70);
    for (wire::LevelInfo& level : levels) {
        const u64 flags = numbers.next(1);
        level = {numbers.next(8), static_cast<u32>(numbers.next(2)), (flags & 1) != 0,
                 (flags & 2) != 0};
    }
    text.assign(numbers.next(2) % 1500, 'x');
    const verso::Result<wire::Message> back = wire::decode(wire::encode(message));
    if (!back) {
        VERSO_CHECK(!back.error().message.empty(), "a refusal without a word");
        return 0;
    }
    message.text.resize(std::min(message.text.size(), wire::text_bytes_max));
    VERSO_CHECK(*back == message, "a message arrived as another");
    return 0;
}
