/*
 * Threads that do nothing but fault: each touches its memory, page by page, and gives it back to the kernel,
 * again and again. Usage: fault_storm THREADS ROUNDS PAGES
 */
#include "touch.h"
#include <pthread.h>

static long rounds, pages;

static void *storm(void *unused) {
    char *memory = mmap(NULL, pages * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (memory == MAP_FAILED || madvise(memory, pages * 4096, MADV_NOHUGEPAGE))
        die("mmap");
    for (long round = 0; round < rounds; round++) {
        for (long page = 0; page < pages; page++)
            memory[page * 4096] = 1;
        madvise(memory, pages * 4096, MADV_DONTNEED);
    }
    return unused;
}

int main(int argc, char **argv) {
    long count = strtol(argv[1], NULL, 10);
    pthread_t threads[64];

    rounds = strtol(argv[2], NULL, 10);
    pages = strtol(argv[3], NULL, 10);
    if (count > 64)
        count = 64;
    for (long i = 0; i < count; i++)
        if (pthread_create(&threads[i], NULL, storm, NULL))
            die("pthread_create");
    for (long i = 0; i < count; i++)
        pthread_join(threads[i], NULL);
    return 0;
}
