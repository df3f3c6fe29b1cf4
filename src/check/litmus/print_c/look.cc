// Looking at pages after each step, printing it in the words of the notation, and going through the
// steps, in C.
#include "check/litmus/print_c/pieces.h"

namespace verso::check::print_c {

const std::vector<Piece>& look_pieces() {
    static const std::vector<Piece> pieces = {
        {"seen", R"c(
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
)c"},
        {"entry_text", R"c(
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
)c"},
        {"look", R"c(
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
)c"},
        {"print_seen", R"c(
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
)c"},
        {"note", R"c(
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
)c"},
        {"settle", R"c(
/* What has become of those that were in a call. Who finishes may have let another go on. */
static void settle(int step)
{
    struct answer a;
    for (int i = 0; i < ACTORS; ++i)
        if (busy[i] != 0)
            snprintf(seen[step].threads[i], sizeof seen[0].threads[0], "%s:blocked",
                     actors[i].name);
    for (int again = 1; again;) {
        again = 0;
        for (int i = 0; i < ACTORS; ++i) {
            const int its_step = busy[i];
            if (its_step == 0 || !finished(i, &a))
                continue;
            again = 1;
            note(its_step, &a);
            snprintf(seen[step].threads[i], sizeof seen[0].threads[0], "%s:%s", actors[i].name,
                     a.word);
        }
    }
}
)c"},
        {"make_by_thread", R"c(
static void make_by_thread(int step, struct answer *a)
{
    const int who = steps[step].who;
    start_actor(who);
    if (busy[who] != 0)
        not_run("a thread would have to make a step while it is still in another");
    tell(who, step);
    busy[who] = step;
    if (steps[step].background)
        snprintf(a->word, sizeof a->word, "begun");
    else if (!finished(who, a))
        snprintf(a->word, sizeof a->word, "blocked");
    else
        note(step, a);
}
)c"},
        {"end_child", R"c(
static void end_child(struct answer *a)
{
    struct answer unused;
    struct pollfd life = {.fd = (int)syscall(SYS_pidfd_open, pid_of[child], 0), .events = POLLIN};
    kill(pid_of[child], SIGKILL);
    poll(&life, 1, 10 * 1000);
    close(life.fd);
    for (int i = 0; i < ACTORS; ++i)
        if (actors[i].process == child && busy[i] != 0)
            busy[i] = 0;
    while (receive(child, &unused, 0)) {
    }
    child = 0;
    result(a, 0);
}
)c"},
        {"make_step", R"c(
/* False: it never returned, and there is nobody left to ask. */
static int make_step(int step)
{
    struct answer a = {.word = ""};
    const int who = steps[step].who;
    if (actors[who].process != PROCESS && actors[who].process != child)
        not_run("a step of a child that was not forked");
@uffd     if (steps[step].opens != 0)
@uffd         must_ask(PROCESS, steps[step].opens, &a);
@threads     if (steps[step].by_thread) {
@threads         make_by_thread(step, &a);
@threads     } else
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
@threads         settle(step);
        look(step, FIRST, pid_of[PROCESS], first);
        if (second_used)
            look(step, SECOND, pid_of[PROCESS], second);
        if (child != 0)
            look(step, CHILD, pid_of[child], first);
    }
    print_seen(step);
    return !hangs;
}
)c"},
        {"read_contents", R"c(
static void read_contents(int of_child)
{
    struct answer a;
@!sleepers     const int process = of_child ? child : PROCESS;
    for (int i = 0; i < PAGES; ++i) {
@sleepers         const int who = LOADERS + of_child * PAGES + i;
@sleepers         start_actor(who);
@sleepers         tell(who, LOAD + i);
@sleepers         if (!finished(who, &a))
@sleepers             snprintf(a.word, sizeof a.word, "blocked");
@!sleepers         tell(process, LOAD + i);
@!sleepers         if (!receive(process, &a, PATIENCE_MS))
@!sleepers             hang(process, &a);
        snprintf(contents[of_child][i], sizeof contents[0][0], "%.63s", a.word);
        printf("%s%s", i == 0 && !of_child ? "     in the end " : ", ", a.word);
    }
}
)c"},
        {"begin", R"c(
static void begin(void)
{
    struct answer a;
    const unsigned long apart = unit > 4096 || IS_HUGE ? huge_page : 4096;
    first = AREA + 2 * apart; /* what lies between stays unmapped */
    second = first + length + apart;
@copies     source = second + length + apart;
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
@threads     for (int i = 0; i < ACTORS; ++i)
@threads         if (actors[i].at_once) /* before there is memory */
@threads             start_actor(i);
    must_ask(PROCESS, 0, &a);
}
)c"},
    };
    return pieces;
}

}  // namespace verso::check::print_c
