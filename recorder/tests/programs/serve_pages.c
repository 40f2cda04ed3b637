/*
 * Serves its own pages through userfaultfd, each after a delay: the wait of every touch is known.
 * Usage: serve_pages COUNT DELAY_US
 */
#include "touch.h"
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <pthread.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>

static int faults;
static size_t page, delay_us;
static struct touch *current;

static void *serve(void *contents) {
    struct uffd_msg message;

    while (read(faults, &message, sizeof(message)) == sizeof(message)) {
        struct uffdio_copy copy = {
            .dst = message.arg.pagefault.address & ~(page - 1), .src = (uintptr_t)contents, .len = page};
        uint64_t asked = now_ns(), until = asked + delay_us * 1000;
        struct timespec when = {.tv_sec = (time_t)(until / 1000000000u),
                                .tv_nsec = (long)(until % 1000000000u)};

        while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &when, NULL))
            ;
        /* Asked for after the fault began, given before it ended: it waited for longer than this. */
        current->served_ns = now_ns() - asked;
        if (ioctl(faults, UFFDIO_COPY, &copy))
            die("UFFDIO_COPY");
    }
    die("userfaultfd");
    return NULL;
}

static char *served_memory(size_t bytes) {
    struct uffdio_api api = {.api = UFFD_API};
    struct uffdio_register range = {.mode = UFFDIO_REGISTER_MODE_MISSING};
    char *map = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (map == MAP_FAILED)
        die("mmap");
    faults = (int)syscall(SYS_userfaultfd, O_CLOEXEC);
    range.range.start = (uintptr_t)map;
    range.range.len = bytes;
    if (faults < 0 || ioctl(faults, UFFDIO_API, &api) || ioctl(faults, UFFDIO_REGISTER, &range))
        die("userfaultfd");
    return map;
}

int main(int argc, char **argv) {
    size_t count = argc == 3 ? strtoul(argv[1], NULL, 10) : 0;
    struct touch *touches = new_touches(count + 1);
    struct rusage before;
    volatile char *map;
    char *contents;
    pthread_t server;

    page = (size_t)sysconf(_SC_PAGESIZE);
    delay_us = strtoul(argv[2], NULL, 10);
    contents = aligned_alloc(page, page);
    memset(contents, 1, page);
    map = served_memory((count + 1) * page);
    if (pthread_create(&server, NULL, serve, contents))
        die("pthread_create");
    /* The first has the server's own faults in it, and is not told of. */
    for (size_t i = 0; i <= count; i++) {
        current = &touches[i];
        touch_begin(current, map + i * page, &before);
        touched += map[i * page];
        touch_end(current, &before);
    }
    print_touches(touches + 1, count);
    return 0;
}
