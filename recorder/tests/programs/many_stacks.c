/*
 * Touches a page by each of 2^BITS paths of calls. Usage: many_stacks BITS
 */
#include "touch.h"

#define PATH __attribute__((noinline, noclone)) static void

static char *memory;
PATH right(long path, long bits);

PATH touch(long path) {
    memory[path * 4096] = 1;
}

PATH left(long path, long bits) {
    if (!bits)
        touch(path);
    else if (path >> (bits - 1) & 1)
        right(path, bits - 1);
    else
        left(path, bits - 1);
    touched++;
}

PATH right(long path, long bits) {
    if (!bits)
        touch(path);
    else if (path >> (bits - 1) & 1)
        right(path, bits - 1);
    else
        left(path, bits - 1);
    touched--;
}

int main(int argc, char **argv) {
    long bits = strtol(argv[1], NULL, 10);

    memory = mmap(NULL, 4096L << bits, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED)
        die("mmap");
    madvise(memory, 4096L << bits, MADV_NOHUGEPAGE);
    for (long path = 0; path < 1L << bits; path++)
        left(path, bits);
    return argc != 2;
}
