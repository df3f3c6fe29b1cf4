// What another process sends is bytes. Whatever they are, decode() must answer with a message or a
// sentence; and a message that it accepts must come back the same when it is sent on.
#include "engine/wire.h"
#include "base/check.h"

using verso::u64;
namespace wire = verso::engine::wire;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const verso::Result<wire::Message> message = wire::decode(std::as_bytes(std::span(data, size)));
    if (!message) {
        VERSO_CHECK(!message.error().message.empty(), "a refusal without a word");
        return 0;
    }
    const std::vector<std::byte> again = wire::encode(*message);
    VERSO_CHECK(again.size() <= wire::message_bytes_max, "{} bytes do not fit a packet",
                again.size());
    const verso::Result<wire::Message> same = wire::decode(again);
    VERSO_CHECK(same.has_value() && *same == *message, "encode and decode disagree");
    return 0;
}
