// A virtual machine of one processor whose whole memory is bytes that the caller has: the smallest
// user of /dev/kvm that can run code over a region. No firmware, no devices, no operating system:
//
//   guest-physical 0 ────────────────── size      door          1 GiB
//        │ the caller's bytes                      │ nothing:    │ page tables of the long mode,
//        │ page 0: code (guest_code.h)             │ the end     │ the guest's own: not tested
//
// An address is an offset into the bytes, in both modes. A program ends with a store to the door,
// where there is no memory, so that KVM must ask (OUT needs privileges, HLT more of them); or it is
// stopped from another thread wherever it is. Its registers can then be read and given to another
// guest, which goes on from there over a fork of the memory.
#pragma once

#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>

#include <linux/kvm.h>
#include <pthread.h>

#include "base/base.h"

namespace verso::test {

class KvmGuest {
public:
    /// The same programs run in both. KVM need not: one that lacks the processor's virtualisation
    /// (PVM, which has page tables only) lets the long mode's unprivileged code run, its stores
    /// checked by KVM's own page tables, and emulates the rest, instruction by instruction, where a
    /// store is a copy by the kernel. counter() tells which it was.
    enum class Mode {
        protected_32,  // privileged, no paging
        long_64,       // unprivileged, paging
    };
    enum class End { finished, stopped };
    static constexpr u64 door = 0x3fe0'0000;  // 2 MiB below 1 GiB
    static constexpr u64 memory_bytes_max = door;

    /// ErrorKind::unsupported: there is no /dev/kvm here, or it lacks what this needs. The bytes
    /// are borrowed and must outlive the guest.
    static Result<KvmGuest> create(std::span<std::byte> memory, Mode mode);
    KvmGuest(KvmGuest&&) noexcept = default;
    KvmGuest& operator=(KvmGuest&&) noexcept = default;
    ~KvmGuest() = default;

    /// Runs on the calling thread until the program ends, or stop() is called. Whatever else ends
    /// it (an address outside of its memory, an instruction that does not exist) is an error.
    Result<End> run();
    /// From any thread: run() returns once the processor is between two instructions. If it is not
    /// running, the next run() returns at once.
    void stop();

    /// Of a guest that does not run. A new one has zeroes: it begins at address 0.
    kvm_regs registers() const;
    void set_registers(const kvm_regs& registers);

    /// One of KVM's own counters of this processor (KVM_GET_STATS_FD, Linux 5.14), such as
    /// "pf_fixed"; nothing where it has none of that name.
    std::optional<u64> counter(const std::string& name) const;

private:
    /// What KVM and the caller say to each other: a page or a few, shared with the kernel.
    class Shared {
    public:
        Shared(const Fd& vcpu, std::size_t bytes);
        ~Shared();
        Shared(const Shared&) = delete;
        Shared& operator=(const Shared&) = delete;
        bool valid() const { return at_ != nullptr; }
        kvm_run& operator*() const { return *at_; }
        kvm_run* operator->() const { return at_; }

    private:
        kvm_run* at_ = nullptr;
        std::size_t bytes_;
    };
    /// Who runs it, for stop(); where moves of the guest do not move it.
    struct Runner {
        std::mutex guard;  // of all below, and of Shared's immediate_exit
        bool stopping = false;
        bool running = false;
        pthread_t thread{};  // while running
    };
    /// Addresses are offsets: one table of each level, the lowest of 2 MiB pages.
    struct alignas(page_size) PageTables {
        u64 entries[3][512];
    };

    KvmGuest() = default;
    Result<void> make_machine(std::span<std::byte> memory);
    Result<void> make_processor(Mode mode);
    bool is_stopping() const;
    void finish_store();

    Fd kvm_;
    std::unique_ptr<PageTables> tables_;
    Fd vm_;
    Fd vcpu_;
    std::unique_ptr<Shared> shared_;
    std::unique_ptr<Runner> runner_;
};

}  // namespace verso::test
