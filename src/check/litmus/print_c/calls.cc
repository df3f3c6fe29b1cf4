// Single calls and accesses, in C.
#include "check/litmus/print_c/pieces.h"

namespace verso::check::print_c {

const std::vector<Piece>& call_pieces() {
    static const std::vector<Piece> pieces = {
        {"unit length first second", R"c(
static unsigned long unit, length, first, second; /* of a page; of an area; the two areas */
)c"},
        {"huge_page find_huge_page", R"c(
static unsigned long huge_page;

static unsigned long find_huge_page(void)
{
    unsigned long bytes = 2UL << 20;
    FILE *const told = fopen("/sys/kernel/mm/transparent_hugepage/hpage_pmd_size", "r");
    if (told != NULL) {
        if (fscanf(told, "%lu", &bytes) != 1)
            bytes = 2UL << 20;
        fclose(told);
    }
    return bytes;
}
)c"},
        {"source", R"c(
static unsigned long source; /* what UFFDIO_COPY copies from */
static int source_is_mapped;
)c"},
        {"file", R"c(
static int file = -1;
)c"},
        {"pinned", R"c(
static int pinned = -1;
)c"},
        {"answer", R"c(
struct answer {
    char word[256]; /* what came of it */
    long value;
    int failed; /* it cannot be done here; the word says why */
};
)c"},
        {"cannot", R"c(
static void cannot(struct answer *a, const char *what)
{
    a->failed = 1;
    snprintf(a->word, sizeof a->word, "%s%s%s", what, errno != 0 ? ": " : "",
             errno != 0 ? strerror(errno) : "");
}
)c"},
        {"result", R"c(
static void result(struct answer *a, long returned)
{
    snprintf(a->word, sizeof a->word, "%s", returned < 0 ? strerrorname_np(errno) : "done");
}
)c"},
        {"touch on_signal", R"c(
/* An access whose signal is its outcome. */
static __thread sigjmp_buf back;
static __thread volatile sig_atomic_t trying, caught;

static void on_signal(int number)
{
    if (!trying) {
        signal(number, SIG_DFL); /* not one of ours: it repeats and ends the process */
        return;
    }
    caught = number;
    siglongjmp(back, 1);
}

__attribute__((noinline)) static int touch(unsigned long at, uint64_t *value, int write)
{
    if (sigsetjmp(back, 1) != 0) {
        trying = 0;
        return caught;
    }
    trying = 1;
    if (write)
        *(volatile uint64_t *)at = *value;
    else
        *value = *(volatile uint64_t *)at;
    trying = 0;
    return 0;
}
)c"},
        {"load", R"c(
static void load(struct answer *a, unsigned long at)
{
    uint64_t value = 0;
    const int number = touch(at, &value, 0);
    if (number != 0)
        snprintf(a->word, sizeof a->word, "%s", number == SIGBUS ? "SIGBUS" : "SIGSEGV");
    else
        snprintf(a->word, sizeof a->word, "= %llu", (unsigned long long)value);
}
)c"},
        {"store", R"c(
static void store(struct answer *a, unsigned long at, uint64_t value)
{
    const int number = touch(at, &value, 1);
    snprintf(a->word, sizeof a->word, "%s",
             number == 0 ? "done" : number == SIGBUS ? "SIGBUS" : "SIGSEGV");
}
)c"},
        {"read_by_kernel", R"c(
static void read_by_kernel(struct answer *a, unsigned long at)
{
    uint64_t value = 0;
    const struct iovec ours = {&value, sizeof value}, there = {(void *)at, sizeof value};
    const ssize_t copied = process_vm_readv(getpid(), &ours, 1, &there, 1, 0);
    if (copied < 0)
        result(a, copied);
    else
        snprintf(a->word, sizeof a->word, "= %llu", (unsigned long long)value);
}
)c"},
        {"write_by_kernel", R"c(
static void write_by_kernel(struct answer *a, unsigned long at, uint64_t value)
{
    const struct iovec ours = {&value, sizeof value}, there = {(void *)at, sizeof value};
    result(a, process_vm_writev(getpid(), &ours, 1, &there, 1, 0));
}
)c"},
        {"write_by_force", R"c(
/* Past the permissions of the mapping. */
static void write_by_force(struct answer *a, unsigned long at, uint64_t value)
{
    const int memory = open("/proc/self/mem", O_RDWR | O_CLOEXEC);
    result(a, memory < 0 ? -1 : pwrite(memory, &value, sizeof value, (off_t)at));
    close(memory);
}
)c"},
        {"write_file", R"c(
static void write_file(struct answer *a, unsigned long offset, uint64_t value)
{
    result(a, pwrite(file, &value, sizeof value, (off_t)offset));
}
)c"},
        {"pin", R"c(
/* As for a device that writes: a buffer that is registered with an io_uring. */
static void pin(struct answer *a, unsigned long at)
{
    struct io_uring_params params = {0};
    const int ring = (int)syscall(SYS_io_uring_setup, 1U, &params);
    struct iovec buffer = {(void *)at, 4096};
    if (ring < 0 ||
        syscall(SYS_io_uring_register, ring, IORING_REGISTER_BUFFERS, &buffer, 1) != 0) {
        result(a, -1);
        close(ring);
        return;
    }
    pinned = ring;
    result(a, 0);
}
)c"},
        {"unpin", R"c(
/* Taken back first: the kernel ends a ring later than close() returns. */
static void unpin(struct answer *a)
{
    syscall(SYS_io_uring_register, pinned, IORING_UNREGISTER_BUFFERS, NULL, 0);
    result(a, close(pinned));
}
)c"},
        {"forbid_huge_pages", R"c(
static void forbid_huge_pages(struct answer *a, unsigned long at, unsigned long bytes)
{
    const int returned = madvise((void *)at, bytes, MADV_NOHUGEPAGE);
    result(a, returned != 0 && errno == EINVAL ? 0 : returned); /* built without: none to forbid */
}
)c"},
        {"forget_soft_dirty", R"c(
static void forget_soft_dirty(struct answer *a)
{
    const int refs = open("/proc/self/clear_refs", O_WRONLY | O_CLOEXEC);
    result(a, refs < 0 ? -1 : write(refs, "4", 1));
    close(refs);
}
)c"},
        {"scan", R"c(
/* PAGEMAP_SCAN of 6.7; `blind`: without a vector; `one`: one page is enough. */
static void scan(struct answer *a, unsigned long at, unsigned long bytes, uint64_t flags,
                 uint64_t mask, uint64_t inverted, int blind, int one)
{
    struct page_region region[64];
    struct pm_scan_arg s = {.size = sizeof s, .flags = flags, .start = at, .end = at + bytes,
                            .vec = blind ? 0 : (uintptr_t)region, .vec_len = blind ? 0 : 64,
                            .max_pages = one ? 1 : 0, .category_inverted = inverted,
                            .category_mask = mask, .return_mask = 2 /* written */};
    const int pagemap = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
    const int found = ioctl(pagemap, PAGEMAP_SCAN, &s);
    unsigned long sum = 0;
    char until[40] = "";
    if (found < 0) {
        result(a, found);
        close(pagemap);
        return;
    }
    close(pagemap);
    for (int i = 0; i < found && !blind; ++i)
        sum += region[i].end - region[i].start;
    if (one && s.walk_end == at + bytes)
        snprintf(until, sizeof until, " to the end");
    else if (one)
        snprintf(until, sizeof until, " to %lu", (unsigned long)(s.walk_end - at) / unit);
    if (blind)
        snprintf(a->word, sizeof a->word, "done%s", until);
    else if (IS_HUGE && sum == bytes)
        snprintf(a->word, sizeof a->word, "= all%s", until);
    else
        snprintf(a->word, sizeof a->word, "= %lu%s", sum / unit, until);
}
)c"},
    };
    return pieces;
}

}  // namespace verso::check::print_c
