/*
 * Forks again and again with much memory to describe to the child, which locks the address space, while a
 * thread beside touches fresh pages and has to wait for that lock. Usage: fork_beside MEGABYTES FORKS
 */
#include "touch.h"
#include <pthread.h>
#include <sys/wait.h>

#define PAGES 200000L

static volatile int done;

static char *fresh(size_t bytes) {
    char *map = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    if (map == MAP_FAILED)
        die("mmap");
    madvise(map, bytes, MADV_NOHUGEPAGE);
    return map;
}

static void *touch_pages(void *unused) {
    const struct timespec pause = {0, 50000};
    volatile char *pages = fresh(PAGES * 4096);

    for (long page = 0; page < PAGES && !done; page++) {
        pages[page * 4096] = 1;
        nanosleep(&pause, NULL);
    }
    return unused;
}

int main(int argc, char **argv) {
    size_t bytes = argc == 3 ? strtoul(argv[1], NULL, 10) << 20 : 0;
    long forks = argc == 3 ? strtol(argv[2], NULL, 10) : 0;
    char *memory = fresh(bytes);
    pthread_t thread;

    memset(memory, 1, bytes);
    if (pthread_create(&thread, NULL, touch_pages, NULL))
        die("pthread_create");
    for (long i = 0; i < forks; i++) {
        pid_t child = fork();

        if (child < 0)
            die("fork");
        if (child == 0)
            _exit(0);
        waitpid(child, NULL, 0);
    }
    done = 1;
    return pthread_join(thread, NULL);
}
