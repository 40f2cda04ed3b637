/*
 * Touches every STRIDE-th page of a file that it evicts from the page cache before, and reads from the kernel
 * how long it stood in the run queue meanwhile. Prints address and nanoseconds of each touch. Usage:
 * run_delay COUNT FILE STRIDE
 */
#include "touch.h"
#include <fcntl.h>

static int schedstat;

/* Second number: nanoseconds in the run queue so far. */
static uint64_t run_delay(void) {
    char text[128];
    ssize_t bytes = pread(schedstat, text, sizeof(text) - 1, 0);
    char *second;

    if (bytes <= 0)
        die("schedstat");
    text[bytes] = 0;
    second = strchr(text, ' ');
    return second ? strtoull(second, NULL, 10) : 0;
}

int main(int argc, char **argv) {
    size_t count = strtoul(argv[1], NULL, 10), page = (size_t)sysconf(_SC_PAGESIZE);
    size_t step = (argc == 4 ? strtoul(argv[3], NULL, 10) : 1) * page, bytes = (count + 1) * step;
    int file = open(argv[2], O_RDONLY);
    uint64_t *delays = malloc((count + 1) * sizeof(*delays));
    volatile char *map;

    schedstat = open("/proc/thread-self/schedstat", O_RDONLY);
    if (file < 0 || schedstat < 0 || fsync(file) || posix_fadvise(file, 0, 0, POSIX_FADV_DONTNEED))
        die(argv[2]);
    memset(delays, 1, (count + 1) * sizeof(*delays));
    map = mmap(NULL, bytes, PROT_READ, MAP_SHARED, file, 0);
    if (map == MAP_FAILED)
        die("mmap");
    madvise((char *)map, bytes, MADV_RANDOM);
    /* The first has the faults of this program's own code in it, and is not told of. */
    for (size_t i = 0; i <= count; i++) {
        uint64_t before = run_delay();

        touched += map[i * step];
        delays[i] = run_delay() - before;
    }
    for (size_t i = 1; i <= count; i++)
        printf("%lu,%lu\n", (unsigned long)(uintptr_t)(map + i * step), (unsigned long)delays[i]);
    return 0;
}
