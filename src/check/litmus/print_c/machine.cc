// What triggers change of the machine and how it is put back, in C: settings, a swap file, the pool
// of huge pages. Whoever changes them holds the same lock as Verso's own triggers.
#include "check/litmus/print_c/pieces.h"

namespace verso::check::print_c {

const std::vector<Piece>& machine_pieces() {
    static const std::vector<Piece> pieces = {
        {"read_text", R"c(
static void read_text(const char *path, char *text, size_t room)
{
    const int file_of_text = open(path, O_RDONLY | O_CLOEXEC);
    const ssize_t got = file_of_text < 0 ? 0 : read(file_of_text, text, room - 1);
    text[got < 0 ? 0 : got] = '\0';
    close(file_of_text);
}
)c"},
        {"write_text", R"c(
static int write_text(const char *path, const char *text)
{
    const int file_of_text = open(path, O_WRONLY | O_CLOEXEC);
    const ssize_t put = file_of_text < 0 ? -1 : write(file_of_text, text, strlen(text));
    close(file_of_text);
    return put == (ssize_t)strlen(text);
}
)c"},
        {"restore_settings changed", R"c(
/* Settings of the machine, and what they were before. */
static struct {
    const char *path;
    char before[64];
} changed[8];
static int changes;

static void restore_settings(void)
{
    for (; changes > 0; --changes)
        if (!write_text(changed[changes - 1].path, changed[changes - 1].before))
            perror(changed[changes - 1].path);
}
)c"},
        {"change", R"c(
static int change(const char *path, const char *text)
{
    read_text(path, changed[changes].before, sizeof changed[0].before);
    if (changed[changes].before[0] == '\0' || !write_text(path, text))
        return 0;
    changed[changes++].path = path;
    return 1;
}
)c"},
        {"swap_on swap_path make_swap remove_swap", R"c(
/* 64 MiB, first in line for pages that go out. */
static char swap_path[64];

static int swap_on(void)
{
    return swapon(swap_path, SWAP_FLAG_PREFER | 32767);
}

static void make_swap(void)
{
    uint32_t header[1024] = {0};
    header[256] = 1; /* version, and the last page */
    header[257] = (64 << 20) / 4096 - 1;
    memcpy((char *)header + 4096 - 10, "SWAPSPACE2", 10);
    snprintf(swap_path, sizeof swap_path, "/var/tmp/verso-swap-%d", (int)getpid());
    const int area = open(swap_path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (area < 0 || fallocate(area, 0, 0, 64 << 20) != 0 ||
        pwrite(area, header, sizeof header, 0) != sizeof header || swap_on() != 0)
        fprintf(stderr, "no swap file: %s: %s\n", swap_path, strerror(errno));
    close(area);
}

static void remove_swap(void)
{
    if (swapoff(swap_path) != 0 && errno != EINVAL && errno != ENOENT)
        perror(swap_path);
    unlink(swap_path);
}
)c"},
        {"put_back", R"c(
static void put_back(void)
{
    restore_settings();
@swap     remove_swap();
}
)c"},
        {"on_end take_machine", R"c(
static void on_end(int number)
{
    put_back();
    signal(number, SIG_DFL);
    raise(number);
}

/* Two that change the machine would each restore what the other had set. */
static void take_machine(void)
{
    const int lock = open("/tmp/verso-machine.lock", O_RDONLY | O_CREAT, 0644);
    if (lock < 0 || flock(lock, LOCK_EX) != 0)
        perror("/tmp/verso-machine.lock");
    signal(SIGINT, on_end);
    signal(SIGTERM, on_end);
@swap     make_swap();
@hints     change("/proc/sys/kernel/numa_balancing", "1");
@luck     prctl(PR_SET_PDEATHSIG, SIGTERM);
}
)c"},
        {"grow_pool", R"c(
/* Some pages of hugetlb that nobody uses. */
static void grow_pool(void)
{
    enum { WANTED = 16 };
    char text[4096], number[24];
    read_text("/proc/meminfo", text, sizeof text);
    const char *const all = strstr(text, "HugePages_Total:");
    const char *const unused = strstr(text, "HugePages_Free:");
    const long has = all != NULL ? atol(all + 16) : 0, of_these = unused ? atol(unused + 15) : 0;
    snprintf(number, sizeof number, "%ld", has + WANTED - of_these);
    if (of_these < WANTED)
        change("/proc/sys/vm/nr_hugepages", number);
}
)c"},
    };
    return pieces;
}

}  // namespace verso::check::print_c
