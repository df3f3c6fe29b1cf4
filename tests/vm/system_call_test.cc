// System calls that write to a region by address, as the devices of a virtual machine do: the
// kernel copies (read, recvmsg, io_uring), or takes hold of the pages and has them written
// (process_vm_writev, direct reads). Each meets the protection when it does so, and is caught,
// captured, named and rewound like any store. What is written without a fault is in
// tests/hazards/pinned_pages_test.cc.
#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/backends.h"
#include "support/io_ring.h"
#include "support/needs.h"
#include "vm/kvm_guest_test.h"

namespace verso::test {
namespace {

using Bytes = std::span<const std::byte>;
using Target = std::span<std::byte>;

tl::unexpected<Error> lacking(const char* what) {
    return fail(ErrorKind::unsupported, errno, "{}: {}", what, std::strerror(errno));
}

/// The whole answer of a call that wrote, or why not.
Result<void> whole(ssize_t wrote, Bytes bytes, const char* call) {
    if (wrote == static_cast<ssize_t>(bytes.size())) {
        return {};
    }
    return fail(ErrorKind::system, errno, "{} answered {}: {}", call, wrote, std::strerror(errno));
}

/// A file on disk that has no name any more.
Fd file_in(const std::string& folder, Bytes bytes) {
    std::string name = folder + "/verso-system-call-test-XXXXXX";
    Fd file(::mkostemp(name.data(), O_CLOEXEC));
    if (file.valid()) {
        (void)::unlink(name.c_str());
        // Why safe: a file of the test's own.
        if (::pwrite(file.get(), bytes.data(), bytes.size(), 0) !=
            static_cast<ssize_t>(bytes.size())) {
            file.reset();
        }
    }
    return file;
}

/// How many of its pages the page cache holds.
std::size_t cached_pages(const Fd& file, std::size_t bytes) {
    // Why safe: a mapping of the test's own, unmapped below.
    void* const at = ::mmap(nullptr, bytes, PROT_READ, MAP_SHARED, file.get(), 0);
    std::vector<unsigned char> in_core(to_pages(bytes));
    if (at == MAP_FAILED || ::mincore(at, bytes, in_core.data()) != 0) {
        return in_core.size();
    }
    // Why safe: as above.
    (void)::munmap(at, bytes);
    return static_cast<std::size_t>(
        std::ranges::count_if(in_core, [](unsigned char each) { return (each & 1) != 0; }));
}

Result<void> read_a_pipe(Target to, Bytes bytes) {
    std::array<int, 2> ends{-1, -1};
    if (::pipe2(ends.data(), O_CLOEXEC) != 0) {
        return lacking("no pipe");
    }
    const Fd out(ends[0]);
    const Fd in(ends[1]);
    // Why safe: a pipe has room for 16 pages; then, writes to memory of the test's own.
    if (Result<void> filled = whole(::write(in.get(), bytes.data(), bytes.size()), bytes, "write");
        !filled) {
        return filled;
    }
    return whole(::read(out.get(), to.data(), to.size()), bytes, "read");
}

Result<void> read_a_file(Target to, Bytes bytes) {
    const Fd file = file_in(VERSO_BINARY_DIR, bytes);
    // Why safe: writes to memory of the test's own.
    return file.valid() ? whole(::pread(file.get(), to.data(), to.size(), 0), bytes, "pread")
                        : lacking("no file");
}

/// Past the page cache: the device writes into the region's pages. Whether it did is asked of the
/// page cache, because file systems may do otherwise without a word.
Result<void> read_a_file_directly(Target to, Bytes bytes) {
    for (const char* folder : {VERSO_BINARY_DIR, "/var/tmp"}) {
        const Fd file = file_in(folder, bytes);
        if (!file.valid() || ::fsync(file.get()) != 0 ||
            ::posix_fadvise(file.get(), 0, 0, POSIX_FADV_DONTNEED) != 0 ||
            cached_pages(file, bytes.size()) != 0) {
            continue;
        }
        const std::string again = "/proc/self/fd/" + std::to_string(file.get());
        // Why safe: opens a file of the test's own once more; then, writes to memory of its own.
        const Fd direct(::open(again.c_str(), O_RDONLY | O_DIRECT | O_CLOEXEC));
        if (!direct.valid()) {
            continue;
        }
        Result<void> read =
            whole(::pread(direct.get(), to.data(), to.size(), 0), bytes, "direct pread");
        if (!read || cached_pages(file, bytes.size()) == 0) {
            return read;
        }
    }
    return fail(ErrorKind::unsupported, 0, "no file system here reads past its page cache");
}

Result<void> receive_a_message(Target to, Bytes bytes) {
    std::array<int, 2> ends{-1, -1};
    if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends.data()) != 0) {
        return lacking("no socket");
    }
    const Fd ours(ends[0]);
    const Fd theirs(ends[1]);
    if (Result<void> sent =
            whole(::send(theirs.get(), bytes.data(), bytes.size(), 0), bytes, "send");
        !sent) {
        return sent;
    }
    iovec part{to.data(), to.size()};
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    // Why safe: writes to memory of the test's own.
    return whole(::recvmsg(ours.get(), &message, 0), bytes, "recvmsg");
}

