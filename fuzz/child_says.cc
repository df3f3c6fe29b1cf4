// A child in another process asks its source for pages, and brings children of its own: whatever it
// says, in whatever order, the source goes on, its memory and its snapshot stay as they were, and
// other children are served. Here the importer is real, and a second voice speaks on its socket.
//
// Input: one message after the other, each a kind, its fields and how many descriptors come along.
#include <array>

#include "api/api.h"
#include "base/check.h"
#include "engine/exporter.h"
#include "engine/importer.h"
#include "engine/wire.h"
#include "numbers.h"
#include "socket_pair.h"

using verso::u64;
using verso::engine::Region;
using verso::engine::Runtime;
using verso::engine::Snapshot;
using verso::fuzz::Numbers;
using verso::kernel::Kernel;
namespace wire = verso::engine::wire;

namespace {

constexpr u64 pages = 1'100;  // three chunks, the last one short
constexpr std::size_t messages_max = 64;

std::byte content(u64 page) { return static_cast<std::byte>(1 + page % 251); }

void write_all(Region& region) {
    for (u64 page = 0; page < pages; ++page) {
        region.bytes()[verso::to_bytes(page)] = content(page);
    }
}

void expect_content(std::span<const std::byte> bytes, const char* whose) {
    for (u64 page = 0; page < pages; page += 7) {
        const std::byte found = bytes[verso::to_bytes(page)];
        VERSO_CHECK(found == content(page), "page {} of {} holds {}", page, whose,
                    static_cast<int>(found));
    }
}

wire::Message message_of(Numbers& numbers) {
    wire::Message message;
    message.kind = static_cast<wire::Kind>(1 + numbers.next(1) % static_cast<u64>(wire::kind_last));
    message.page = numbers.or_else(numbers.next(2) % pages, 8);
    message.window.first = numbers.or_else(0, 8);
    message.window.count = numbers.or_else(pages, 8);
    message.number = numbers.or_else(numbers.next(1) % 4, 8);
    message.address = verso::to_bytes(numbers.or_else(u64{1} << 20, 5));
    message.lifeline = message.address;
    message.pages = numbers.or_else(pages, 4);
    message.protect = numbers.flag();
    return message;
}

/// One conversation, after which the child hangs up.
void converse(Runtime& runtime, const std::shared_ptr<Region>& source,
              const std::shared_ptr<Snapshot>& snapshot, Numbers& numbers) {
    Kernel& kernel = runtime.kernel();
    auto [exporting, importing] = verso::fuzz::socket_pair();
    std::unique_ptr<verso::kernel::Thread> exporter =
        kernel.spawn("fuzz-export", [&snapshot, end = exporting.get()] {
            const verso::Result<void> done = snapshot->export_fork(end, 5'000);
            VERSO_CHECK(done.has_value(), "{}", done.error().message);
        });
    VERSO_CHECK(exporter != nullptr, "no thread");
    const auto child = verso::engine::import_child(runtime, importing.get(), {});
    VERSO_CHECK(child.has_value(), "{}", child.error().message);
    exporter.reset();   // joins
    exporting.reset();  // the service has a duplicate: when that goes, the child notices
    // The source's memory becomes old while the child speaks: pages are taken back and copied.
    source->bytes()[verso::to_bytes(numbers.next(2) % pages)] = std::byte{0};
    for (std::size_t said = 0; numbers.any() && said < messages_max; ++said) {
        const wire::Message message = message_of(numbers);
        const std::array<int, 2> fds{(*child)->uffd(), importing.get()};
        (void)wire::send(kernel, importing.get(), message,
                         std::span(fds).first(numbers.or_else(1, 1) % (fds.size() + 1)));
        if (numbers.flag()) {
            // A page that the service was told to protect, or has already filled, is served again.
            std::array<std::byte, 1> byte{};
            (void)kernel.perform(verso::kernel::Call::memory_read(
                                     (*child)->base() + verso::to_bytes(message.page % pages), 1),
                                 verso::kernel::Payload{.out = byte});
        }
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    Numbers numbers(data, size);
    Runtime& runtime = verso::process_runtime();
    const auto source = Region::create(
        runtime, {.size = verso::to_bytes(pages), .backend = verso::Backend::userfaultfd});
    VERSO_CHECK(source.has_value(), "{}", source.error().message);
    write_all(**source);
    const auto snapshot = (*source)->snapshot();
    VERSO_CHECK(snapshot.has_value(), "{}", snapshot.error().message);
    converse(runtime, *source, *snapshot, numbers);
    const auto sibling = (*snapshot)->fork("sibling");
    VERSO_CHECK(sibling.has_value(), "{}", sibling.error().message);
    expect_content((*sibling)->bytes(), "a sibling");
    expect_content((*snapshot)->bytes().value(), "the snapshot");
    return 0;
}
