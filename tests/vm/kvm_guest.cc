// The system calls behind kvm_guest.h, and what each end of a run means.
#include "vm/kvm_guest.h"

#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstddef>
#include <cstring>
#include <vector>

#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

namespace verso::test {
namespace {

constexpr int kick = SIGUSR1;
constexpr u64 tables_at = u64{1} << 30;  // guest-physical

/// A signal ends KVM_RUN, but only one that has a handler and does not end the process. It stays
/// installed: taking it away while a kick is on its way would end the process after all.
void install_kick() {
    static const bool once = [] {
        struct sigaction action {};
        action.sa_handler = [](int) {};
        // Why safe: a signal that nothing else in these programs uses; the handler does nothing.
        return ::sigaction(kick, &action, nullptr) == 0;
    }();
    VERSO_CHECK(once, "SIGUSR1 cannot have a handler: errno {}", errno);
}

tl::unexpected<Error> refused(const char* call) {
    return fail(ErrorKind::system, errno, "{}: {}", call, std::strerror(errno));
}

/// What an older KVM, or that of another processor, may lack.
struct Need {
    int extension;
    const char* what;
};
constexpr Need needs[] = {
    {KVM_CAP_USER_MEMORY, "memory of the caller's own"},
    {KVM_CAP_SYNC_MMU, "following what happens to that memory's mapping"},
    {KVM_CAP_IMMEDIATE_EXIT, "stopping a guest without a race"},
};

Result<Fd> open_kvm() {
    // Why safe: opening the device makes nothing yet.
    Fd kvm(::open("/dev/kvm", O_RDWR | O_CLOEXEC));
    if (!kvm.valid()) {
        return fail(ErrorKind::unsupported, errno, "/dev/kvm cannot be opened here: {}",
                    std::strerror(errno));
    }
    // Why safe: asks, changes nothing.
    if (::ioctl(kvm.get(), KVM_GET_API_VERSION, 0) != KVM_API_VERSION) {
        return fail(ErrorKind::unsupported, 0, "what /dev/kvm is here is no KVM of version {}",
                    KVM_API_VERSION);
    }
    for (const Need& need : needs) {
        // Why safe: asks, changes nothing.
        if (::ioctl(kvm.get(), KVM_CHECK_EXTENSION, need.extension) <= 0) {
            return fail(ErrorKind::unsupported, 0, "this KVM lacks {}", need.what);
        }
    }
    return kvm;
}

Result<void> give_memory(const Fd& vm, u32 slot_number, u64 guest_physical, const void* bytes,
                         u64 size) {
    kvm_userspace_memory_region slot{};
    slot.slot = slot_number;
    slot.guest_phys_addr = guest_physical;
    slot.memory_size = size;
    slot.userspace_addr = reinterpret_cast<u64>(bytes);
    // Why safe: the bytes are the caller's or the guest's own, and outlive the virtual machine.
    if (::ioctl(vm.get(), KVM_SET_USER_MEMORY_REGION, &slot) != 0) {
        return refused("KVM_SET_USER_MEMORY_REGION");
    }
    return {};
}

/// All of the address space, readable and writable, or executable.
kvm_segment flat_segment(KvmGuest::Mode mode, bool code) {
    const bool wide = mode == KvmGuest::Mode::long_64;
    const u8 privilege = wide ? 3 : 0;
    kvm_segment segment{};
    segment.limit = 0xffff'ffff;
    segment.selector = static_cast<u16>((code ? 0x08 : 0x10) | privilege);
    segment.type = code ? 0xb : 0x3;  // accessed already: there is no table to note it in
    segment.present = 1;
    segment.dpl = privilege;
    segment.db = code && wide ? 0 : 1;
    segment.l = code && wide ? 1 : 0;
    segment.s = 1;  // code or data
    segment.g = 1;
    return segment;
}

void set_mode(kvm_sregs& system, KvmGuest::Mode mode) {
    constexpr u64 protection = 1;  // cr0
    constexpr u64 paging = (u64{1} << 31) | (u64{1} << 16);
    constexpr u64 physical_address_extension = u64{1} << 5;    // cr4
    constexpr u64 long_mode = (u64{1} << 8) | (u64{1} << 10);  // efer: enabled, active
    system.cr0 |= protection;
    if (mode == KvmGuest::Mode::long_64) {
        system.cr3 = tables_at;
        system.cr4 |= physical_address_extension;
        system.cr0 |= paging;
        system.efer |= long_mode;
    }
    system.cs = flat_segment(mode, true);
    for (kvm_segment* const segment :
         {&system.ds, &system.es, &system.fs, &system.gs, &system.ss}) {
        *segment = flat_segment(mode, false);
    }
}

std::string exit_text(const kvm_run& run, u64 at) {
    switch (run.exit_reason) {
        case KVM_EXIT_MMIO:
            return fmt::format("address {:#x} is outside of the guest's memory",
                               u64{run.mmio.phys_addr});
        case KVM_EXIT_SHUTDOWN: return fmt::format("triple fault at {:#x}", at);
        case KVM_EXIT_INTERNAL_ERROR:
            return fmt::format("KVM gave up at {:#x}: internal error {}", at,
                               u32{run.internal.suberror});
        case KVM_EXIT_FAIL_ENTRY:
            return fmt::format("the processor refused the guest's state: {:#x}",
                               u64{run.fail_entry.hardware_entry_failure_reason});
        default: return fmt::format("exit {} at {:#x}", u32{run.exit_reason}, at);
    }
}

}  // namespace

KvmGuest::Shared::Shared(const Fd& vcpu, std::size_t bytes) : bytes_(bytes) {
    // Why safe: a new mapping of the processor's own page, unmapped by the destructor.
    void* const at = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, vcpu.get(), 0);
    at_ = at == MAP_FAILED ? nullptr : static_cast<kvm_run*>(at);
}

