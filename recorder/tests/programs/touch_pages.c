/*
 * Touches pages one by one, each for the first time: of fresh memory; huge ones of it; or every STRIDE-th of
 * a file or block device that it evicts from the page cache before. Usage: touch_pages COUNT [huge | FILE
 * STRIDE]
 */
#include "touch.h"
#include <fcntl.h>

/* One fault, one page: no huge pages, or nothing else. */
static char *fresh(size_t bytes, size_t huge) {
    char *map = mmap(NULL, bytes + huge, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (map == MAP_FAILED)
        die("mmap");
    if (huge)
        map += huge - (uintptr_t)map % huge;
    madvise(map, bytes, huge ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
    return map;
}

/* No read-ahead either. */
static char *cold(const char *path, size_t bytes) {
    int file = open(path, O_RDONLY);
    char *map;

    if (file < 0 || fsync(file))
        die(path);
    if (posix_fadvise(file, 0, 0, POSIX_FADV_DONTNEED))
        die("posix_fadvise");
    map = mmap(NULL, bytes, PROT_READ, MAP_SHARED, file, 0);
    if (map == MAP_FAILED)
        die("mmap");
    madvise(map, bytes, MADV_RANDOM);
    return map;
}

int main(int argc, char **argv) {
    size_t count = strtoul(argv[1], NULL, 10);
    size_t page = (size_t)sysconf(_SC_PAGESIZE), huge = argc == 3 ? 512 * page : 0;
    size_t step = argc > 3 ? strtoul(argv[3], NULL, 10) * page : huge ? huge : page;
    volatile char *map = argc > 3 ? cold(argv[2], (count + 1) * step) : fresh((count + 1) * step, huge);
    struct touch *touches = new_touches(count + 1);
    struct rusage before;

    /* The first has the faults of this program's own code in it, and is not told of. */
    for (size_t i = 0; i <= count; i++) {
        volatile char *at = map + i * step;

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
