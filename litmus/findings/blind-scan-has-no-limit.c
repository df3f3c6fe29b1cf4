/* PAGEMAP_SCAN without a vector arms no more than max_pages
 * Nothing is counted without a vector, also where there is no page table, and in hugetlb memory.
 *
 *   SS, 2 pages, async: REGISTER(WP); arm(BLIND|ONE)
 *
 * cc -o blind-scan-has-no-limit blind-scan-has-no-limit.c && ./blind-scan-has-no-limit
 * Exit code: 0 as claimed, 1 not so, 77 it cannot be run here.
 *
 * The steps are in perform(), what is claimed in judge(). After each step is printed what
 * came of it and the entries of the page table: P present, S in swap, N none, K(...) a
 * marker; u write-protected, f of a file; and PAGEMAP_SCAN's categories.
 * Printed by verso litmus --print c.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/io_uring.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/swap.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#ifndef UFFD_FEATURE_WP_HUGETLBFS_SHMEM
#define UFFD_FEATURE_WP_HUGETLBFS_SHMEM (1 << 12) /* 5.19 */
#endif
#ifndef UFFD_FEATURE_WP_ASYNC
#define UFFD_FEATURE_WP_ASYNC (1 << 15) /* 6.7 */
#endif
#ifndef PAGEMAP_SCAN /* 6.7 */
struct page_region {
    uint64_t start, end, categories;
};
struct pm_scan_arg {
    uint64_t size, flags, start, end, walk_end, vec, vec_len, max_pages;
    uint64_t category_inverted, category_mask, category_anyof_mask, return_mask;
};
#define PAGEMAP_SCAN _IOWR('f', 16, struct pm_scan_arg)
#endif
#define AREA 0x1000000000UL /* where nothing else is mapped */
enum { STEPS = 2, PAGES = 2 /* that are looked at */, UFFDS = 1, IS_HUGE = 0 };
enum { OPEN = 1000, LOAD = 2000, THREAD = 10000, PATIENCE_MS = 3000 };

enum { PROCESS, ACTORS };
static const struct {
    const char *name;
    int process, at_once;
} actors[ACTORS] = {
    {"", PROCESS, 0},
};

static const struct {
    const char *text;
    int who, by_thread, by_controller, background, is_trigger, fills_second, opens, forks;
} steps[] = {
    [1] = {"REGISTER(WP)", PROCESS, .opens = OPEN + 0},
    [2] = {"arm(BLIND|ONE)", PROCESS},
};

static unsigned long unit, length, first, second; /* of a page; of an area; the two areas */

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

static int file = -1;

struct answer {
    char word[256]; /* what came of it */
    long value;
    int failed; /* it cannot be done here; the word says why */
};

static void cannot(struct answer *a, const char *what)
{
    a->failed = 1;
    snprintf(a->word, sizeof a->word, "%s%s%s", what, errno != 0 ? ": " : "",
             errno != 0 ? strerror(errno) : "");
}

static void result(struct answer *a, long returned)
{
    snprintf(a->word, sizeof a->word, "%s", returned < 0 ? strerrorname_np(errno) : "done");
}

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

static void load(struct answer *a, unsigned long at)
{
    uint64_t value = 0;
    const int number = touch(at, &value, 0);
    if (number != 0)
        snprintf(a->word, sizeof a->word, "%s", number == SIGBUS ? "SIGBUS" : "SIGSEGV");
    else
        snprintf(a->word, sizeof a->word, "= %llu", (unsigned long long)value);
}

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

static int uffd[UFFDS];

static void open_uffd(struct answer *a, int which, uint64_t features)
{
    struct uffdio_api api = {.api = UFFD_API};
    const int probe = (int)syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);
    if (probe < 0 || ioctl(probe, UFFDIO_API, &api) != 0)
        return cannot(a, "userfaultfd");
    close(probe);
    if ((features & ~(uint64_t)api.features) != 0) {
        errno = 0;
        return cannot(a, "the userfaultfd of this kernel lacks a feature");
    }
    features |= UFFD_FEATURE_SIGBUS;
    features |= api.features & UFFD_FEATURE_WP_HUGETLBFS_SHMEM;
    api = (struct uffdio_api){.api = UFFD_API, .features = features};
    uffd[which] = (int)syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);
    if (uffd[which] < 0 || ioctl(uffd[which], UFFDIO_API, &api) != 0)
        return cannot(a, "userfaultfd");
    result(a, 0);
}