KvmGuest::Shared::~Shared() {
    if (at_ != nullptr) {
        // Why safe: mapped by the constructor, and nobody else's.
        (void)::munmap(at_, bytes_);
    }
}

Result<KvmGuest> KvmGuest::create(std::span<std::byte> memory, Mode mode) {
    if (memory.size() > memory_bytes_max) {
        return fail(ErrorKind::invalid_argument, 0, "a guest of this kind has 1022 MiB at most");
    }
    install_kick();
    KvmGuest guest;
    guest.runner_ = std::make_unique<Runner>();
    if (Result<void> made = guest.make_machine(memory); !made) {
        return pass(made);
    }
    if (Result<void> made = guest.make_processor(mode); !made) {
        return pass(made);
    }
    guest.set_registers({});
    return guest;
}

Result<void> KvmGuest::make_machine(std::span<std::byte> memory) {
    constexpr u64 intels_pages = 0xfffb'd000;  // three, where no test has memory
    constexpr u64 usable = 0x67;  // present, writable, unprivileged, accessed and dirty already
    constexpr u64 large = 0x80;
    Result<Fd> kvm = open_kvm();
    if (!kvm) {
        return pass(kvm);
    }
    kvm_ = std::move(*kvm);
    // Why safe: makes a virtual machine, which ends with its descriptor.
    vm_ = Fd(::ioctl(kvm_.get(), KVM_CREATE_VM, 0));
    if (!vm_.valid()) {
        return fail(ErrorKind::unsupported, errno, "this KVM makes no virtual machine: {}",
                    std::strerror(errno));
    }
    // Intel's processors without "unrestricted guest" emulate what has no paging with these pages.
    // Why safe: asks; then, a virtual machine of our own that has no memory there.
    if (::ioctl(kvm_.get(), KVM_CHECK_EXTENSION, KVM_CAP_SET_TSS_ADDR) > 0 &&
        ::ioctl(vm_.get(), KVM_SET_TSS_ADDR, intels_pages) != 0) {
        return refused("KVM_SET_TSS_ADDR");
    }
    tables_ = std::make_unique<PageTables>();
    tables_->entries[0][0] = (tables_at + page_size) | usable;
    tables_->entries[1][0] = (tables_at + 2 * page_size) | usable;
    for (u64 i = 0; i < 512; ++i) {
        tables_->entries[2][i] = (i << 21) | usable | large;
    }
    if (Result<void> given = give_memory(vm_, 0, 0, memory.data(), memory.size()); !given) {
        return given;
    }
    return give_memory(vm_, 1, tables_at, tables_.get(), sizeof(PageTables));
}

Result<void> KvmGuest::make_processor(Mode mode) {
    // Why safe: makes a processor in a virtual machine of our own; it ends with its descriptor.
    vcpu_ = Fd(::ioctl(vm_.get(), KVM_CREATE_VCPU, 0));
    if (!vcpu_.valid()) {
        return refused("KVM_CREATE_VCPU");
    }
    // Why safe: asks, changes nothing.
    const int shared_bytes = ::ioctl(kvm_.get(), KVM_GET_VCPU_MMAP_SIZE, 0);
    if (shared_bytes < static_cast<int>(sizeof(kvm_run))) {
        return refused("KVM_GET_VCPU_MMAP_SIZE");
    }
    shared_ = std::make_unique<Shared>(vcpu_, static_cast<std::size_t>(shared_bytes));
    if (!shared_->valid()) {
        return refused("the processor's page");
    }
    kvm_sregs system{};
    // Why safe: fills the structure it is given.
    if (::ioctl(vcpu_.get(), KVM_GET_SREGS, &system) != 0) {
        return refused("KVM_GET_SREGS");
    }
    set_mode(system, mode);
    // Why safe: a processor of our own that does not run.
    if (::ioctl(vcpu_.get(), KVM_SET_SREGS, &system) != 0) {
        return refused("KVM_SET_SREGS");
    }
    return {};
}

