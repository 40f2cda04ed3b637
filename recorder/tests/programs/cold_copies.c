/* Writes a cold mapping into another file, a page at a time: the kernel copies with page faults disabled
 * first. Usage: cold_copies SOURCE COPY PAGES */
#include "touch.h"
#include <fcntl.h>

int main(int argc, char **argv) {
    size_t pages = argc == 4 ? strtoul(argv[3], NULL, 10) : 0;
    int source = open(argv[1], O_RDONLY), copy = open(argv[2], O_WRONLY | O_CREAT, 0600);
    char *map;

    posix_fadvise(source, 0, 0, POSIX_FADV_DONTNEED);
    map = mmap(NULL, pages * 4096, PROT_READ, MAP_SHARED, source, 0);
    if (source < 0 || copy < 0 || map == MAP_FAILED || madvise(map, pages * 4096, MADV_RANDOM))
        die(argv[1]);
    for (size_t i = 0; i < pages; i++)
        if (write(copy, map + i * 4096, 4096) != 4096)
            die("write");
    return 0;
}
