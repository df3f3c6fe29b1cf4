// Fd's close: see the header for which errors matter and why.
#include "base/fd.h"

#include <array>
#include <atomic>
#include <cerrno>

#include <unistd.h>

#include "base/check.h"

namespace verso {
namespace {

constinit std::array<std::atomic<DescriptorTable*>, DescriptorTable::tables_max> tables;

DescriptorTable& table_of(int number) {
    const int slot = (number - DescriptorTable::first) / DescriptorTable::size;
    DescriptorTable* const table = slot < DescriptorTable::tables_max
                                       ? tables[static_cast<std::size_t>(slot)].load()
                                       : nullptr;
    VERSO_CHECK(table != nullptr, "descriptor {} outlives the table that it came from", number);
    return *table;
}

int close_number(int number) {
    // Why safe: whoever calls this is the only owner of the number, so nobody else can be using it.
    return number < DescriptorTable::first ? ::close(number)
                                           : table_of(number).close_number(number);
}

}  // namespace

/// The lowest free range, so that worlds that come one after another get the same numbers.
DescriptorTable::DescriptorTable() : base_(first) {
    for (std::atomic<DescriptorTable*>& slot : tables) {
        DescriptorTable* free = nullptr;
        if (slot.compare_exchange_strong(free, this)) {
            return;
        }
        base_ += size;
    }
    VERSO_CHECK(false, "more than {} descriptor tables at a time", tables_max);
}

DescriptorTable::~DescriptorTable() {
    tables[static_cast<std::size_t>((base_ - first) / size)].store(nullptr);
}

void Fd::reset() {
    if (number_ < 0) {
        return;
    }
    const int number = std::exchange(number_, -1);
    if (close_number(number) != 0) {
        VERSO_CHECK(errno != EBADF, "descriptor {} was closed by someone else", number);
    }
}

}  // namespace verso