bool KvmGuest::is_stopping() const {
    const std::lock_guard lock(runner_->guard);
    return runner_->stopping;
}

/// A store that KVM has asked about is done, and its instruction left behind, when KVM is entered
/// again. immediate_exit has it return before the next one.
void KvmGuest::finish_store() {
    const std::lock_guard lock(runner_->guard);
    std::atomic_ref<u8>((*shared_)->immediate_exit).store(1);
    // Why safe: ends at once, with EINTR.
    (void)::ioctl(vcpu_.get(), KVM_RUN, 0);
    std::atomic_ref<u8>((*shared_)->immediate_exit).store(0);
}

Result<KvmGuest::End> KvmGuest::run() {
    {
        const std::lock_guard lock(runner_->guard);
        runner_->thread = ::pthread_self();
        runner_->running = true;
    }
    int result = 0;
    int error = 0;
    do {  // again if a signal was somebody else's
        // Why safe: runs code of the test's own, which reaches the memory it was given and no more.
        result = ::ioctl(vcpu_.get(), KVM_RUN, 0);
        error = errno;
    } while (result != 0 && error == EINTR && !is_stopping());
    {
        const std::lock_guard lock(runner_->guard);
        runner_->running = false;
        runner_->stopping = false;
        std::atomic_ref<u8>((*shared_)->immediate_exit).store(0);
    }
    if (result != 0) {
        return error == EINTR ? Result<End>(End::stopped)
                              : fail(ErrorKind::system, error, "KVM_RUN: {}", std::strerror(error));
    }
    if ((*shared_)->exit_reason == KVM_EXIT_MMIO && (*shared_)->mmio.phys_addr == door) {
        finish_store();
        return End::finished;
    }
    return fail(ErrorKind::system, 0, "{}", exit_text(**shared_, registers().rip));
}

void KvmGuest::stop() {
    const std::lock_guard lock(runner_->guard);
    runner_->stopping = true;
    // First the word that KVM looks at before it enters the guest, then what gets it out of there.
    std::atomic_ref<u8>((*shared_)->immediate_exit).store(1);
    if (runner_->running) {
        (void)::pthread_kill(runner_->thread, kick);
    }
}

kvm_regs KvmGuest::registers() const {
    kvm_regs registers{};
    // Why safe: fills the structure it is given.
    const int result = ::ioctl(vcpu_.get(), KVM_GET_REGS, &registers);
    VERSO_CHECK(result == 0, "KVM_GET_REGS: errno {}", errno);
    return registers;
}

void KvmGuest::set_registers(const kvm_regs& registers) {
    constexpr u64 always = 0x2;
    kvm_regs set = registers;
    set.rflags |= always;
    // Why safe: a processor of our own that does not run.
    const int result = ::ioctl(vcpu_.get(), KVM_SET_REGS, &set);
    VERSO_CHECK(result == 0, "KVM_SET_REGS: errno {}", errno);
}

std::optional<u64> KvmGuest::counter(const std::string& name) const {
    // The header's structure ends in an array without a size, which in C++ is not nothing.
    constexpr std::size_t before_name = offsetof(kvm_stats_desc, bucket_size) + sizeof(u32);
    // Why safe: makes a descriptor that can only be read.
    const Fd stats(::ioctl(vcpu_.get(), KVM_GET_STATS_FD, 0));
    const auto read_at = [&stats](void* to, std::size_t bytes, u64 offset) {
        // Why safe: reads into a structure of ours.
        return ::pread(stats.get(), to, bytes, static_cast<off_t>(offset)) ==
               static_cast<ssize_t>(bytes);
    };
    kvm_stats_header header{};
    if (!stats.valid() || !read_at(&header, sizeof header, 0)) {
        return std::nullopt;
    }
    std::vector<char> each(before_name + header.name_size + 1);  // a zero at the end
    for (u32 i = 0; i < header.num_desc; ++i) {
        if (!read_at(each.data(), each.size() - 1, header.desc_offset + i * (each.size() - 1))) {
            return std::nullopt;
        }
        if (name == each.data() + before_name) {
            u32 offset = 0;
            u64 value = 0;
            std::memcpy(&offset, each.data() + offsetof(kvm_stats_desc, offset), sizeof offset);
            return read_at(&value, sizeof value, header.data_offset + u64{offset})
                       ? std::optional<u64>(value)
                       : std::nullopt;
        }
    }
    return std::nullopt;
}

}  // namespace verso::test
