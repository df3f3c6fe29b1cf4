// Files: what linux/file_calls.cc does. The model knows whole pages; the size in bytes is the
// object's.
#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "mm/sim/sim_world.h"

namespace verso::mm::sim {

kernel::Outcome SimKernel::make_file(FileKind kind) {
    const u8 file = memory().make_file(kind, 0);
    return file == nobody ? kernel::failure(ENFILE)
                          : number_for(std::make_shared<FileObject>(memory(), file));
}

kernel::Outcome SimKernel::memfd_create(const kernel::Call& call) {
    constexpr u64 known = kernel::MemfdFlag::huge | 0b1011;  // close on exec, sealing, no exec
    if ((call.aux & ~known) != 0) {
        return kernel::failure(EINVAL);
    }
    return make_file((call.aux & kernel::MemfdFlag::huge) != 0 ? FileKind::hugetlb
                                                               : FileKind::shmem);
}

kernel::Outcome SimKernel::file_size(const kernel::Call& call) {
    const auto file = object<FileObject>(call.fd, ObjectKind::file);
    return file == nullptr ? kernel::failure(EBADF)
                           : kernel::Outcome::done(static_cast<i64>(file->bytes));
}

/// Bytes of the last page beyond the end read zeroes if the file grows again.
void SimKernel::clear_tail(u8 file, u64 bytes) {
    const u64 offset = bytes % page_size;
    const auto index = static_cast<u32>(to_pages(bytes));
    memory().pull(file, index, 1);
    if (offset != 0 && memory().version_of(file, index) != zeroes) {
        const std::vector<std::byte> nothing(page_size - offset);
        (void)write_page(file, index, offset, nothing);
    }
}

kernel::Outcome SimKernel::file_resize(const kernel::Call& call) {
    const auto file = object<FileObject>(call.fd, ObjectKind::file);
    if (file == nullptr) {
        return kernel::failure(EBADF);
    }
    const u64 pages = to_pages(round_up(call.length, page_size));
    constexpr u64 pages_max = u64{1} << 24;  // 64 GiB: a table of the model has an entry for each
    if (static_cast<i64>(call.length) < 0 || pages > pages_max) {
        return kernel::failure(static_cast<i64>(call.length) < 0 ? EINVAL : EFBIG);
    }
    for (;;) {
        const Outcome outcome = memory().resize(file->file, static_cast<u32>(pages), thread());
        if (outcome.verdict == Verdict::disabled) {
            wait_for_a_step();
            continue;
        }
        if (outcome.verdict == Verdict::done) {
            if (call.length < file->bytes) {
                clear_tail(file->file, call.length);
            }
            file->bytes = call.length;
        }
        return answer(outcome);
    }
}

kernel::Outcome SimKernel::file_next_data(const kernel::Call& call) {
    const auto file = object<FileObject>(call.fd, ObjectKind::file);
    if (file == nullptr) {
        return kernel::failure(EBADF);
    }
    const u64 first = to_pages(call.offset);
    const File& of = state().files[file->file];
    memory().pull_data(file->file);
    for (u64 index = first; index < of.size; ++index) {
        const Cached& cached = of.cache[index];
        if (cached.page != no_page || cached.slot != no_slot || cached.disk != zeroes) {
            return kernel::Outcome::done(static_cast<i64>(std::max(call.offset, to_bytes(index))));
        }
    }
    return kernel::Outcome::done(static_cast<i64>(file->bytes));  // ENXIO there
}

kernel::Outcome SimKernel::file_used(const kernel::Call& call) {
    const auto file = object<FileObject>(call.fd, ObjectKind::file);
    if (file == nullptr) {
        return kernel::failure(EBADF);
    }
    memory().pull_data(file->file);
    const auto& cache = state().files[file->file].cache;
    const auto used = std::ranges::count_if(cache, [](const Cached& cached) {
        return cached.page != no_page || cached.slot != no_slot || cached.disk != zeroes;
    });
    return kernel::Outcome::done(static_cast<i64>(to_bytes(static_cast<u64>(used))));
}

/// Whole pages go; of pages at the edges only bytes (shmem_fallocate()).
kernel::Outcome SimKernel::file_punch(const kernel::Call& call) {
    const auto file = object<FileObject>(call.fd, ObjectKind::file);
    if (file == nullptr || call.length == 0) {
        return kernel::failure(file == nullptr ? EBADF : EINVAL);
    }
    const u64 unit = state().files[file->file].kind == FileKind::hugetlb
                         ? to_bytes(state().shape.huge_pages)
                         : page_size;
    const u64 end = call.offset + call.length;
    const u64 first = round_up(call.offset, unit);
    const u64 last = round_down(end, unit);
    if (first < last) {
        const auto index = static_cast<u32>(to_pages(first));
        const auto count = static_cast<u32>(to_pages(last - first));
        memory().pull(file->file, index, count);
        Call punch{.op = Op::punch_hole, .fd = file->file};
        punch.address = first;
        punch.length = last - first;
        const Outcome outcome = run(punch);
        memory().push(file->file, index, count);
        if (outcome.verdict != Verdict::done) {
            return kernel::failure(outcome.error);
        }
    }
    const auto clear = [&](u64 from, u64 to) {
        const auto index = static_cast<u32>(to_pages(from));
        memory().pull(file->file, index, 1);
        if (from < to && memory().version_of(file->file, index) != zeroes) {
            const std::vector<std::byte> nothing(to - from);
            (void)write_page(file->file, index, from % page_size, nothing);
        }
    };
    if (unit == page_size && first > last) {
        clear(call.offset, end);  // within one page
    } else if (unit == page_size) {
        clear(call.offset, first);
        clear(last, end);
    }
    return kernel::Outcome::done();
}

/// shmem_file_read_iter(), filemap_read(): a hole reads zeroes and stays one; what is swapped out
/// comes back. 0 or an errno.
int SimKernel::read_page(u8 file, u32 index, u64 offset, std::span<std::byte> bytes) {
    memory().pull(file, index, 1);
    const Cached cached = state().files[file].cache[index];
    if (cached.slot != no_slot && state().slots[cached.slot].unreadable) {
        return EIO;
    }
    if (cached.slot != no_slot && cache_page(memory().machine(), file, index, true) == no_page) {
        return ENOMEM;
    }
    const PageId page = state().files[file].cache[index].page;
    if (page != no_page && state().pages[page].hwpoison) {
        return EIO;
    }
    const PageSpan all = memory().versions().bytes(memory().version_of(file, index));
    std::memcpy(bytes.data(), all.data() + offset, bytes.size());
    return 0;
}

/// generic_perform_write(): the page is brought in, waited for if it is under way, and dirtied; no
/// mapping's protection is asked. 0 or an errno.
int SimKernel::write_page(u8 file, u32 index, u64 offset, std::span<const std::byte> bytes) {
    for (;;) {
        memory().pull(file, index, 1);
        const PageId page = cache_page(memory().machine(), file, index, true);
        if (page == no_page) {
            return ENOSPC;
        }
        Page& to = state().pages[page];
        if (to.hwpoison) {
            return EIO;
        }
        if (state().pages[head_of(state(), page)].locked) {
            wait_for_a_step();
            continue;
        }
        const Versions::Write write(memory().versions(), offset, bytes);
        to.contents = memory().versions().written(to.contents, write.number());
        to.dirty = true;
        memory().push(file, index, 1);
        memory().note_write(file, index, to.contents);
        return 0;
    }
}

kernel::Outcome SimKernel::file_read(const kernel::Call& call, const kernel::Payload& payload) {
    VERSO_CHECK(call.length <= payload.out.size(), "{} bytes into {}", call.length,
                payload.out.size());
    const auto file = object<FileObject>(call.fd, ObjectKind::file);
    if (file == nullptr) {
        return kernel::failure(EBADF);
    }
    const u64 end = std::min(file->bytes, call.offset + call.length);
    u64 at = call.offset;
    while (at < end) {
        const u64 part = std::min(end - at, page_size - at % page_size);
        const int error = read_page(file->file, static_cast<u32>(to_pages(at)), at % page_size,
                                    payload.out.subspan(at - call.offset, part));
        if (error != 0) {
            return kernel::failure(error);
        }
        at += part;
    }
    return kernel::Outcome::done(at > call.offset ? static_cast<i64>(at - call.offset) : 0);
}

kernel::Outcome SimKernel::file_write(const kernel::Call& call, const kernel::Payload& payload) {
    VERSO_CHECK(call.length <= payload.in.size(), "{} bytes from {}", call.length,
                payload.in.size());
    const auto file = object<FileObject>(call.fd, ObjectKind::file);
    if (file == nullptr || state().files[file->file].kind == FileKind::hugetlb) {
        return kernel::failure(file == nullptr ? EBADF : EINVAL);
    }
    const u64 end = call.offset + call.length;
    if (end > file->bytes) {
        const auto grown = file_resize(kernel::Call::file_resize(call.fd, end));
        if (!grown.ok()) {
            return grown;
        }
    }
    std::array<std::byte, page_size> buffer;
    for (u64 at = call.offset; at < end;) {
        const u64 part = std::min(end - at, page_size - at % page_size);
        std::span<const std::byte> from = payload.in.subspan(at - call.offset, part);
        const auto address = reinterpret_cast<u64>(from.data());  // NOLINT
        if (memory().in_window(space(), address)) {  // memory of the process: copy_from_user()
            u64 through = 0;
            const auto to = std::span(buffer).first(part);
            if (touch_all(Op::gup_read, address, to, false, through)) {
                return at > call.offset ? kernel::Outcome::done(static_cast<i64>(at - call.offset))
                                        : kernel::failure(EFAULT);
            }
            from = to;
        }
        const int error =
            write_page(file->file, static_cast<u32>(to_pages(at)), at % page_size, from);
        if (error != 0) {
            return kernel::failure(error);
        }
        at += part;
    }
    return kernel::Outcome::done(static_cast<i64>(call.length));
}

}  // namespace verso::mm::sim
