// Making it, and adding up.
#include "check/torture/shared.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <new>

#include <sys/mman.h>

namespace verso::check::torture {
namespace {
constexpr u64 header_bytes = page_size;
}  // namespace

void Slot::fail(const std::string& text) {
    const u64 number = (*this)[Count::failures].fetch_add(1);
    if (number < failures_kept) {
        std::array<char, failure_bytes>& kept = failures[number];
        std::memcpy(kept.data(), text.data(), std::min<u64>(text.size(), kept.size() - 1));
    }
}

void Slot::report(const std::string& what, const Error& error) {
    if (error.kind == ErrorKind::resource || error.os_error == ENOMEM) {
        add(Count::refused);
    } else {
        fail(fmt::format("{}: {}", what, error.message));
    }
}

void Slot::add(const Verdict& verdict, const std::string& where) {
    add(Count::bytes_verified, to_bytes(verdict.right + verdict.wrong));
    add(Count::pages_wrong, verdict.wrong);
    add(Count::pages_lost, verdict.lost);
    const std::string text = fmt::format("{}: {} ({} pages wrong, {} lost)", where, verdict.first,
                                         verdict.wrong, verdict.lost);
    if (verdict.wrong != 0) {
        fail(text);
    } else if (verdict.lost != 0) {
        std::memcpy(first_lost.data(), text.data(), std::min<u64>(text.size(), failure_bytes - 1));
    }
}

/// Without memory for old versions a snapshot refuses these pages (docs/engine.md, section 2): that
/// is no wrong byte, and where memory is made scarce it may come to that.
void Slot::hear(const std::string& damage, const std::string& where) {
    if (damage.empty()) {
        return;
    }
    if (damage.find("no_memory") != std::string::npos) {
        starved.store(1);
    } else {
        fail(where + ": " + damage);
    }
}

void Slot::judge_lost() {
    const u64 lost = (*this)[Count::pages_lost].load();
    if (lost == 0) {
        return;
    }
    if (starved.load() != 0) {
        (*this)[Count::pages_lost].store(0);
        add(Count::pages_given_up, lost);
    } else {
        fail(first_lost.data());
    }
}

Result<std::unique_ptr<Shared>> Shared::make(u64 instances) {
    const u64 bytes = header_bytes + round_up(instances * sizeof(Slot), page_size);
    // Why safe: new memory of this object's own.
    void* const memory =
        ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) {
        return verso::fail(ErrorKind::resource, errno, "no memory for counts ({})",
                           std::strerror(errno));
    }
    return std::unique_ptr<Shared>(new Shared(memory, bytes, instances));
}

Shared::Shared(void* memory, u64 bytes, u64 instances)
    : memory_(memory),
      bytes_(bytes),
      instances_(instances),
      header_(new(memory) Header{}),
      slots_(reinterpret_cast<Slot*>(static_cast<std::byte*>(memory) + header_bytes)) {
    for (u64 i = 0; i < instances; ++i) {
        new (slots_ + i) Slot{};
        slots_[i].doing.store("beginning");
    }
}

Shared::~Shared() {
    // Why safe: made by this object, which ends; atomics need no destruction.
    ::munmap(memory_, bytes_);
}

u64 Shared::total(Count count) const {
    u64 sum = 0;
    for (u64 i = 0; i < instances_; ++i) {
        sum += slots_[i][count].load(std::memory_order_relaxed);
    }
    return sum;
}

}  // namespace verso::check::torture
