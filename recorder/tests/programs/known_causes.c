/*
 * Faults whose cause the program knows. Prints its first address and the one behind the last, and how many
 * pages of the file came into memory meanwhile.
 *
 *   known_causes walk FILE PAGES     reads a cold file from its begin to its end, with the kernel's
 * read-ahead known_causes copy FILE PAGES     stores to pages of a private mapping that it has read before
 */
#include "touch.h"
#include <fcntl.h>

static size_t page;

static size_t resident(void *map, size_t pages) {
    unsigned char *states = malloc(pages);
    size_t count = 0;

    if (!states || mincore(map, pages * page, states))
        die("mincore");
    for (size_t i = 0; i < pages; i++)
        count += states[i] & 1;
    free(states);
    return count;
}

int main(int argc, char **argv) {
    size_t pages = argc == 4 ? strtoul(argv[3], NULL, 10) : 0, before;
    int stores, file = argc == 4 ? open(argv[2], O_RDONLY) : -1;
    volatile char *map;

    page = (size_t)sysconf(_SC_PAGESIZE);
    if (file < 0)
        die("known_causes walk | copy FILE PAGES");
    stores = !strcmp(argv[1], "copy");
    if (!stores && posix_fadvise(file, 0, 0, POSIX_FADV_DONTNEED))
        die("posix_fadvise");
    map = mmap(NULL, pages * page, PROT_READ | PROT_WRITE, MAP_PRIVATE, file, 0);
    if (map == MAP_FAILED)
        die("mmap");
    before = resident((void *)map, pages);
    for (size_t i = 0; i < pages; i++)
        touched += map[i * page];
    for (size_t i = 0; stores && i < pages; i++)
        map[i * page] = 1;
    printf("%lx %lx %zu\n", (unsigned long)map, (unsigned long)(map + pages * page),
           resident((void *)map, pages) - before);
    return 0;
}
