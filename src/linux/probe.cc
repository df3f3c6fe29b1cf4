// What this kernel and this process' privilege offer. Every answer that matters is got by doing the
// thing on scratch memory: a feature bit says that code was compiled in, not that it works for this
// kind of memory, this privilege or under this seccomp filter (H13, H14). Nothing here can block: a
// page is looked at only after its entry in the pagemap said that it is there.
#include <array>
#include <cstring>
#include <fstream>
#include <optional>

#include <fmt/format.h>

#include "abi/abi.h"
#include "linux/address.h"
#include "linux/calls.h"
#include "linux/linux_kernel.h"

namespace verso::host {
namespace {
using abi::Feature;
using kernel::Abilities;
using kernel::MapFlag;
using kernel::RegisterMode;

constexpr u64 scratch_bytes = 4 * page_size;
constexpr u64 all_bits = ~u64{0};  // of an entry that cannot be read: the ioctl's word must do
constexpr u64 plain = MapFlag::read | MapFlag::write;

/// A mapping that goes with the object; address 0 if it could not be made.
class Mapping {
public:
    Mapping(int fd, u64 flags) {
        const Outcome made = map(Call::map(fd, 0, scratch_bytes, flags));
        address_ = made.ok() ? static_cast<u64>(made.value) : 0;
    }
    ~Mapping() {
        if (address_ != 0) {
            static_cast<void>(unmap(Call::unmap(address_, scratch_bytes)));
        }
    }
    Mapping(const Mapping&) = delete;
    Mapping& operator=(const Mapping&) = delete;
    u64 address() const { return address_; }
    bool valid() const { return address_ != 0; }
    void fill(unsigned char value) const {
        std::memset(pointer_to(address_), value, scratch_bytes);
    }

private:
    u64 address_ = 0;
};

Fd scratch_file() {
    const Outcome made = memfd_create_call(Call::memfd_create(), Payload{});
    if (!made.ok()) {
        return Fd{};
    }
    Fd fd{static_cast<int>(made.value)};
    return file_resize(Call::file_resize(fd.get(), scratch_bytes)).ok() ? std::move(fd) : Fd{};
}

/// The page's entry in the pagemap; nullopt where /proc is not mounted.
std::optional<u64> entry_of(u64 address) {
    u64 entry = 0;
    const Outcome read = pagemap_read(Call::pagemap_read(address, page_size),
                                      Payload{.out = std::as_writable_bytes(std::span(&entry, 1))});
    return read.ok() ? std::optional(entry) : std::nullopt;
}

/// One context with one registered mapping, the start of every trial.
struct Trial {
    Trial(u64 features, int file, u64 map_flags, u64 mode)
        : mapping(file, map_flags), uffd(open_uffd(features).fd) {
        ready =
            mapping.valid() && uffd.valid() &&
            uffd_register(Call::uffd_register(uffd.get(), mapping.address(), scratch_bytes, mode))
                .ok();
    }
    Mapping mapping;
    Fd uffd;
    bool ready = false;
};

bool try_write_protect_shmem() {
    const Fd file = scratch_file();
    const Mapping alias(file.get(), plain | MapFlag::shared);
    Trial trial(Feature::pagefault_flag_wp | Feature::wp_hugetlbfs_shmem, file.get(),
                plain | MapFlag::shared, RegisterMode::write_protect);
    if (!trial.ready || !alias.valid()) {
        return false;
    }
    alias.fill(1);
    const u64 address = trial.mapping.address();
    // Read once, so that there is an entry to protect: without WP_UNPOPULATED an absent one is
    // skipped (H3).
    static_cast<void>(*static_cast<volatile unsigned char*>(pointer_to(address)));
    return uffd_write_protect(
               Call::uffd_write_protect(trial.uffd.get(), address, scratch_bytes, true))
               .ok() &&
           (entry_of(address).value_or(all_bits) & abi::PagemapBit::uffd_wp) != 0;
}

bool try_pagemap_scan() {
    const Mapping mapping(-1, plain);
    if (!mapping.valid()) {
        return false;
    }
    mapping.fill(1);
    std::array<kernel::Run, 1> runs;
    const Outcome scan = pagemap_scan(
        Call::pagemap_scan(mapping.address(), scratch_bytes, kernel::ScanFlag::private_copy),
        Payload{.runs = runs});
    return scan.ok() && scan.value == 1 && scan.walk_end == mapping.address() + scratch_bytes;
}

/// Async protection is known only through the scan, so the two are tried together: arm all, write
/// one page, and the scan must name that page alone.
bool try_wp_async() {
    const Fd file = scratch_file();
    Trial trial(Feature::wp_async | Feature::wp_hugetlbfs_shmem | Feature::wp_unpopulated,
                file.get(), plain | MapFlag::shared, RegisterMode::write_protect);
    if (!trial.ready) {
        return false;
    }
    const u64 address = trial.mapping.address();
    if (!uffd_write_protect(
             Call::uffd_write_protect(trial.uffd.get(), address, scratch_bytes, true))
             .ok()) {
        return false;
    }
    *static_cast<volatile unsigned char*>(pointer_to(address + page_size)) = 1;
    std::array<kernel::Run, 4> runs;
    const Outcome scan =
        pagemap_scan(Call::pagemap_scan(address, scratch_bytes,
                                        kernel::ScanFlag::written | kernel::ScanFlag::arm),
                     Payload{.runs = runs});
    return scan.ok() && scan.value == 1 && runs[0].start == address + page_size &&
           runs[0].end == address + 2 * page_size;
}

bool try_continue(u64 map_flags) {
    const Fd file = scratch_file();
    const Mapping alias(file.get(), plain | MapFlag::shared);
    Trial trial(Feature::minor_shmem, file.get(), map_flags, RegisterMode::minor);
    if (!trial.ready || !alias.valid()) {
        return false;
    }
    constexpr unsigned char sample = 0x5A;
    alias.fill(sample);
    const u64 address = trial.mapping.address();
    if (!uffd_continue(Call::uffd_continue(trial.uffd.get(), address, scratch_bytes, 0)).ok()) {
        return false;
    }
    const std::optional<u64> entry = entry_of(address);
    return !entry || ((*entry & abi::PagemapBit::present) != 0 &&
                      *static_cast<volatile unsigned char*>(pointer_to(address)) == sample);
}

bool try_poison() {
    const Fd file = scratch_file();
    Trial trial(Feature::missing_shmem | Feature::poison, file.get(), plain | MapFlag::shared,
                RegisterMode::missing);
    return trial.ready &&
           uffd_poison(Call::uffd_poison(trial.uffd.get(), trial.mapping.address(), scratch_bytes))
               .ok();
}

std::string first_line(const char* path) {
    std::ifstream file(path);
    std::string line;
    std::getline(file, line);
    return line;
}

std::string why_none(const OpenedUffd& opened) {
    if (opened.last_error == EMFILE || opened.last_error == ENFILE) {
        return "no descriptor was left to open a userfaultfd with: raise RLIMIT_NOFILE (ulimit -n)";
    }
    if (opened.error == ENOSYS) {
        return "userfaultfd(2) does not exist here: use a kernel with CONFIG_USERFAULTFD=y, or "
               "allow the call in the container's seccomp profile";
    }
    if (opened.error == EPERM || opened.error == EACCES) {
        if (opened.last_error == EINVAL) {
            return fmt::format(
                "userfaultfd(2) is for the privileged here (vm.unprivileged_userfaultfd is {}) "
                "and this kernel is too old (before 5.11) for the unprivileged form: set "
                "vm.unprivileged_userfaultfd=1 or grant CAP_SYS_PTRACE",
                first_line("/proc/sys/vm/unprivileged_userfaultfd"));
        }
        return "userfaultfd(2) is refused even in its unprivileged form, so a seccomp filter or "
               "security module forbids it: allow the call in the container's seccomp profile, or "
               "grant access to /dev/userfaultfd";
    }
    return fmt::format("userfaultfd(2) failed: {}", kernel::to_string(failure(opened.error)));
}
}  // namespace

Abilities probe() {
    Abilities abilities;
    OpenedUffd opened = open_uffd(0);
    abilities.userfaultfd = opened.fd.valid();
    abilities.pagemap_scan = try_pagemap_scan();
    if (!abilities.userfaultfd) {
        abilities.why_no_userfaultfd = why_none(opened);
        return abilities;
    }
    const u64 features = opened.features;
    abilities.user_mode_only = opened.way == UffdWay::user_mode_only;
    abilities.through_device = opened.way == UffdWay::device;
    abilities.uffd_features = features;
    abilities.write_protect_shmem = try_write_protect_shmem();
    abilities.wp_unpopulated = (features & Feature::wp_unpopulated) != 0;
    abilities.wp_async = abilities.pagemap_scan && try_wp_async();
    abilities.minor_shmem = try_continue(plain | MapFlag::shared);
    abilities.continue_private = try_continue(plain);
    abilities.poison = try_poison();
    abilities.layout_events = (features & Feature::layout_events) == Feature::layout_events;
    return abilities;
}

Abilities apply(const Mask& mask, Abilities abilities) {
    if (mask.no_userfaultfd) {
        const bool scan = abilities.pagemap_scan && !mask.no_pagemap_scan;
        abilities = Abilities{};
        abilities.pagemap_scan = scan;
        abilities.why_no_userfaultfd = "userfaultfd is masked in this process: remove the mask";
        return abilities;
    }
    const auto keep = [](bool& ability, bool masked) { ability = ability && !masked; };
    abilities.uffd_features &= ~mask.hidden_features();
    keep(abilities.write_protect_shmem, mask.no_write_protect_shmem);
    keep(abilities.wp_unpopulated, mask.no_wp_unpopulated);
    keep(abilities.wp_async,
         mask.no_wp_async || mask.no_pagemap_scan || mask.no_write_protect_shmem);
    keep(abilities.minor_shmem, mask.no_minor);
    keep(abilities.continue_private, mask.no_minor || mask.no_continue_private);
    keep(abilities.poison, mask.no_poison);
    keep(abilities.layout_events, mask.no_layout_events);
    keep(abilities.pagemap_scan, mask.no_pagemap_scan);
    keep(abilities.through_device, mask.user_mode_only_uffd);
    abilities.user_mode_only =
        abilities.userfaultfd && (abilities.user_mode_only || mask.user_mode_only_uffd);
    return abilities;
}

}  // namespace verso::host
