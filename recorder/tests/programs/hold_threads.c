/*
 * So many threads at once, each of which writes to a page of its own and stays until all have. Prints the
 * faults that the kernel counted for this process. Usage: hold_threads THREADS
 */
#include "touch.h"
#include <errno.h>
#include <pthread.h>

#define STACK (32 * 1024)

static pthread_barrier_t all_there;
static char *pages;

static void *touch_own(void *index) {
    pages[(long)index * 4096] = 1;
    pthread_barrier_wait(&all_there);
    return NULL;
}

int main(int argc, char **argv) {
    long threads = argc == 2 ? strtol(argv[1], NULL, 10) : 0;
    pthread_t *ids = malloc(threads * sizeof(*ids));
    size_t bytes = threads * 4096;
    pthread_attr_t small;
    struct rusage usage;
    /* Stacks of one mapping: the kernel allows no two for each of so many threads. */
    char *stacks = mmap(NULL, threads * STACK, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    pages = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (stacks == MAP_FAILED || pages == MAP_FAILED || !ids)
        die("mmap");
    madvise(stacks, threads * STACK, MADV_NOHUGEPAGE);
    madvise(pages, bytes, MADV_NOHUGEPAGE);
    pthread_barrier_init(&all_there, NULL, threads + 1);
    pthread_attr_init(&small);
    for (long i = 0; i < threads; i++) {
        pthread_attr_setstack(&small, stacks + i * STACK, STACK);
        errno = pthread_create(&ids[i], &small, touch_own, (void *)i);
        if (errno)
            die("pthread_create");
    }
    pthread_barrier_wait(&all_there);
    for (long i = 0; i < threads; i++)
        pthread_join(ids[i], NULL);
    getrusage(RUSAGE_SELF, &usage);
    printf("%ld\n", usage.ru_majflt + usage.ru_minflt);
    return 0;
}
