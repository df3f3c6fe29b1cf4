// What the kernel does on its own account, provoked, in C. As in linux/world: what is said to have
// acted was seen in page tables and frames.
#include "check/litmus/print_c/pieces.h"

namespace verso::check::print_c {

const std::vector<Piece>& trigger_pieces() {
    static const std::vector<Piece> pieces = {
        {"is_present", R"c(
/* Entries of the page table, and the frames behind them. */
static int is_present(uint64_t entry)
{
    return entry >> 63 != 0;
}
)c"},
        {"count_entries", R"c(
static int count_entries(pid_t process, unsigned long at, unsigned long bytes,
                         int (*is)(uint64_t entry))
{
    char path[64];
    uint64_t entry;
    int count = 0;
    snprintf(path, sizeof path, "/proc/%d/pagemap", (int)process);
    const int pagemap = open(path, O_RDONLY | O_CLOEXEC);
    for (unsigned long page = at / 4096; page < (at + bytes) / 4096; ++page)
        if (pread(pagemap, &entry, sizeof entry, (off_t)page * 8) == sizeof entry)
            count += is(entry);
    close(pagemap);
    return count;
}
)c"},
        {"is_soft_dirty", R"c(
static int is_soft_dirty(uint64_t entry)
{
    return entry >> 55 & 1;
}
)c"},
        {"frame_has", R"c(
static int frame_has(uint64_t entry, int flag)
{
    uint64_t flags = 0;
    const int all = open("/proc/kpageflags", O_RDONLY | O_CLOEXEC);
    if (!is_present(entry) ||
        pread(all, &flags, sizeof flags, (off_t)(entry & ((1UL << 55) - 1)) * 8) != sizeof flags)
        flags = 0;
    close(all);
    return flags >> flag & 1;
}
)c"},
        {"merged", R"c(
static int merged(uint64_t entry)
{
    return frame_has(entry, 21);
}
)c"},
        {"dirty_frame", R"c(
static int dirty_frame(uint64_t entry)
{
    return frame_has(entry, 4);
}
)c"},
        {"in_swap", R"c(
static int in_swap(uint64_t entry)
{
    return (entry >> 62 & 1) != 0 && (entry & 31) <= 22; /* above: migration, poison, markers */
}
)c"},
        {"huge_bytes", R"c(
static unsigned long huge_bytes(unsigned long at, unsigned long bytes)
{
    struct page_region region[64];
    struct pm_scan_arg s = {.size = sizeof s, .start = at, .end = at + bytes,
                            .vec = (uintptr_t)region, .vec_len = 64,
                            .category_mask = 64, .return_mask = 64};
    const int pagemap = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
    const int found = ioctl(pagemap, PAGEMAP_SCAN, &s);
    unsigned long sum = 0;
    for (int i = 0; i < found; ++i)
        sum += region[i].end - region[i].start;
    close(pagemap);
    return sum;
}
)c"},
        {"acted", R"c(
static void acted(struct answer *a, int truly, const char *else_why)
{
    errno = 0;
    if (truly)
        result(a, 0);
    else
        cannot(a, else_why);
}
)c"},
        {"reclaim", R"c(
static void reclaim(struct answer *a, unsigned long at, unsigned long bytes)
{
    if (count_entries(getpid(), at, bytes, is_present) == 0)
        return acted(a, 0, "reclaim: no page of the range is in memory");
    for (int tries = 0; tries < 20; ++tries) {
        if (tries == 3) /* empties other processors' lists of pages that were just used */
            write_text("/proc/sys/vm/compact_memory", "1");
        if (madvise((void *)at, bytes, MADV_PAGEOUT) != 0 ||
            count_entries(getpid(), at, bytes, is_present) == 0)
            break;
        usleep(1000);
    }
    acted(a, count_entries(getpid(), at, bytes, is_present) == 0,
          "reclaim: pages stayed in memory: shared, pinned, locked, or there is no swap");
}
)c"},
        {"leave_swap", R"c(
/* The file is switched on again afterwards, empty. */
static void leave_swap(struct answer *a, pid_t process, unsigned long at, unsigned long bytes)
{
    if (count_entries(process, at, bytes, in_swap) == 0)
        return acted(a, 0, "swapoff: no page of the range is in swap");
    const int off = swapoff(swap_path);
    const int left = count_entries(process, at, bytes, in_swap);
    acted(a, off == 0 && left == 0 && swap_on() == 0, "swapoff: pages are still in swap");
}
)c"},
        {"migrate", R"c(
/* mbind() with no policy and no nodes: every page is on a node that is not among "none", so it is
   queued, and the default policy finds it a new frame, on the same node. */
static void migrate(struct answer *a, unsigned long at, unsigned long bytes)
{
    uint64_t before, after;
    int stayed = 0;
    const int there = count_entries(getpid(), at, bytes, is_present);
    const int pagemap = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
    static uint64_t entries[2048];
    const size_t size = bytes / 4096 * 8;
    if (there == 0 || size > sizeof entries)
        return acted(a, 0, "migrate: no page of the range is in memory");
    if (pread(pagemap, entries, size, (off_t)(at / 4096 * 8)) != (ssize_t)size ||
        syscall(SYS_mbind, at, bytes, 0, NULL, 0UL, 2 | 4) != 0)
        return cannot(a, "migrate: mbind");
    for (size_t i = 0; i < size / 8; ++i) {
        before = entries[i];
        if (pread(pagemap, &after, 8, (off_t)(at / 4096 + i) * 8) == 8)
            stayed += is_present(before) && is_present(after) &&
                      ((before ^ after) & ((1UL << 55) - 1)) == 0;
    }
    close(pagemap);
    acted(a, stayed == 0, "migrate: pages stayed in their frames: pinned, or no frame was free");
}
)c"},
        {"number_after", R"c(
static long number_after(const char *path, const char *name)
{
    char text[256];
    long number = 0;
    FILE *const lines = fopen(path, "r");
    while (lines != NULL && fgets(text, sizeof text, lines) != NULL)
        if (strncmp(text, name, strlen(name)) == 0)
            number = atol(text + strlen(name) + strspn(text + strlen(name), " :\t"));
    if (lines != NULL)
        fclose(lines);
    return number;
}
)c"},
        {"spin", R"c(
static long clock_ms(clockid_t which)
{
    struct timespec now;
    clock_gettime(which, &now);
    return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* So much of the processor's time, or what can be had of it in two seconds. */
static void spin(long ms)
{
    const long used = clock_ms(CLOCK_THREAD_CPUTIME_ID) + ms;
    const long late = clock_ms(CLOCK_MONOTONIC) + 2000;
    while (clock_ms(CLOCK_THREAD_CPUTIME_ID) < used && clock_ms(CLOCK_MONOTONIC) < late) {
    }
}
)c"},
        {"hint", R"c(
static void *idle(void *unused)
{
    for (;;)
        pause();
    return unused;
}

/* The NUMA balancer walks the memory of a process that has used the processor for a second and has
   more than one thread; later walks pass over what nobody accessed lately, until as many have
   passed as there are threads. */
static void hint(struct answer *a, unsigned long at, unsigned long bytes)
{
    static const char walks[] = "mm->numa_scan_seq", hints[] = "numa_pte_updates";
    static pthread_t further;
    const int wanted = count_entries(getpid(), at, bytes, is_present);
    const long walks_before = number_after("/proc/self/sched", walks);
    const long hints_before = number_after("/proc/vmstat", hints);
    if (wanted == 0)
        return acted(a, 0, "hint: no page of the range is in memory");
    if (further == 0 && (errno = pthread_create(&further, NULL, idle, NULL)) != 0)
        return cannot(a, "a further thread");
    for (int portions = 0; portions < 160; ++portions) {
        spin(50);
        const long threads = number_after("/proc/self/status", "Threads");
        const long enough = walks_before == 0 ? 1 : walks_before + threads + 2;
        if (number_after("/proc/self/sched", walks) >= enough &&
            number_after("/proc/vmstat", hints) >= hints_before + wanted)
            return result(a, 0);
    }
    acted(a, 0, "hint: the balancer did not walk all memory in eight seconds");
}
)c"},
        {"merge", R"c(
/* A page is merged in the second scan that finds it unchanged, or later. */
static void merge(struct answer *a, pid_t process, unsigned long at, unsigned long bytes)
{
    char text[32];
    const int before = count_entries(process, at, bytes, merged);
    int now = before;
    change("/sys/kernel/mm/ksm/smart_scan", "0");
    change("/sys/kernel/mm/ksm/pages_to_scan", "20000");
    change("/sys/kernel/mm/ksm/sleep_millisecs", "1");
    read_text("/sys/kernel/mm/ksm/full_scans", text, sizeof text);
    const long first_scan = atol(text);
    if (!change("/sys/kernel/mm/ksm/run", "1"))
        return acted(a, 0, "merge: /sys/kernel/mm/ksm/run is not there or not for us to change");
    for (int waits = 0; waits < 10000; ++waits) {
        now = count_entries(process, at, bytes, merged);
        read_text("/sys/kernel/mm/ksm/full_scans", text, sizeof text);
        if (now == count_entries(process, at, bytes, is_present) || atol(text) >= first_scan + 8)
            break;
        usleep(1000);
    }
    restore_settings();
    acted(a, now > before, "merge: no page of the range was merged");
}
)c"},
        {"unmerge", R"c(
static void unmerge(struct answer *a, unsigned long at, unsigned long bytes)
{
    if (count_entries(getpid(), at, bytes, merged) == 0)
        return acted(a, 0, "unmerge: no page of the range is merged");
    acted(a,
          madvise((void *)at, bytes, MADV_UNMERGEABLE) == 0 &&
              madvise((void *)at, bytes, MADV_MERGEABLE) == 0 &&
              count_entries(getpid(), at, bytes, merged) == 0,
          "unmerge: pages stayed merged");
}
)c"},
        {"collapse", R"c(
static void collapse(struct answer *a, unsigned long at, unsigned long bytes)
{
    const unsigned long before = huge_bytes(at, bytes);
    madvise((void *)at, bytes, MADV_COLLAPSE);
    acted(a, huge_bytes(at, bytes) > before, "collapse: nothing came to be mapped by a huge entry");
}
)c"},
        {"split", R"c(
/* The advice concerns one page, so the kernel takes the huge one apart first. */
static void split(struct answer *a, unsigned long at, unsigned long bytes)
{
    const unsigned long before = huge_bytes(at, bytes);
    madvise((void *)at, 4096, MADV_COLD);
    acted(a, before > 0 && huge_bytes(at, bytes) < before, "split: no huge page came apart");
}
)c"},
        {"write_back", R"c(
static void write_back(struct answer *a, unsigned long at, unsigned long bytes)
{
    if (count_entries(getpid(), at, bytes, dirty_frame) == 0)
        return acted(a, 0, "writeback: no page of the range is dirty");
    fsync(file);
    acted(a, count_entries(getpid(), at, bytes, dirty_frame) == 0,
          "writeback: dirty pages stayed so: they are of no file on a disk");
}
)c"},
    };
    return pieces;
}

}  // namespace verso::check::print_c