ssize_t copy_into(pid_t process, Target to, Bytes bytes) {
    const iovec from{const_cast<std::byte*>(bytes.data()), bytes.size()};
    const iovec into{to.data(), to.size()};
    // Why safe: reads memory of the test's own, and writes to it.
    return ::process_vm_writev(process, &from, 1, &into, 1, 0);
}

Result<void> write_to_oneself(Target to, Bytes bytes) {
    return whole(copy_into(::getpid(), to, bytes), bytes, "process_vm_writev");
}

Result<void> be_written_by_another(Target to, Bytes bytes) {
    const pid_t child = ::fork();
    if (child == 0) {  // only calls that are safe here, where no other thread is
        const bool done = copy_into(::getppid(), to, bytes) == static_cast<ssize_t>(bytes.size());
        ::_exit(done ? 0 : errno);
    }
    int status = -1;
    if (child < 0 || ::waitpid(child, &status, 0) != child || !WIFEXITED(status)) {
        return fail(ErrorKind::system, errno, "the other process: status {:#x}", status);
    }
    errno = WEXITSTATUS(status);
    if (errno == EPERM) {
        return lacking("another process may not write here (kernel.yama.ptrace_scope)");
    }
    return whole(errno == 0 ? static_cast<ssize_t>(bytes.size()) : -1, bytes, "process_vm_writev");
}

Result<void> read_with_io_uring(Target to, Bytes bytes) {
    const Ring ring;
    if (!ring.had()) {
        return fail(ErrorKind::unsupported, 0, "{}", no_ring);
    }
    const Fd file = file_in(VERSO_BINARY_DIR, bytes);
    const int read = ring.read(file.get(), to, false);
    errno = read < 0 ? -read : 0;
    return whole(read, bytes, "io_uring");
}

struct Way {
    const char* name;
    Result<void> (*write)(Target to, Bytes bytes);
};
void PrintTo(const Way& way, std::ostream* out) { *out << way.name; }

class SystemCall : public testing::TestWithParam<Way> {
protected:
    static constexpr u64 pages = 16;
    static constexpr u64 first = 3;  // what a call writes: some pages in the middle
    static constexpr u64 count = 3;
    static constexpr u64 seed = 9;

    void SetUp() override {
        VERSO_NEEDS_FAULTS_OF_THE_KERNEL();
        alignas(page_size) static std::array<std::byte, to_bytes(count)> plain;
        const std::vector<std::byte> bytes(plain.size(), std::byte{1});
        const Result<void> tried = GetParam().write(plain, bytes);
        VERSO_ASSERT_OK_OR_UNSUPPORTED(tried);
        ASSERT_TRUE(std::ranges::equal(plain, bytes));  // it writes memory that nobody protects
    }
    static Result<Region> region_of(Tracking tracking) {
        Result<Region> region = Region::create({.size = to_bytes(pages), .tracking = tracking});
        if (region) {
            write_all(region->bytes(), seed, 0);
        }
        return region;
    }
    /// The call under test delivers this version of those pages.
    static Result<void> deliver(const Region& region, u64 version) {
        std::vector<std::byte> bytes(to_bytes(count));
        for (u64 i = 0; i < count; ++i) {
            const Page page = page_of(seed, first + i, version);
            std::ranges::copy(page, bytes.begin() + static_cast<std::ptrdiff_t>(to_bytes(i)));
        }
        return GetParam().write(region.bytes().subspan(to_bytes(first), to_bytes(count)), bytes);
    }
    /// Whether those pages have this version, and all others that with which they began.
    static bool holds(std::span<const std::byte> bytes, u64 version) {
        for (u64 page = 0; page < pages; ++page) {
            const bool delivered = page >= first && page < first + count;
            const Page expected = page_of(seed, page, delivered ? version : 0);
            if (!std::ranges::equal(bytes.subspan(to_bytes(page), page_size), expected)) {
                return false;
            }
        }
        return true;
    }
};