static void register_range(struct answer *a, int fd, unsigned long at, unsigned long bytes,
                           uint64_t mode)
{
    struct uffdio_register r = {.range = {at, bytes}, .mode = mode};
    uint64_t needed = 0;
    if ((mode & UFFDIO_REGISTER_MODE_MISSING) != 0)
        needed |= 1 << _UFFDIO_COPY;
    if ((mode & UFFDIO_REGISTER_MODE_WP) != 0)
        needed |= 1 << _UFFDIO_WRITEPROTECT;
    if ((mode & UFFDIO_REGISTER_MODE_MINOR) != 0)
        needed |= 1 << _UFFDIO_CONTINUE;
    if (ioctl(fd, UFFDIO_REGISTER, &r) != 0)
        return result(a, -1);
    if ((r.ioctls & needed) != needed) { /* who faults would wait for ever */
        ioctl(fd, UFFDIO_UNREGISTER, &r.range);
        snprintf(a->word, sizeof a->word, "unsupported");
        return;
    }
    snprintf(a->word, sizeof a->word, "done %#llx", (unsigned long long)r.ioctls);
}

static int line[ACTORS][2]; /* the controller's end, the actor's */
static void perform(int number, struct answer *a);

/* What a process does, and each of its threads: it is told a number and answers a word. */
_Noreturn static void serve(int who)
{
    int number;
    while (read(line[who][1], &number, sizeof number) == sizeof number) {
        struct answer a = {.word = ""};
        perform(number, &a);
        if (write(line[who][1], &a, sizeof a) != sizeof a)
            break;
    }
    _exit(0);
}

/* The controller: what it knows of the others. */
static pid_t pid_of[ACTORS];

_Noreturn static void stop(int code)
{
    fflush(stdout);
    if (pid_of[PROCESS] > 0) {
        kill(-pid_of[PROCESS], SIGKILL);
        waitpid(pid_of[PROCESS], NULL, 0);
    }
    exit(code);
}

_Noreturn static void not_run(const char *why)
{
    printf("cannot be run here: %s\n", why);
    stop(77);
}

static int receive(int who, struct answer *a, int patience_ms)
{
    struct pollfd waited = {.fd = line[who][0], .events = POLLIN};
    return poll(&waited, 1, patience_ms) == 1 && read(line[who][0], a, sizeof *a) == sizeof *a;
}

static void tell(int who, int number)
{
    if (write(line[who][0], &number, sizeof number) != sizeof number)
        not_run("a process is gone");
}

static void must_ask(int who, int number, struct answer *a)
{
    tell(who, number);
    if (!receive(who, a, 60 * 1000))
        not_run("a process does not answer");
    if (a->failed)
        not_run(a->word);
}

/* Who does not return is ended: the step hangs. */
static void hang(int who, struct answer *a)
{
    kill(pid_of[actors[who].process], SIGKILL);
    snprintf(a->word, sizeof a->word, "hangs");
}

enum { FIRST, SECOND, CHILD, AREAS };

/* What there is to be seen after a step. */
struct page {
    uint64_t entry, categories; /* pagemap's word, PAGEMAP_SCAN's answer */
};
static struct {
    char word[256];
    struct page page[AREAS][PAGES];
    int there[AREAS];
    char threads[ACTORS][300]; /* that were in a call: "t1:blocked" */
} seen[STEPS + 1];
static char contents[2][PAGES][64]; /* in the end: of the first process, of the child */
static int steps_made, second_used, child;

static void entry_text(char *to, size_t room, uint64_t entry)
{
    const char *const f = entry >> 61 & 1 ? "f" : "", *const u = entry >> 57 & 1 ? "u" : "";
    const int marker = entry >> 5 & 15;
    if (entry >> 63 != 0)
        snprintf(to, room, "P%s%s", u, f);
    else if ((entry >> 62 & 1) == 0)
        snprintf(to, room, "%s", *u != '\0' ? "K(WP)" : "N");
    else if ((entry & 31) != 31)
        snprintf(to, room, "S%s%s", u, f);
    else if ((entry >> 58 & 1) != 0 || (marker & 4) != 0)
        snprintf(to, room, "K(GUARD)");
    else
        snprintf(to, room, "%s", (marker & 2) != 0 ? "K(POISONED)" : "K(WP)");
}

