/*
 * Threads that come and go, some at a time; each touches pages of its own, which nobody touched before.
 * Prints for each what the kernel counted while it did. Usage: many_threads THREADS AT-A-TIME PAGES
 */
#include "touch.h"
#include <pthread.h>
#include <sys/syscall.h>

static char *memory;
static long pages;
static struct touch *touches;
static long *tids;

static void *touch_own(void *index) {
    long own = (long)index;
    struct rusage before;

    tids[own] = syscall(SYS_gettid);
    /* The first time faults in what measuring needs: stack and code. */
    touch_begin(&touches[own], memory, &before);
    touch_end(&touches[own], &before);
    touch_begin(&touches[own], memory, &before);
    for (long i = 0; i < pages; i++)
        memory[(own * pages + i) * 4096] = 1;
    touch_end(&touches[own], &before);
    return NULL;
}

int main(int argc, char **argv) {
    long threads = strtol(argv[1], NULL, 10), together = strtol(argv[2], NULL, 10);
    pthread_t *ids = malloc(together * sizeof(*ids));
    size_t bytes;

    pages = strtol(argv[3], NULL, 10);
    bytes = threads * pages * 4096;
    touches = new_touches(threads);
    tids = malloc(threads * sizeof(*tids));
    memset(tids, 1, threads * sizeof(*tids));
    memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED)
        die("mmap");
    madvise(memory, bytes, MADV_NOHUGEPAGE);
    for (long first = 0; first < threads; first += together) {
        long here = threads - first < together ? threads - first : together;

        for (long i = 0; i < here; i++)
            if (pthread_create(&ids[i], NULL, touch_own, (void *)(first + i)))
                die("pthread_create");
        for (long i = 0; i < here; i++)
            pthread_join(ids[i], NULL);
    }
    for (long i = 0; i < threads; i++)
        printf("%ld,%lu,%lu,%ld,%ld\n", tids[i], touches[i].begin_ns, touches[i].end_ns, touches[i].majors,
               touches[i].minors);
    return argc != 4;
}
