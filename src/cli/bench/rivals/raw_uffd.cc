// Sync write-protection as one would write it for nothing else: register, protect, read, copy,
// release.
#include "cli/bench/rivals/raw_uffd.h"

#include <cerrno>
#include <cstring>

#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "abi/userfaultfd.h"
#include "base/check.h"

namespace verso::cli::bench {

Result<RawUffd> RawUffd::open(bool async) {
    // Why safe: makes a new descriptor and touches nothing else.
    Fd fd(static_cast<int>(syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK)));
    if (!fd.valid()) {
        const bool lacking = errno == EPERM || errno == ENOSYS;
        return fail(lacking ? ErrorKind::unsupported : ErrorKind::system, errno,
                    "the raw rival needs userfaultfd ({}); run as root", std::strerror(errno));
    }
    abi::UffdApi api{};
    api.api = abi::uffd_api_version;
    api.features = abi::Feature::pagefault_flag_wp | abi::Feature::wp_hugetlbfs_shmem;
    if (async)
        api.features |= abi::Feature::wp_async | abi::Feature::wp_unpopulated;
    // Why safe: the handshake concerns only the descriptor made above.
    if (ioctl(fd.get(), abi::UffdIoctl::api, &api) != 0) {
        // EINVAL is how the kernel says that it does not know a feature.
        return fail(errno == EINVAL ? ErrorKind::unsupported : ErrorKind::system, errno,
                    "this kernel has no {} write-protection of shared memory ({})",
                    async ? "async" : "sync", std::strerror(errno));
    }
    return RawUffd(std::move(fd));
}

Result<void> RawUffd::register_write_protect(const Mapping& mapping) const {
    abi::UffdRegister request{};
    request.range = {mapping.address(), mapping.size()};
    request.mode = abi::UffdRegisterMode::wp;
    // Why safe: the range is one mapping of ours.
    if (ioctl(fd_.get(), abi::UffdIoctl::register_range, &request) != 0) {
        return fail(ErrorKind::system, errno, "cannot register the raw rival's mapping ({})",
                    std::strerror(errno));
    }
    return {};
}

bool RawUffd::write_protect(u64 address, u64 length, bool on) const {
    abi::UffdWriteProtect request{};
    request.range = {address, length};
    request.mode = on ? abi::UffdWpMode::wp : 0;
    // Why safe: the kernel refuses any range that is not registered with this descriptor.
    return ioctl(fd_.get(), abi::UffdIoctl::write_protect, &request) == 0;
}

Result<RawRegion> RawRegion::create(u64 size, bool async) {
    Result<Memfd> memfd = Memfd::create("verso-bench-raw", size);
    if (!memfd)
        return pass(memfd);
    Result<Mapping> mapping = memfd->map_shared();
    if (!mapping)
        return pass(mapping);
    Result<Mapping> alias = memfd->map_shared();
    if (!alias)
        return pass(alias);
    Result<RawUffd> uffd = RawUffd::open(async);
    if (!uffd)
        return pass(uffd);
    const Result<void> registered = uffd->register_write_protect(*mapping);
    if (!registered)
        return tl::unexpected<Error>(registered.error());
    populate(mapping->bytes());
    read_every_page(alias->bytes());
    return RawRegion{std::move(*memfd), std::move(*mapping), std::move(*alias), std::move(*uffd)};
}

Result<void> RawRegion::protect_all() const {
    if (!uffd.write_protect(mapping.address(), mapping.size(), true)) {
        return fail(ErrorKind::system, errno, "UFFDIO_WRITEPROTECT of the raw rival failed ({})",
                    std::strerror(errno));
    }
    return {};
}

Result<std::unique_ptr<RawHandler>> RawHandler::start(const RawRegion& region, HandlerStyle style) {
    Result<Memfd> frozen = Memfd::create("verso-bench-frozen", region.memfd.size());
    if (!frozen)
        return pass(frozen);
    Result<Mapping> frozen_map = frozen->map_shared();
    if (!frozen_map)
        return pass(frozen_map);
    // Why safe: makes a new descriptor and touches nothing else.
    Fd stop(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    if (!stop.valid()) {
        return fail(ErrorKind::resource, errno, "no eventfd ({})", std::strerror(errno));
    }
    return std::unique_ptr<RawHandler>(
        new RawHandler(region, style, std::move(*frozen), std::move(*frozen_map), std::move(stop)));
}

RawHandler::RawHandler(const RawRegion& region, HandlerStyle style, Memfd frozen,
                       Mapping frozen_map, Fd stop)
    : region_(region),
      style_(style),
      frozen_(std::move(frozen)),
      frozen_map_(std::move(frozen_map)),
      stop_(std::move(stop)),
      thread_([this] { serve(); }) {}

RawHandler::~RawHandler() {
    stopping_.store(true, std::memory_order_release);
    const u64 one = 1;
    // Why safe: an eventfd takes eight bytes; a full counter would wake the reader as well.
    [[maybe_unused]] const ssize_t told = write(stop_.get(), &one, sizeof one);
    thread_.join();
}

bool RawHandler::wait_for_fault() const {
    pollfd both[2] = {{region_.uffd.fd(), POLLIN, 0}, {stop_.get(), POLLIN, 0}};
    // Why safe: waits on two descriptors that live as long as this object.
    poll(both, 2, -1);
    return (both[1].revents & POLLIN) == 0;
}

void RawHandler::serve() {
    constexpr unsigned spins_max = 20'000;  // at ~150 ns an empty read: about 3 ms
    for (unsigned idle = 0; !stopping_.load(std::memory_order_acquire);) {
        abi::UffdMessage message;
        // Why safe: the descriptor never blocks and the buffer holds one message.
        const ssize_t got = read(region_.uffd.fd(), &message, sizeof message);
        if (got == static_cast<ssize_t>(sizeof message)) {
            idle = 0;
            if (message.event == abi::UffdEvent::pagefault)
                resolve(message.second);
            continue;
        }
        if (style_.spin_first && ++idle < spins_max)
            continue;
        idle = 0;
        if (!wait_for_fault())
            return;
    }
}

void RawHandler::resolve(u64 address) {
    const u64 page = to_pages(address - region_.mapping.address());
    if (style_.store_by_mapping) {
        std::memcpy(frozen_map_.page(page), region_.alias.page(page), page_size);
    } else {
        VERSO_CHECK(frozen_.write_page(page, region_.alias.page(page)), "page {}", page);
    }
    const u64 start = region_.mapping.address() + to_bytes(page);
    while (!region_.uffd.write_protect(start, page_size, false)) {
        VERSO_CHECK(errno == EAGAIN, "release of page {}: errno {}", page, errno);
    }
}

}  // namespace verso::cli::bench
