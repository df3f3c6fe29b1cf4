// The seeds of the fuzzers are of the format that is read today: a seed of an older one is refused
// at its first field, and the fuzzer starts from nothing without anybody noticing. When the format
// of messages has changed:
//   VERSO_WRITE_SEEDS=1 build/dev/test_fuzz
#include <cstdlib>
#include <fstream>
#include <map>

#include <gtest/gtest.h>

#include "engine/ledger.h"
#include "engine/wire.h"
#include "linux/linux_kernel.h"

namespace verso::engine {
namespace {

const std::string corpus = VERSO_SOURCE_DIR "/fuzz/corpus/";

std::string content(const std::string& path) {
    std::ifstream in(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
}

std::string encoded(const wire::Message& message) {
    const std::vector<std::byte> bytes = wire::encode(message);
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

/// One of each kind, with every field that the kind uses.
std::map<std::string, wire::Message> messages() {
    using wire::Kind;
    constexpr u64 somewhere = u64{0x7f} << 32;
    std::map<std::string, wire::Message> all;
    const auto add = [&all](const char* name, Kind kind) -> wire::Message& {
        all[name].kind = kind;
        return all[name];
    };
    wire::Message& offer = add("offer", Kind::offer);
    offer.pages = 64;
    offer.base_file = BaseFile::frozen;
    offer.levels = {{3, 0, false, true}, {1, 2, true, false}};
    wire::Message& ready = add("ready", Kind::ready);
    ready.address = somewhere;
    ready.lifeline = 2 * somewhere;
    add("accepted", Kind::accepted);
    add("refused", Kind::refused).text = "no";
    wire::Message& serve = add("serve", Kind::serve);
    serve.page = 7;
    serve.window = {4, 9};
    serve.number = 2;
    serve.protect = true;
    add("barrier", Kind::barrier).number = 5;
    add("barrier_done", Kind::barrier_done).number = 5;
    wire::Message& lend = add("lend", Kind::lend);
    lend.pages = 64;
    lend.address = somewhere;
    wire::Message& adopt = add("adopt", Kind::adopt);
    adopt.address = somewhere;
    adopt.lifeline = 2 * somewhere;
    adopt.number = 2;
    add("disown", Kind::disown).number = 2;
    wire::Message& lost = add("lost", Kind::lost);
    lost.page = 7;
    lost.number = 2;
    add("move", Kind::move).page = 512;
    add("moved", Kind::moved).page = 512;
    add("stayed", Kind::stayed).page = 512;
    return all;
}

TEST(Seeds, HoldOneMessageOfEveryKindAsItIsSentToday) {
    const bool write = std::getenv("VERSO_WRITE_SEEDS") != nullptr;
    for (const auto& [name, message] : messages()) {
        const std::string path = corpus + "wire/" + name;
        if (write) {
            std::ofstream(path, std::ios::binary) << encoded(message);
        }
        EXPECT_EQ(content(path), encoded(message)) << path;
        const Result<wire::Message> back = wire::decode(wire::encode(message));
        ASSERT_TRUE(back.has_value()) << name << ": " << back.error().message;
        EXPECT_EQ(*back, message) << name;
    }
}

TEST(Seeds, OfTheLedgerBeginWithTodaysHeader) {
    for (const char* name : {"short", "two_layers"}) {
        const std::string seed = content(corpus + "ledger/" + name);
        u64 numbers[2];  // as fuzz/ledger.cc reads them
        ASSERT_GE(seed.size(), sizeof numbers);
        std::memcpy(numbers, seed.data(), sizeof numbers);
        EXPECT_EQ(seed.substr(sizeof numbers, 8), "VLEDGER1") << name;
        u64 pages = 0;
        std::memcpy(&pages, seed.data() + sizeof numbers + offsetof(LedgerHeader, pages),
                    sizeof pages);
        EXPECT_EQ(pages, numbers[0] + 1) << name;
    }
}

}  // namespace
}  // namespace verso::engine
