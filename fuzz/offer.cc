// An importer takes what an exporter offers: numbers, files of any size, a ledger with anything in
// it; then the exporter is gone, and the child finds its pages in those files alone. Whatever came,
// importing refuses or gives a child of which every page can be read, or is refused as lost; and
// nobody waits for ever.
//
// Input: the offer's fields, each level's files and ledger, then messages that were sent after it.
#include <array>

#include "api/api.h"
#include "base/check.h"
#include "engine/importer.h"
#include "engine/ledger.h"
#include "engine/wire.h"
#include "numbers.h"
#include "socket_pair.h"

using verso::Fd;
using verso::u32;
using verso::u64;
using verso::engine::Ledger;
using verso::engine::Region;
using verso::fuzz::Numbers;
using verso::kernel::Call;
using verso::kernel::Kernel;
using verso::kernel::Outcome;
using verso::kernel::Payload;
namespace wire = verso::engine::wire;

namespace {

constexpr u64 pages_max = 700;  // two chunks
constexpr u64 slots_used = 4;   // a level's files have room for as many layers
constexpr std::size_t levels_max = 4;

Fd file_of(Kernel& kernel, u64 bytes) {
    const Outcome made = kernel.perform(Call::memfd_create());
    VERSO_CHECK(made.ok(), "{}", to_string(made));
    Fd file(static_cast<int>(made.value));
    const Outcome sized = kernel.perform(Call::file_resize(file.get(), bytes));
    VERSO_CHECK(sized.ok(), "{}", to_string(sized));
    const std::array<std::byte, 1> some{std::byte{7}};
    for (u64 at = 0; at < bytes; at += verso::to_bytes(13)) {
        (void)kernel.perform(Call::file_write(file.get(), at, 1), Payload{.in = some});
    }
    return file;
}

/// A ledger as its owner may have left it; sometimes not a ledger at all.
Fd ledger_of(Kernel& kernel, Numbers& numbers, u64 pages) {
    if (numbers.next(1) % 16 == 15) {
        return file_of(kernel, numbers.next(3));
    }
    verso::Result<Ledger> made = Ledger::create(kernel, pages, numbers.flag());
    VERSO_CHECK(made.has_value(), "{}", made.error().message);
    for (u64 layers = numbers.next(1) % 8; layers > 0; --layers) {
        const u32 slot = static_cast<u32>(numbers.or_else(layers % slots_used, 2)) %
                         verso::engine::LedgerHeader::slots_max;
        made->set_seq(slot, numbers.or_else(slot + 1, 8));
        for (u64 runs = numbers.next(1) % 4; runs > 0; --runs) {
            const u64 first = numbers.next(2) % pages;
            const u64 count = std::min(pages - first, 1 + numbers.next(1));
            made->captured(slot).set_range(first, count);
            if (numbers.flag()) {
                made->lost(slot).set(first);
            }
        }
    }
    const Outcome kept = kernel.perform(Call::duplicate(made->fd()));
    VERSO_CHECK(kept.ok(), "{}", to_string(kept));
    return Fd(static_cast<int>(kept.value));
}

void speak(Kernel& kernel, int socket, Numbers& numbers) {
    wire::Message offer;
    offer.kind = static_cast<wire::Kind>(numbers.or_else(1, 1));
    offer.pages = numbers.or_else(1 + numbers.next(2) % pages_max, 8);
    offer.base_file = static_cast<verso::engine::BaseFile>(numbers.next(1) % 2);
    const bool sane = offer.pages != 0 && offer.pages <= pages_max;
    const u64 pages = sane ? offer.pages : 1;  // what the files are made for
    std::vector<Fd> files;
    const std::size_t levels = 1 + numbers.next(1) % levels_max;
    for (std::size_t i = 0; i < levels; ++i) {
        const wire::LevelInfo level{numbers.or_else(1, 8),
                                    static_cast<u32>(numbers.or_else(numbers.next(1) % 4, 2)),
                                    i + 1 == levels || numbers.flag(), numbers.flag()};
        offer.levels.push_back(level);
        files.push_back(file_of(kernel, numbers.or_else(verso::to_bytes(pages) * slots_used, 3)));
        files.push_back(ledger_of(kernel, numbers, pages));
        if (level.has_live) {
            files.push_back(file_of(kernel, numbers.or_else(verso::to_bytes(pages), 3)));
        }
        if (level.has_pin) {
            files.push_back(verso::fuzz::socket_pair().first);
        }
    }
    std::vector<int> fds;
    fds.reserve(files.size());
    for (const Fd& file : files) {
        fds.push_back(file.get());
    }
    fds.resize(numbers.or_else(fds.size(), 1) % (fds.size() + 1));
    (void)wire::send(kernel, socket, offer, fds);
    wire::Message next;
    next.kind = wire::Kind::accepted;
    for (unsigned said = 0; said < 8; ++said) {
        (void)wire::send(kernel, socket, next);
        next.kind = static_cast<wire::Kind>(numbers.or_else(7, 1));
        next.number = numbers.or_else(said, 8);
    }
}

/// Every page answers: its bytes, or that it is lost. One that is there may be written.
void read_everything(Kernel& kernel, Region& child) {
    const u64 base = child.base();
    std::array<std::byte, 8> word{};
    for (u64 page = 0; page < child.pages(); ++page) {
        const u64 address = base + verso::to_bytes(page);
        const Outcome read =
            kernel.perform(Call::memory_read(address, word.size()), Payload{.out = word});
        if (read.ok() && page % 3 == 0) {
            (void)kernel.perform(Call::memory_write(address, word.size()), Payload{.in = word});
        }
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    Numbers numbers(data, size);
    verso::engine::Runtime& runtime = verso::process_runtime();
    Kernel& kernel = runtime.kernel();
    auto [exporting, importing] = verso::fuzz::socket_pair();
    speak(kernel, exporting.get(), numbers);
    // It dies once it has been answered: before that, nothing is imported.
    const std::unique_ptr<verso::kernel::Thread> exporter =
        kernel.spawn("fuzz-export", [&kernel, end = &exporting] {
            (void)wire::receive(kernel, end->get(), wire::Kind::ready, 5'000);
            end->reset();
        });
    VERSO_CHECK(exporter != nullptr, "no thread");
    const auto child = verso::engine::import_child(runtime, importing.get(), {});
    if (!child) {
        importing.reset();  // what is not an offer is not answered either
        VERSO_CHECK(!child.error().message.empty(), "a refusal without a word");
        return 0;
    }
    read_everything(kernel, **child);
    const auto snapshot = (*child)->snapshot();
    if (snapshot) {
        read_everything(kernel, **child);
    }
    return 0;
}