TEST_P(SystemCall, WritesAfterASnapshotAndTheSnapshotKeepsTheOldBytes) {
    Result<Region> region = region_of(Tracking::contents);
    VERSO_ASSERT_OK(region);
    VERSO_ASSERT_OK(deliver(*region, 1));
    const Result<Snapshot> moment = region->snapshot();
    VERSO_ASSERT_OK(moment);
    VERSO_ASSERT_OK(deliver(*region, 2));
    EXPECT_EQ(region->stats().pages_captured, count);  // before the snapshot's readers have some
    EXPECT_TRUE(holds(region->bytes(), 2));
    EXPECT_TRUE(holds(*moment->bytes(), 1));
}

TEST_P(SystemCall, WritesExactlyThePagesThatWrittenNames) {
    for (const Tracking tracking : {Tracking::contents, Tracking::pages}) {
        Result<Region> region = region_of(tracking);
        VERSO_ASSERT_OK_OR_UNSUPPORTED(region);
        Mark mark = region->written(Mark{})->mark;
        for (u64 turn = 1; turn <= 3; ++turn) {
            VERSO_ASSERT_OK(deliver(*region, turn));
            const Result<Written> answer = region->written(mark);
            VERSO_ASSERT_OK(answer);
            EXPECT_EQ(answer->ranges, (std::vector<PageRange>{{first, count}}));
            mark = answer->mark;
        }
        EXPECT_TRUE(holds(region->bytes(), 3));
        EXPECT_EQ(region->written(mark)->pages, 0U);
    }
}

TEST_P(SystemCall, IsUndoneByARewind) {
    Result<Region> region = region_of(Tracking::contents);
    VERSO_ASSERT_OK(region);
    const Result<Snapshot> moment = region->snapshot();
    VERSO_ASSERT_OK(moment);
    for (u64 turn = 1; turn <= 3; ++turn) {
        VERSO_ASSERT_OK(deliver(*region, turn));
        EXPECT_TRUE(holds(region->bytes(), turn));
        const Result<RewindReport> report = region->rewind(*moment);
        VERSO_ASSERT_OK(report);
        EXPECT_EQ(report->pages_restored, count);
        EXPECT_TRUE(holds(region->bytes(), 0));
    }
}

TEST_P(SystemCall, WritesTheForkOrItsSourceAndNeverBoth) {
    Result<Region> region = region_of(Tracking::contents);
    VERSO_ASSERT_OK(region);
    const Result<Snapshot> moment = region->snapshot();
    VERSO_ASSERT_OK(moment);
    const Result<Region> read_before = moment->fork();
    VERSO_ASSERT_OK(read_before);
    EXPECT_TRUE(holds(read_before->bytes(), 0));  // it has the source's pages mapped
    const Result<Region> untouched = moment->fork();
    VERSO_ASSERT_OK(untouched);
    VERSO_ASSERT_OK(deliver(*region, 1));
    VERSO_ASSERT_OK(deliver(*untouched, 2));  // to pages that have not arrived yet
    EXPECT_TRUE(holds(region->bytes(), 1));
    EXPECT_TRUE(holds(untouched->bytes(), 2));
    EXPECT_TRUE(holds(read_before->bytes(), 0));
    VERSO_ASSERT_OK(deliver(*read_before, 3));
    EXPECT_TRUE(holds(region->bytes(), 1));
    EXPECT_TRUE(holds(untouched->bytes(), 2));
    EXPECT_TRUE(holds(read_before->bytes(), 3));
    EXPECT_TRUE(holds(*moment->bytes(), 0));
}

INSTANTIATE_TEST_SUITE_P(
    Vm, SystemCall,
    testing::Values(Way{"ReadOfAPipe", read_a_pipe}, Way{"ReadOfAFile", read_a_file},
                    Way{"DirectReadOfAFile", read_a_file_directly},  // O_DIRECT
                    Way{"Recvmsg", receive_a_message},
                    Way{"ProcessVmWritevOfItself", write_to_oneself},
                    Way{"ProcessVmWritevOfAnother", be_written_by_another},
                    Way{"IoUringRead", read_with_io_uring}),
    [](const testing::TestParamInfo<Way>& way) { return std::string(way.param.name); });

}  // namespace
}  // namespace verso::test
