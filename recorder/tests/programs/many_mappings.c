/*
 * Maps single pages of a file, in an order that keeps them from being merged, and touches each hundredth.
 * Prints address and offset of those. Usage: many_mappings FILE MAPPINGS
 */
#include "touch.h"
#include <fcntl.h>

/* Mappings that the kernel merged would prove nothing. */
static long mappings(void) {
    FILE *maps = fopen("/proc/self/maps", "r");
    long lines = 0;
    int c;

    while ((c = getc(maps)) != EOF)
        lines += c == '\n';
    fclose(maps);
    return lines;
}

int main(int argc, char **argv) {
    long count = strtol(argv[2], NULL, 10);
    int file = open(argv[1], O_RDWR | O_CREAT, 0600);
    char **pages = malloc(count * sizeof(*pages));

    if (file < 0 || ftruncate(file, count * 4096))
        die(argv[1]);
    memset(pages, 0, count * sizeof(*pages));
    for (long i = 0; i < count; i++) {
        pages[i] = mmap(NULL, 4096, PROT_READ, MAP_SHARED, file, (count - 1 - (i ^ 1)) * 4096);
        if (pages[i] == MAP_FAILED)
            die("mmap");
    }
    if (mappings() < count) {
        fprintf(stderr, "the kernel merged mappings\n");
        return 1;
    }
    for (long i = 0; i < count; i += 100)
        touched += *(volatile char *)pages[i];
    for (long i = 0; i < count; i += 100)
        printf("%lx-%lx\n", (uintptr_t)pages[i], (count - 1 - (i ^ 1)) * 4096);
    return 0;
}
