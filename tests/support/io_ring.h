// The smallest io_uring: one entry, submitted and waited for by the same call. (No library: three
// system calls and three mappings.) What it delivers may be pinned memory or an address.
#pragma once

#include <atomic>
#include <cerrno>
#include <cstddef>
#include <span>

#include <linux/io_uring.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/base.h"

namespace verso::test {

class Ring {
public:
    Ring() {
        io_uring_params params{};
        // Why safe: makes a ring, which ends with its descriptor.
        fd_ = Fd(static_cast<int>(::syscall(SYS_io_uring_setup, 1U, &params)));
        if (!fd_.valid()) {
            return;
        }
        tail_offset_ = params.sq_off.tail;
        array_offset_ = params.sq_off.array;
        head_offset_ = params.cq_off.head;
        cqes_offset_ = params.cq_off.cqes;
        cq_mask_offset_ = params.cq_off.ring_mask;
        submit_ = map(params.sq_off.array + params.sq_entries * sizeof(u32), IORING_OFF_SQ_RING);
        complete_ =
            map(params.cq_off.cqes + params.cq_entries * sizeof(io_uring_cqe), IORING_OFF_CQ_RING);
        entries_ = map(params.sq_entries * sizeof(io_uring_sqe), IORING_OFF_SQES);
    }
    Ring(const Ring&) = delete;
    Ring& operator=(const Ring&) = delete;
    ~Ring() {
        for (const std::span<std::byte> each : {submit_, complete_, entries_}) {
            // Why safe: mapped by the constructor, or nothing at all.
            (void)::munmap(each.data(), each.size());
        }
    }
    bool had() const { return fd_.valid(); }
    /// Pins the buffer for as long as the ring lives.
    bool register_buffer(std::span<std::byte> buffer) const {
        const iovec part{buffer.data(), buffer.size()};
        // Why safe: the caller's bytes, which only read() below has written.
        return ::syscall(SYS_io_uring_register, fd_.get(), IORING_REGISTER_BUFFERS, &part, 1) == 0;
    }
    /// Reads the beginning of a file into the buffer; by the pin, or by its address.
    int read(int file, std::span<std::byte> buffer, bool fixed) const {
        auto* const entry = reinterpret_cast<io_uring_sqe*>(entries_.data());
        *entry = {};
        entry->opcode = fixed ? IORING_OP_READ_FIXED : IORING_OP_READ;
        entry->fd = file;
        entry->addr = reinterpret_cast<u64>(buffer.data());
        entry->len = static_cast<u32>(buffer.size());
        at<u32>(submit_, array_offset_) = 0;
        std::atomic_ref<u32>(at<u32>(submit_, tail_offset_)).fetch_add(1);
        // Why safe: writes to the caller's bytes, and has done so when it returns.
        if (::syscall(SYS_io_uring_enter, fd_.get(), 1U, 1U, IORING_ENTER_GETEVENTS, nullptr, 0) !=
            1) {
            return -errno;
        }
        const std::atomic_ref<u32> head(at<u32>(complete_, head_offset_));
        const u64 index = head.fetch_add(1) & at<u32>(complete_, cq_mask_offset_);
        return at<io_uring_cqe>(complete_, cqes_offset_ + index * sizeof(io_uring_cqe)).res;
    }

private:
    std::span<std::byte> map(std::size_t bytes, u64 offset) const {
        // Why safe: a new mapping of the ring's own.
        void* const at = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE,
                                fd_.get(), static_cast<off_t>(offset));
        VERSO_CHECK(at != MAP_FAILED, "a ring that cannot be mapped: errno {}", errno);
        return {static_cast<std::byte*>(at), bytes};
    }
    template <class T>
    static T& at(std::span<std::byte> ring, u64 offset) {
        return *reinterpret_cast<T*>(ring.data() + offset);
    }

    Fd fd_;
    std::span<std::byte> submit_;
    std::span<std::byte> complete_;
    std::span<std::byte> entries_;
    u64 tail_offset_ = 0;
    u64 array_offset_ = 0;
    u64 head_offset_ = 0;
    u64 cqes_offset_ = 0;
    u64 cq_mask_offset_ = 0;
};

inline constexpr const char* no_ring =
    "io_uring is not to be had here (kernel.io_uring_disabled, or a filter)";

}  // namespace verso::test
