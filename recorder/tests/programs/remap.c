/*
 * Maps one page of two files in turn at one address and touches it, while memory that mremap has
 * moved, and of which no record tells, is touched in between.
 * Usage: remap FILE_A FILE_B PAGE ROUNDS
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

static volatile char sum;

static void touch(const char *path, char *at, off_t page) {
    int file = open(path, O_RDONLY);
    char *map = mmap(at, 4096, PROT_READ, MAP_SHARED | MAP_FIXED, file, page * 4096);

    if (file < 0 || map != at)
        exit(1);
    sum += *map;
    close(file);
}

int main(int argc, char **argv) {
    size_t page = strtoul(argv[3], NULL, 10), rounds = strtoul(argv[4], NULL, 10), size = 4096;
    char *at = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    char *moving = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    for (size_t i = 0; i < rounds; i++) {
        touch(argv[1], at, page);
        moving = mremap(moving, size, size + 4096, MREMAP_MAYMOVE);
        size += 4096;
        moving[size - 1] = 1;
        touch(argv[2], at, page);
    }
    return argc != 5;
}
