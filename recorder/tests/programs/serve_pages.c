/*
 * Serves its own pages through userfaultfd, each after a delay: the wait of every touch is known.
 * Usage: serve_pages COUNT DELAY_US [mlock]
 * With mlock the kernel touches them itself, and what is printed is how many nanoseconds mlock(2) took.
 */
#include "served.h"

static size_t delay_us;
static struct touch *volatile current;

static void *serve(void *contents) {
    struct uffd_msg message;

    while (read(faults, &message, sizeof(message)) == sizeof(message)) {
        struct uffdio_copy copy = asked_for(&message, contents);
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

int main(int argc, char **argv) {
    size_t count = argc >= 3 ? strtoul(argv[1], NULL, 10) : 0;
    struct touch *touches = new_touches(count + 1);
    struct rusage before;
    volatile char *map;

    page = (size_t)sysconf(_SC_PAGESIZE);
    delay_us = strtoul(argv[2], NULL, 10);
    map = served_memory((count + 1) * page, serve);
    /* The first has the server's own faults in it, and is not told of. */
    for (size_t i = 0; i <= (argc == 4 ? 0 : count); i++) {
        current = &touches[i];
        touch_begin(current, map + i * page, &before);
        touched += map[i * page];
        touch_end(current, &before);
    }
    if (argc == 4) {
        uint64_t begin = now_ns();

        if (mlock((char *)map + page, count * page))
            die("mlock");
        printf("%lu\n", (unsigned long)(now_ns() - begin));
        return 0;
    }
    print_touches(touches + 1, count);
    return 0;
}
