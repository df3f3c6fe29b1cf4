// The real memory of a simulated world: windows of processes, and the memfds that they show.
#include <algorithm>
#include <cstring>

#include <sys/mman.h>
#include <unistd.h>

#include "mm/sim/memory.h"

namespace verso::mm::sim {
namespace {

constexpr int reserved = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
// The same place in every run, so that addresses in a report mean the same; the first of these that
// is free. They lie below where Linux puts programs (0x5555'5555'4000 and up), in a range that both
// AddressSanitizer and ThreadSanitizer leave to programs; elsewhere the latter asks for address 0.
constexpr u64 first_base = u64{0x5500} << 32;
constexpr u64 base_step = u64{1} << 32;
constexpr unsigned bases = 64;

void* pointer_to(u64 address) { return reinterpret_cast<void*>(address); }      // NOLINT
u64 address_of(const void* pointer) { return reinterpret_cast<u64>(pointer); }  // NOLINT

/// A reserved range at a multiple of `unit`.
u64 reserve(u64 length, u64 unit) {
    for (unsigned i = 0; i < bases; ++i) {
        void* const wish = pointer_to(first_base + i * base_step);
        // Why safe: replaces nothing (kernels before 4.17 take the flag for a hint; see below).
        void* const at = ::mmap(wish, length, PROT_NONE, reserved | MAP_FIXED_NOREPLACE, -1, 0);
        if (at == wish) {
            return address_of(at);
        }
        if (at != MAP_FAILED) {
            // Why safe: made a moment ago, nobody knows it.
            VERSO_CHECK(::munmap(at, length) == 0, "errno {}", errno);
        }
    }
    // Why safe: fresh memory without access.
    void* const at = ::mmap(nullptr, length + unit, PROT_NONE, reserved, -1, 0);
    VERSO_CHECK(at != MAP_FAILED, "no {} bytes of address space: errno {}", length, errno);
    const u64 base = round_up(address_of(at), unit);
    const u64 spare = base - address_of(at);
    // Why safe: the ends of the mapping just made, so that exactly `length` remains.
    VERSO_CHECK(spare == 0 || ::munmap(at, spare) == 0, "errno {}", errno);
    // Why safe: as above.
    VERSO_CHECK(spare == unit || ::munmap(pointer_to(base + length), unit - spare) == 0, "errno {}",
                errno);
    return base;
}

}  // namespace

void Memory::open_window(u8 space) {
    windows_.resize(std::max<std::size_t>(windows_.size(), space + 1U));
    Window& window = windows_[space];
    window = Window{};
    window.base = reserve(limit(), to_bytes(state_.shape.huge_pages));
    window.own = true;
    window.pages.resize(state_.shape.space_pages);
}

void Memory::inherit_window(u8 space, u8 parent) {
    windows_.resize(std::max<std::size_t>(windows_.size(), space + 1U));
    windows_[space] = Window{};
    windows_[space].base = windows_[parent].base;
}

void Memory::close_window(u8 space) {
    Window& window = windows_[space];
    if (window.own) {
        // Why safe: a range that this object reserved.
        VERSO_CHECK(::munmap(pointer_to(window.base), limit()) == 0, "errno {}", errno);
    }
    window.own = false;
    window.pages.clear();  // the base stays: userfaultfds still speak of addresses there
}

/// Addresses outside lie far above everything in the model, in the same place of their page.
u64 Memory::to_model(u8 space, u64 address) const {
    const u64 base = windows_[space].base;
    if (address >= base && address - base <= limit()) {
        return address - base;
    }
    constexpr u64 far = u64{1} << 44;
    return far + (address & (far / 2 - 1));
}

bool Memory::in_window(u8 space, u64 address) const {
    return address >= windows_[space].base && address - windows_[space].base < limit();
}

void Memory::drop_view(Behind& behind) {
    if (behind.view != nullptr) {
        // Why safe: our own mapping of a file of ours.
        VERSO_CHECK(::munmap(behind.view, to_bytes(behind.pages)) == 0, "errno {}", errno);
        behind.view = nullptr;
    }
}

/// The real file is never made smaller: a window that shows what was cut off is a matter of the
/// model, not of a signal in this process.
void Memory::grow(Behind& behind, u32 pages) {
    if (pages <= behind.pages) {
        return;
    }
    if (!behind.memfd.valid()) {
        // Why safe: makes a descriptor and nothing else.
        behind.memfd = Fd(::memfd_create("verso-simulated", MFD_CLOEXEC));
        VERSO_CHECK(behind.memfd.valid(), "memfd_create: errno {}", errno);
    }
    drop_view(behind);
    const auto length = static_cast<off_t>(to_bytes(pages));
    // Why safe: a file that only this object has; it grows.
    VERSO_CHECK(::ftruncate(behind.memfd.get(), length) == 0, "ftruncate: errno {}", errno);
    // Why safe: a fresh mapping of that file.
    void* const at = ::mmap(nullptr, to_bytes(pages), PROT_READ | PROT_WRITE,
                            MAP_SHARED | MAP_NORESERVE, behind.memfd.get(), 0);
    VERSO_CHECK(at != MAP_FAILED, "mmap: errno {}", errno);
    behind.view = static_cast<std::byte*>(at);
    behind.pages = pages;
    behind.shown.resize(pages, zeroes);
}

/// A plain store through an alias: the page exists from then on and is dirty.
void Memory::pull_page(u8 file, Behind& behind, u32 index) {
    const PageSpan memory(behind.view + to_bytes(index), page_size);
    if (std::memcmp(memory.data(), versions_.bytes(behind.shown[index]).data(), page_size) == 0) {
        return;
    }
    const Contents now = versions_.intern(memory);
    behind.shown[index] = now;
    const PageId page = cache_page(machine_, file, index, true);
    VERSO_CHECK(page != no_page, "a plain store to page {} of file {} finds no memory", index,
                file);
    state_.pages[page].contents = now;
    state_.pages[page].dirty = true;
}

void Memory::pull(u8 file, u32 first, u32 count) {
    Behind* const real = behind(file);
    if (real == nullptr) {
        return;
    }
    const u32 end = std::min(real->pages, first + count);
    for (u32 index = first; index < end && index < state_.files[file].size; ++index) {
        pull_page(file, *real, index);
    }
}

void Memory::push(u8 file, u32 first, u32 count) {
    Behind* const real = behind(file);
    if (real == nullptr) {
        return;
    }
    const u32 end = std::min(real->pages, first + count);
    for (u32 index = first; index < end; ++index) {
        const Contents now = version_of(file, index);
        if (now != real->shown[index]) {
            std::memcpy(real->view + to_bytes(index), versions_.bytes(now).data(), page_size);
            real->shown[index] = now;
        }
    }
}

void Memory::pull_at(u8 space, u64 address, u64 length) {
    const u64 end = std::min(address + length, limit());
    for (const Vma& vma : state_.spaces[space].vmas) {
        const u64 from = std::max(to_pages(address), u64{vma.start});
        const u64 to = std::min(to_pages(end + page_size - 1), u64{vma.end});
        if (vma.file != nobody && from < to && behind(vma.file) != nullptr) {
            pull(vma.file, vma.index(static_cast<Vpn>(from)), static_cast<u32>(to - from));
        }
    }
}

void Memory::push_at(u8 space, u64 address, u64 length) {
    const u64 end = std::min(address + length, limit());
    for (const Vma& vma : state_.spaces[space].vmas) {
        const u64 from = std::max(to_pages(address), u64{vma.start});
        const u64 to = std::min(to_pages(end + page_size - 1), u64{vma.end});
        if (vma.file != nobody && from < to) {
            push(vma.file, vma.index(static_cast<Vpn>(from)), static_cast<u32>(to - from));
        }
    }
}

/// Only pages that the real file has can differ from zeroes, so it is asked which those are.
void Memory::pull_data(u8 file) {
    Behind* const real = behind(file);
    if (real == nullptr || !real->memfd.valid()) {
        return;
    }
    const int fd = real->memfd.get();
    // Why safe: moves the position of a file of ours, which nobody uses.
    off_t at = ::lseek(fd, 0, SEEK_DATA);
    while (at >= 0) {
        // Why safe: as above.
        const off_t hole = ::lseek(fd, at, SEEK_HOLE);
        VERSO_CHECK(hole > at, "a hole at {} after data at {}", hole, at);
        pull(file, static_cast<u32>(to_pages(static_cast<u64>(at))),
             static_cast<u32>(to_pages(static_cast<u64>(hole - at))));
        // Why safe: as above.
        at = ::lseek(fd, hole, SEEK_DATA);
    }
}

void Memory::pull_all() {
    for (u8 file = 0; file < behind_.size(); ++file) {
        pull_data(file);
    }
}

Memory::Shown Memory::wanted(const Vma& vma, Vpn at) const {
    const bool alias = vma.shared() && vma.context == nobody && vma.file < behind_.size() &&
                       behind_[vma.file] != nullptr && vma.has(VmFlag::read | VmFlag::write);
    return alias ? Shown{vma.file, vma.has(VmFlag::write), vma.index(at)} : Shown{};
}

/// `count` pages that go on where the one before them stops.
void Memory::map_run(Window& window, Vpn first, u32 count) {
    void* const at = pointer_to(window.base + to_bytes(first));
    const Shown& what = window.pages[first];
    if (what.file == nobody) {
        // Why safe: within the window, which is ours; what was shown there is shown no more.
        VERSO_CHECK(::mmap(at, to_bytes(count), PROT_NONE, reserved | MAP_FIXED, -1, 0) == at,
                    "errno {}", errno);
        return;
    }
    Behind& real = *behind_[what.file];
    grow(real, what.index + count);
    const int access = what.write ? PROT_READ | PROT_WRITE : PROT_READ;
    // Why safe: as above.
    void* const got = ::mmap(at, to_bytes(count), access, MAP_SHARED | MAP_FIXED | MAP_NORESERVE,
                             real.memfd.get(), static_cast<off_t>(to_bytes(what.index)));
    VERSO_CHECK(got == at, "mmap: errno {}", errno);
}

void Memory::show(u8 space, u64 address, u64 length) {
    Window& window = windows_[space];
    if (!window.own || address >= limit()) {
        return;
    }
    const u64 end =
        std::min(to_pages(address + length + page_size - 1), u64{state_.shape.space_pages});
    const auto follows = [](const Shown& before, const Shown& next) {
        return next.file == before.file && next.write == before.write &&
               (next.file == nobody || next.index == before.index + 1);
    };
    const auto& vmas = state_.spaces[space].vmas;
    auto vma = vmas.begin();  // the first that ends after `at`: both only go up
    for (Vpn at = static_cast<Vpn>(to_pages(address)); at < end;) {
        const Vpn first = at;
        for (; at < end; ++at) {
            while (vma != vmas.end() && vma->end <= at) {
                ++vma;
            }
            const bool mapped = vma != vmas.end() && vma->start <= at;
            const Shown here = mapped ? wanted(*vma, at) : Shown{};
            if (window.pages[at] == here || (at != first && !follows(window.pages[at - 1], here))) {
                break;
            }
            window.pages[at] = here;
        }
        if (at == first) {
            ++at;
        } else {
            map_run(window, first, at - first);
        }
    }
}

void Memory::show_all() {
    for (u8 space = 0; space < windows_.size(); ++space) {
        show(space, 0, limit());
    }
}

}  // namespace verso::mm::sim
