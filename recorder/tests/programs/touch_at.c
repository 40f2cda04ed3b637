/*
 * Writes to the first byte of so many pages of fresh memory at a place that is known beforehand.
 * Usage: touch_at ADDRESS PAGES, the address in hexadecimal.
 */
#include "touch.h"

#ifndef MAP_FIXED_NOREPLACE
#define MAP_FIXED_NOREPLACE 0x100000
#endif

int main(int argc, char **argv) {
    size_t page = (size_t)sysconf(_SC_PAGESIZE), count = argc == 3 ? strtoul(argv[2], NULL, 10) : 0;
    void *wanted = (void *)(argc == 3 ? strtoul(argv[1], NULL, 16) : 0);
    volatile char *map = mmap(wanted, count * page, PROT_READ | PROT_WRITE,
                              MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);

    if (map != wanted)
        die("mmap");
    /* One fault, one page. */
    madvise((void *)map, count * page, MADV_NOHUGEPAGE);
    for (size_t i = 0; i < count; i++)
        map[i * page] = 1;
    return 0;
}
