// A ledger comes from another process as a memfd: its size and every byte of it are that process'
// choice. Opening must refuse or succeed, and what was opened must be safe to read, whatever the
// header says.
//
// Input: 8 bytes of the size to claim in pages, 8 of the file's size, the rest from the file's
// start on.
#include <cstring>

#include "base/check.h"
#include "engine/ledger.h"
#include "linux/linux_kernel.h"

using verso::Fd;
using verso::u32;
using verso::u64;
using verso::engine::Ledger;
using verso::engine::LedgerHeader;
using verso::kernel::Call;
using verso::kernel::Outcome;
using verso::kernel::Payload;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    constexpr u64 pages_max = 4096;
    u64 numbers[2];
    if (size < sizeof numbers) {
        return 0;
    }
    std::memcpy(numbers, data, sizeof numbers);
    const u64 pages = numbers[0] % pages_max + 1;
    verso::kernel::Kernel& kernel = verso::host::linux_kernel();
    const Outcome made = kernel.perform(Call::memfd_create());
    VERSO_CHECK(made.ok(), "{}", to_string(made));
    Fd file(static_cast<int>(made.value));
    const Outcome sized =
        kernel.perform(Call::file_resize(file.get(), numbers[1] % (u64{16} << 20)));
    VERSO_CHECK(sized.ok(), "{}", to_string(sized));
    const auto bytes = std::as_bytes(std::span(data + sizeof numbers, size - sizeof numbers));
    if (!bytes.empty()) {
        const Outcome written =
            kernel.perform(Call::file_write(file.get(), 0, bytes.size()), Payload{.in = bytes});
        VERSO_CHECK(written.ok(), "{}", to_string(written));
    }
    const verso::Result<Ledger> ledger = Ledger::open(kernel, std::move(file), pages);
    if (!ledger) {
        VERSO_CHECK(!ledger.error().message.empty(), "a refusal without a word");
        return 0;
    }
    VERSO_CHECK(ledger->pages() == pages, "{} pages", ledger->pages());
    u64 seen = ledger->trusted() ? 1 : 0;
    for (const u32 slot : ledger->slots_from(1)) {
        VERSO_CHECK(slot < LedgerHeader::slots_max, "slot {}", slot);
        seen += ledger->captured(slot).test(pages - 1) ? 1 : 0;
        seen += ledger->lost(slot).test(0) ? 1 : 0;
    }
    VERSO_CHECK(seen <= 1 + 2 * LedgerHeader::slots_max, "{}", seen);
    return 0;
}
