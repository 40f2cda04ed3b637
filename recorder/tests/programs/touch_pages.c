/*
 * Touches pages one by one, each for the first time: of fresh memory, or every STRIDE-th of a file or block
 * device that it evicts from the page cache before.
 * Usage: touch_pages COUNT [FILE STRIDE]
 */
#include "touch.h"
#include <fcntl.h>

static char *fresh(size_t bytes) {
    return mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

static char *cold(const char *path, size_t bytes) {
    int file = open(path, O_RDONLY);

    if (file < 0 || fsync(file))
        die(path);
    if (posix_fadvise(file, 0, 0, POSIX_FADV_DONTNEED))
        die("posix_fadvise");
    return mmap(NULL, bytes, PROT_READ, MAP_SHARED, file, 0);
}

int main(int argc, char **argv) {
    size_t count = strtoul(argv[1], NULL, 10);
    size_t page = (size_t)sysconf(_SC_PAGESIZE), stride = argc > 3 ? strtoul(argv[3], NULL, 10) : 1;
    struct touch *touches = new_touches(count + 1);
    struct rusage before;
    size_t bytes = (count + 1) * stride * page;
    volatile char *map = argc > 3 ? cold(argv[2], bytes) : fresh(bytes);

    if (map == MAP_FAILED)
        die("mmap");
    /* one fault, one page: no read-ahead, no huge pages */
    madvise((char *)map, bytes, argc > 3 ? MADV_RANDOM : MADV_NOHUGEPAGE);
    /* The first has the faults of this program's own code in it, and is not told of. */
    for (size_t i = 0; i <= count; i++) {
        volatile char *at = map + i * stride * page;

        touch_begin(&touches[i], at, &before);
        if (argc > 3)
            touched += *at;
        else
            *at = 1;
        touch_end(&touches[i], &before);
    }
    print_touches(touches + 1, count);
    return 0;
}