static void look(int step, int area, pid_t process, unsigned long at)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/pagemap", (int)process);
    const int pagemap = open(path, O_RDONLY | O_CLOEXEC);
    for (int i = 0; i < PAGES; ++i) {
        struct page *const page = &seen[step].page[area][i];
        const unsigned long address = at + (unsigned long)i * unit;
        struct page_region region = {0};
        struct pm_scan_arg s = {.size = sizeof s, .start = address, .end = address + 4096,
                                .vec = (uintptr_t)&region, .vec_len = 1, .return_mask = 511};
        if (pread(pagemap, &page->entry, 8, (off_t)(address / 4096 * 8)) != 8)
            not_run("pagemap cannot be read");
        int found = ioctl(pagemap, PAGEMAP_SCAN, &s);
        if (found < 0 && errno == EINVAL) { /* before 6.15 there is no category GUARD */
            s.return_mask = 255;
            found = ioctl(pagemap, PAGEMAP_SCAN, &s);
        }
        page->categories = found == 1 ? region.categories : 0;
    }
    seen[step].there[area] = 1;
    close(pagemap);
}

static void print_seen(int step)
{
    static const char *const before[AREAS] = {"", " ' ", " child "};
    char text[32];
    printf("  %2d %-28s %-8s ", step, steps[step].text, seen[step].word);
    for (int area = 0; area < AREAS; ++area) {
        for (int i = 0; seen[step].there[area] && i < PAGES; ++i) {
            entry_text(text, sizeof text, seen[step].page[area][i].entry);
            printf("%s%s", i == 0 ? before[area] : " ", i == 0 ? "[" : "");
            printf("%s%s", text, i == PAGES - 1 ? "]" : "");
        }
        for (int i = 0; seen[step].there[area] && i < PAGES; ++i)
            printf(" %llx", (unsigned long long)seen[step].page[area][i].categories);
    }
    for (int i = 0; i < ACTORS; ++i)
        if (seen[step].threads[i][0] != '\0')
            printf(" %s", seen[step].threads[i]);
    printf("\n");
}

/* What an answer brings besides its word. */
static void note(int step, const struct answer *a)
{
    const int ok = strncmp(a->word, "done", 4) == 0;
    if (a->failed)
        not_run(a->word);
    if (ok && steps[step].fills_second)
        second_used = 1;
    if (ok && steps[step].forks != 0) {
        child = steps[step].forks;
        pid_of[child] = (pid_t)a->value;
    }
}

/* False: it never returned, and there is nobody left to ask. */
static int make_step(int step)
{
    struct answer a = {.word = ""};
    const int who = steps[step].who;
    if (actors[who].process != PROCESS && actors[who].process != child)
        not_run("a step of a child that was not forked");
    if (steps[step].opens != 0)
        must_ask(PROCESS, steps[step].opens, &a);
    if (steps[step].by_controller) {
        perform(step, &a);
        note(step, &a);
    } else {
        tell(who, step);
        if (!receive(who, &a, steps[step].is_trigger ? 60 * 1000 : PATIENCE_MS))
            hang(who, &a);
        else
            note(step, &a);
    }
    snprintf(seen[step].word, sizeof seen[0].word, "%s", a.word);
    steps_made = step;
    const int hangs = strcmp(a.word, "hangs") == 0;
    if (!hangs && strcmp(a.word, "begun") != 0) {
        look(step, FIRST, pid_of[PROCESS], first);
        if (second_used)
            look(step, SECOND, pid_of[PROCESS], second);
        if (child != 0)
            look(step, CHILD, pid_of[child], first);
    }
    print_seen(step);
    return !hangs;
}

