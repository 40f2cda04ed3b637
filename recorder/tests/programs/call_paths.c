/*
 * Touches pages through two known paths of calls: main > by_one > touch, N times, and main > by_two > touch,
 * M times. Then the kernel touches some for it: main > by_kernel. Usage: call_paths N M FILE
 */
#include "touch.h"
#include <fcntl.h>

#define NOINLINE __attribute__((noinline, noclone))

static char *pages;
static long next_page;

NOINLINE void nothing(void) {
    __asm__ volatile("" ::: "memory");
}

/* It calls something afterwards, so it is no leaf and has a frame of its own. */
NOINLINE void touch_one(void) {
    pages[next_page++ * 4096] = 1;
    nothing();
}

NOINLINE void by_one(void) {
    touch_one();
    nothing();
}

NOINLINE void by_two(void) {
    touch_one();
    nothing();
}

NOINLINE void by_kernel(int file) {
    if (read(file, pages + next_page * 4096, 4096) != 4096)
        die("read");
    next_page++;
    nothing();
}

int main(int argc, char **argv) {
    long one = strtol(argv[1], NULL, 10), two = strtol(argv[2], NULL, 10);
    int file = open(argv[3], O_RDONLY);
    size_t bytes = (one + two + 100) * 4096;

    pages = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (pages == MAP_FAILED || file < 0)
        die("mmap");
    madvise(pages, bytes, MADV_NOHUGEPAGE);
    for (long i = 0; i < one; i++)
        by_one();
    for (long i = 0; i < two; i++)
        by_two();
    for (int i = 0; i < 50; i++)
        by_kernel(file);
    return 0;
}
