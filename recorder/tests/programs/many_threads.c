/*
 * Threads that come and go, some at a time; each touches pages of its own, which nobody touched before.
 * Prints where these pages are. Usage: many_threads THREADS AT-A-TIME PAGES
 */
#include "touch.h"
#include <pthread.h>

static char *memory;
static long pages;

static void *touch_own(void *index) {
    for (long i = 0; i < pages; i++)
        memory[((long)index * pages + i) * 4096] = 1;
    return NULL;
}

int main(int argc, char **argv) {
    long threads = strtol(argv[1], NULL, 10), together = strtol(argv[2], NULL, 10);
    pthread_t *ids = malloc(together * sizeof(*ids));
    size_t bytes;

    pages = strtol(argv[3], NULL, 10);
    bytes = threads * pages * 4096;
    memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED)
        die("mmap");
    madvise(memory, bytes, MADV_NOHUGEPAGE);
    for (long first = 0; first < threads; first += together) {
        for (long i = 0; i < together; i++)
            if (pthread_create(&ids[i], NULL, touch_own, (void *)(first + i)))
                die("pthread_create");
        for (long i = 0; i < together; i++)
            pthread_join(ids[i], NULL);
    }
    printf("%lx-%lx\n", (uintptr_t)memory, (uintptr_t)memory + bytes);
    return 0;
}