static void read_contents(int of_child)
{
    struct answer a;
    const int process = of_child ? child : PROCESS;
    for (int i = 0; i < PAGES; ++i) {
        tell(process, LOAD + i);
        if (!receive(process, &a, PATIENCE_MS))
            hang(process, &a);
        snprintf(contents[of_child][i], sizeof contents[0][0], "%.63s", a.word);
        printf("%s%s", i == 0 && !of_child ? "     in the end " : ", ", a.word);
    }
}

static void begin(void)
{
    struct answer a;
    const unsigned long apart = unit > 4096 || IS_HUGE ? huge_page : 4096;
    first = AREA + 2 * apart; /* what lies between stays unmapped */
    second = first + length + apart;
    for (int i = 0; i < ACTORS; ++i)
        if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, line[i]) != 0)
            not_run("no socket pair");
    fflush(stdout);
    pid_of[PROCESS] = fork();
    if (pid_of[PROCESS] == 0) {
        struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_NODEFER};
        sigaction(SIGBUS, &action, NULL);
        sigaction(SIGSEGV, &action, NULL);
        signal(SIGINT, SIG_DFL);
        signal(SIGTERM, SIG_DFL);
        setpgid(0, 0);
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        serve(PROCESS);
    }
    setpgid(pid_of[PROCESS], pid_of[PROCESS]);
    must_ask(PROCESS, 0, &a);
}

/* "Pu" is met by "Puf": that it is of a file need not be said. */
static int entry_is(int step, int area, int page, const char *wanted)
{
    char is[32];
    if (!seen[step].there[area] || page >= PAGES)
        return 0;
    entry_text(is, sizeof is, seen[step].page[area][page].entry);
    if (strcmp(is, wanted) != 0 && is[strlen(is) - 1] == 'f')
        is[strlen(is) - 1] = '\0';
    return strcmp(is, wanted) == 0;
}

static int broken;

static void must(int holds_here, const char *what)
{
    if (!holds_here) {
        printf("broken: %s\n", what);
        broken = 1;
    }
}

static void lay_out(struct answer *a)
{
    file = memfd_create("litmus", MFD_CLOEXEC);
    /* A neighbour, so that the area's page table is there. */
    volatile char *const neighbour =
        mmap((void *)AREA, 4096, PROT_READ | PROT_WRITE,
             MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
    if (neighbour == MAP_FAILED)
        return cannot(a, "map a neighbour");
    neighbour[0] = 1;
    if (file < 0 || ftruncate(file, (off_t)length) != 0)
        return cannot(a, "make the file");
    if (mmap((void *)first, length, PROT_READ | PROT_WRITE,
             MAP_SHARED | MAP_FIXED_NOREPLACE, file, 0) != (void *)first)
        return cannot(a, "map the area");
    result(a, 0);
}

static void perform(int number, struct answer *a)
{
    switch (number) {
    case 0: lay_out(a); return;
    case 1: /* REGISTER(WP) */
        register_range(a, uffd[0], first, length, UFFDIO_REGISTER_MODE_WP);
        return;
    case 2: /* arm(BLIND|ONE) */
        scan(a, first, length, 1 | 2 /* WP_MATCHING, CHECK_WPASYNC */, 0x2, 0x0, 1, 1);
        return;
    case OPEN + 0: open_uffd(a, 0, UFFD_FEATURE_WP_ASYNC); return;
    }
    load(a, first + (unsigned long)(number - LOAD) * unit);
}

static void judge(void)
{
    must(2 <= steps_made &&
         entry_is(2, FIRST, 0, "K(WP)") && entry_is(2, FIRST, 1, "N"),
         "must step 2: [K(WP) N]");
}

static int run(void)
{
    begin();
    for (int step = 1; step <= STEPS && make_step(step); ++step) {
    }
    if (steps_made == STEPS && strcmp(seen[STEPS].word, "hangs") != 0) {
        read_contents(0);
        if (child != 0)
            read_contents(1);
        printf("\n");
    }
    judge();
    printf("%s\n", broken ? "not as claimed" : "as claimed");
    stop(broken);
}

int main(void)
{
    if (geteuid() != 0) {
        printf("cannot be run here: only root sees what is in page tables\n");
        return 77;
    }
    huge_page = find_huge_page();
    unit = 4096;
    length = 2 * unit;
    return run();
}
