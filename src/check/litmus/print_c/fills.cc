// The ioctls of userfaultfd, in C.
#include "check/litmus/print_c/pieces.h"

namespace verso::check::print_c {

const std::vector<Piece>& fill_pieces() {
    static const std::vector<Piece> pieces = {
        {"uffd", R"c(
static int uffd[UFFDS];
)c"},
        {"open_uffd", R"c(
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
@!messages     features |= UFFD_FEATURE_SIGBUS;
    features |= api.features & UFFD_FEATURE_WP_HUGETLBFS_SHMEM;
    api = (struct uffdio_api){.api = UFFD_API, .features = features};
@!user_mode     uffd[which] = (int)syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);
@user_mode     uffd[which] = (int)syscall(SYS_userfaultfd,
@user_mode                                O_CLOEXEC | O_NONBLOCK | UFFD_USER_MODE_ONLY);
    if (uffd[which] < 0 || ioctl(uffd[which], UFFDIO_API, &api) != 0)
        return cannot(a, "userfaultfd");
    result(a, 0);
}
)c"},
        {"register_range", R"c(
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
)c"},
        {"unregister", R"c(
static void unregister(struct answer *a, int fd, unsigned long at, unsigned long bytes)
{
    struct uffdio_range range = {at, bytes};
    result(a, ioctl(fd, UFFDIO_UNREGISTER, &range));
}
)c"},
        {"wake", R"c(
static void wake(struct answer *a, int fd, unsigned long at, unsigned long bytes)
{
    struct uffdio_range range = {at, bytes};
    result(a, ioctl(fd, UFFDIO_WAKE, &range));
}
)c"},
        {"write_protect", R"c(
static void write_protect(struct answer *a, int fd, unsigned long at, unsigned long bytes,
                          uint64_t mode)
{
    struct uffdio_writeprotect w = {.range = {at, bytes}, .mode = mode};
    result(a, ioctl(fd, UFFDIO_WRITEPROTECT, &w));
}
)c"},
        {"filled", R"c(
/* Fills answer twice: by errno, and by the bytes that were filled before it. */
static void filled(struct answer *a, int returned, long long bytes)
{
    if (returned != 0 && bytes > 0)
        snprintf(a->word, sizeof a->word, "partly %llu", (unsigned long long)bytes / unit);
    else
        result(a, returned);
}
)c"},
        {"copy", R"c(
static void copy(struct answer *a, int fd, unsigned long at, unsigned long bytes, uint64_t mode,
                 uint64_t value)
{
    struct uffdio_copy c = {.dst = at, .src = source, .len = bytes, .mode = mode};
    if (!source_is_mapped &&
        mmap((void *)source, length, PROT_READ | PROT_WRITE,
             MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == MAP_FAILED)
        return cannot(a, "map what is copied");
    source_is_mapped = 1;
    for (unsigned long from = 0; from < bytes; from += unit)
        *(volatile uint64_t *)(source + from) = value;
    const int returned = ioctl(fd, UFFDIO_COPY, &c);
    filled(a, returned, c.copy);
}
)c"},
        {"zeropage", R"c(
static void zeropage(struct answer *a, int fd, unsigned long at, unsigned long bytes, uint64_t mode)
{
    struct uffdio_zeropage z = {.range = {at, bytes}, .mode = mode};
    const int returned = ioctl(fd, UFFDIO_ZEROPAGE, &z);
    filled(a, returned, z.zeropage);
}
)c"},
        {"continue_range", R"c(
static void continue_range(struct answer *a, int fd, unsigned long at, unsigned long bytes,
                           uint64_t mode)
{
    struct uffdio_continue c = {.range = {at, bytes}, .mode = mode};
    const int returned = ioctl(fd, UFFDIO_CONTINUE, &c);
    filled(a, returned, c.mapped);
}
)c"},
        {"poison", R"c(
static void poison(struct answer *a, int fd, unsigned long at, unsigned long bytes, uint64_t mode)
{
    struct uffdio_poison p = {.range = {at, bytes}, .mode = mode};
    const int returned = ioctl(fd, UFFDIO_POISON, &p);
    filled(a, returned, p.updated);
}
)c"},
        {"move", R"c(
static void move(struct answer *a, int fd, unsigned long at, unsigned long bytes,
                 unsigned long from, uint64_t mode)
{
    struct uffdio_move m = {.dst = at, .src = from, .len = bytes, .mode = mode};
    const int returned = ioctl(fd, UFFDIO_MOVE, &m);
    filled(a, returned, m.move);
}
)c"},
        {"page_name range_name read_messages", R"c(
/* Which page of the two areas: "1", "0'". */
static void page_name(char *to, size_t room, unsigned long at)
{
    if (at >= first && at < first + length)
        snprintf(to, room, "%lu", (at - first) / unit);
    else if (at >= second && at < second + length)
        snprintf(to, room, "%lu'", (at - second) / unit);
    else
        snprintf(to, room, "elsewhere");
}

static void range_name(char *to, size_t room, unsigned long at, unsigned long bytes)
{
    char from[24], last[24];
    page_name(from, sizeof from, at);
    page_name(last, sizeof last, at + bytes - 1);
    if (bytes == length && (at == first || at == second))
        snprintf(to, room, at == first ? "all" : "all'");
    else if (strcmp(from, last) == 0)
        snprintf(to, room, "%s", from);
    else
        snprintf(to, room, "%.*s-%s", (int)strcspn(from, "'"), from, last);
}

@keeps static int keep = -1; /* which of ours a child's userfaultfd becomes */
static void message_name(char *to, size_t room, const struct uffd_msg *m)
{
    char one[64], other[64];
    const unsigned long flags = m->arg.pagefault.flags;
    switch (m->event) {
    case UFFD_EVENT_PAGEFAULT:
        page_name(one, sizeof one, m->arg.pagefault.address);
        snprintf(to, room, "%s%s@%s",
                 flags & UFFD_PAGEFAULT_FLAG_WP      ? "wp"
                 : flags & UFFD_PAGEFAULT_FLAG_MINOR ? "minor"
                                                     : "missing",
                 flags & UFFD_PAGEFAULT_FLAG_WRITE ? "+write" : "", one);
        return;
    case UFFD_EVENT_REMOVE:
    case UFFD_EVENT_UNMAP:
        range_name(one, sizeof one, m->arg.remove.start, m->arg.remove.end - m->arg.remove.start);
        snprintf(to, room, "%s@%s", m->event == UFFD_EVENT_REMOVE ? "removed" : "unmapped", one);
        return;
    case UFFD_EVENT_REMAP:
        range_name(one, sizeof one, m->arg.remap.from, m->arg.remap.len);
        range_name(other, sizeof other, m->arg.remap.to, m->arg.remap.len);
        snprintf(to, room, "remapped@%s>%s", one, other);
        return;
    case UFFD_EVENT_FORK:
@!keeps         close((int)m->arg.fork.ufd);
@keeps         if (keep >= 0)
@keeps             uffd[keep] = (int)m->arg.fork.ufd;
@keeps         else
@keeps             close((int)m->arg.fork.ufd);
        snprintf(to, room, "forked");
        return;
    default: snprintf(to, room, "unknown");
    }
}

static void read_messages(struct answer *a, int fd)
{
    struct uffd_msg messages[64];
    const ssize_t bytes = read(fd, messages, sizeof messages);
    const int count = bytes < 0 ? 0 : (int)((size_t)bytes / sizeof messages[0]);
    if (bytes < 0 && errno != EAGAIN)
        return result(a, bytes);
    snprintf(a->word, sizeof a->word, "%s", count == 0 ? "none" : "");
    for (int i = 0; i < count; ++i) {
        const size_t used = strlen(a->word);
        if (i > 0)
            snprintf(a->word + used, sizeof a->word - used, " ");
        message_name(a->word + strlen(a->word), sizeof a->word - strlen(a->word), &messages[i]);
    }
}
)c"},
    };
    return pieces;
}

}  // namespace verso::check::print_c
