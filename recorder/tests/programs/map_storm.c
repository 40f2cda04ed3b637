/*
 * Maps a page of a file, touches it and unmaps it, again and again; then maps PAGES pages and keeps them.
 * They are touched when the file `go` is there; then it ends when `end` is there. Prints address and offset
 * of the touched pages. Usage: map_storm FILE TIMES PAGES, in the folder of `go` and `end`; makes `mapped`
 * and `touched`.
 */
#include "touch.h"
#include <fcntl.h>

static void tell(const char *name) {
    FILE *file = fopen(name, "w");

    if (!file || fputs("\n", file) < 0 || fclose(file))
        die(name);
}

static void await(const char *name) {
    while (access(name, F_OK))
        usleep(10000);
}

int main(int argc, char **argv) {
    int file = open(argv[1], O_RDWR | O_CREAT, 0600);
    long times = strtol(argv[2], NULL, 10), pages = strtol(argv[3], NULL, 10);
    char *kept;

    if (file < 0 || ftruncate(file, pages * 4096))
        die(argv[1]);
    for (long i = 0; i < times; i++) {
        char *page = mmap(NULL, 4096, PROT_READ, MAP_SHARED, file, 0);

        if (page == MAP_FAILED)
            die("mmap");
        touched += *(volatile char *)page;
        munmap(page, 4096);
    }
    /* Writes to pages of one's own are a fault each, whatever the kernel maps around others. */
    kept = mmap(NULL, pages * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE, file, 0);
    if (kept == MAP_FAILED)
        die("mmap");
    tell("mapped");
    await("go");
    for (long i = 0; i < pages; i++)
        kept[i * 4096] = 1;
    for (long i = 0; i < pages; i++)
        fprintf(stderr, "%lx-%lx\n", (uintptr_t)(kept + i * 4096), (unsigned long)(i * 4096));
    tell("touched");
    await("end");
    return 0;
}
