// UFFDIO_UNREGISTER leaves a thread asleep that waits in a write-protect fault (Linux 6.18).
//   cc -pthread unregister-wakes-nobody.c && ./a.out
// Exit code: 0 the thread went on, 1 it sleeps, 2 this machine cannot show it.
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

static volatile char* page;
static volatile int went_on;

static void* writer(void* unused) {
    (void)unused;
    page[0] = 2;
    went_on = 1;
    return NULL;
}

int main(void) {
    const long size = sysconf(_SC_PAGESIZE);
    const int uffd = (int)syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);
    struct uffdio_api api = {.api = UFFD_API, .features = UFFD_FEATURE_PAGEFAULT_FLAG_WP};
    page = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (uffd < 0 || page == MAP_FAILED || ioctl(uffd, UFFDIO_API, &api) != 0) {
        perror("userfaultfd");
        return 2;
    }
    page[0] = 1;
    const struct uffdio_range range = {(unsigned long)page, (unsigned long)size};
    struct uffdio_register reg = {.range = range, .mode = UFFDIO_REGISTER_MODE_WP};
    struct uffdio_writeprotect wp = {.range = range, .mode = UFFDIO_WRITEPROTECT_MODE_WP};
    if (ioctl(uffd, UFFDIO_REGISTER, &reg) != 0 || ioctl(uffd, UFFDIO_WRITEPROTECT, &wp) != 0) {
        perror("UFFDIO_REGISTER, UFFDIO_WRITEPROTECT");
        return 2;
    }
    pthread_t thread;
    pthread_create(&thread, NULL, writer, NULL);
    struct pollfd ready = {.fd = uffd, .events = POLLIN};
    if (poll(&ready, 1, 5000) != 1 ||
        ready.revents != POLLIN) {  // the fault is queued: the thread sleeps in it
        return 2;
    }
    if (ioctl(uffd, UFFDIO_UNREGISTER, &range) != 0) {
        perror("UFFDIO_UNREGISTER");
        return 2;
    }
    for (int i = 0; i < 30 && !went_on; ++i) {
        usleep(100 * 1000);
    }
    printf("%s\n", went_on ? "the writer went on" : "the writer still sleeps after 3 seconds");
    return went_on ? 0 : 1;
}
