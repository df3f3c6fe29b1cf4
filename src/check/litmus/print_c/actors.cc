// Who makes the steps, in C: processes and threads that wait for a number on a line of their own,
// do what it means, and answer with a word. The controller has time: it sees who never answers.
#include "check/litmus/print_c/pieces.h"

namespace verso::check::print_c {

const std::vector<Piece>& actor_pieces() {
    static const std::vector<Piece> pieces = {
        {"serve line perform", R"c(
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
)c"},
        {"fork_here", R"c(
static void fork_here(struct answer *a, int child)
{
    const pid_t pid = fork();
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        serve(child);
    }
    result(a, pid);
    a->value = pid;
}
)c"},
        {"start_thread", R"c(
static void *run_thread(void *who)
{
    const int number = (int)(intptr_t)who;
    const struct answer a = {.word = "done", .value = syscall(SYS_gettid)};
    if (write(line[number][1], &a, sizeof a) != sizeof a)
        return NULL;
    serve(number);
}

static void start_thread(struct answer *a, int who)
{
    pthread_t thread;
    errno = pthread_create(&thread, NULL, run_thread, (void *)(intptr_t)who);
    if (errno != 0)
        return cannot(a, "a further thread");
    result(a, 0);
}
)c"},
        {"pid_of", R"c(
/* The controller: what it knows of the others. */
static pid_t pid_of[ACTORS];
)c"},
        {"tid_of busy", R"c(
static pid_t tid_of[ACTORS];
static int busy[ACTORS]; /* the step that it is in */
)c"},
        {"stop", R"c(
_Noreturn static void stop(int code)
{
    fflush(stdout);
    if (pid_of[PROCESS] > 0) {
        kill(-pid_of[PROCESS], SIGKILL);
        waitpid(pid_of[PROCESS], NULL, 0);
    }
@machine     put_back();
    exit(code);
}
)c"},
        {"not_run", R"c(
_Noreturn static void not_run(const char *why)
{
    printf("cannot be run here: %s\n", why);
    stop(77);
}
)c"},
        {"receive ask must_ask hang", R"c(
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
)c"},
        {"start_actor", R"c(
static void start_actor(int who)
{
    struct answer a;
    if (tid_of[who] != 0)
        return;
    must_ask(actors[who].process, THREAD + who, &a);
    if (!receive(who, &a, 60 * 1000))
        not_run("a thread does not answer");
    tid_of[who] = (pid_t)a.value;
}
)c"},
        {"finished", R"c(
static void read_of_task(int who, const char *name, char *text, size_t room)
{
    char path[80];
    snprintf(path, sizeof path, "/proc/%d/task/%d/%s", (int)pid_of[actors[who].process],
             (int)tid_of[who], name);
    const int opened = open(path, O_RDONLY | O_CLOEXEC);
    const ssize_t got = opened < 0 ? 0 : read(opened, text, room - 1);
    text[got < 0 ? 0 : got] = '\0';
    close(opened);
}

/* Has it answered? If not, it sleeps for good: for the reader of a userfaultfd, or in one and the
   same sleep for 200 ms. */
static int finished(int who, struct answer *a)
{
    static const char key[] = "\nvoluntary_ctxt_switches:";
    char text[4096];
    long sleeps = -1;
    int same_ms = 0;
    for (int ms = 0; !receive(who, a, 1); ++ms) {
        read_of_task(who, "stat", text, sizeof text);
        const char *const state = strrchr(text, ')');
        const int asleep = state != NULL && (state[2] == 'S' || state[2] == 'D');
        read_of_task(who, "wchan", text, sizeof text);
        if (asleep && strstr(text, "userfault") != NULL) {
            if (!receive(who, a, 0))
                return 0;
            break;
        }
        read_of_task(who, "status", text, sizeof text);
        const char *const at = strstr(text, key);
        const long now = at == NULL ? 0 : atol(at + strlen(key));
        same_ms = asleep && now == sleeps ? same_ms + 1 : 0;
        sleeps = now;
        if (same_ms >= 200)
            return 0;
        if (ms >= PATIENCE_MS) {
            hang(who, a);
            break;
        }
    }
    busy[who] = 0;
    return 1;
}
)c"},
    };
    return pieces;
}

}  // namespace verso::check::print_c
