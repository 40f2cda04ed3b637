/* Reads a file into fresh memory through io_uring, by its workers: they take the faults. Usage: workers FILE
 * PAGES */
#include "touch.h"
#include <fcntl.h>
#include <linux/io_uring.h>
#include <sys/syscall.h>

int main(int argc, char **argv) {
    size_t pages = argc == 3 ? strtoul(argv[2], NULL, 10) : 0;
    struct io_uring_params params = {0};
    int file = open(argv[1], O_RDONLY), ring = (int)syscall(SYS_io_uring_setup, 4, &params);
    char *map = mmap(NULL, pages * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    size_t bytes = params.sq_off.array + params.sq_entries * sizeof(unsigned);
    struct io_uring_sqe *entries;
    char *submissions;

    if (ring < 0 || file < 0 || map == MAP_FAILED || madvise(map, pages * 4096, MADV_NOHUGEPAGE)) {
        perror("io_uring");
        return 77;
    }
    submissions = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, ring, IORING_OFF_SQ_RING);
    entries = mmap(NULL, params.sq_entries * sizeof(*entries), PROT_READ | PROT_WRITE, MAP_SHARED, ring,
                   IORING_OFF_SQES);
    if (submissions == MAP_FAILED || entries == MAP_FAILED)
        die("mmap");
    memset(entries, 0, sizeof(*entries));
    entries->opcode = IORING_OP_READ;
    entries->flags = IOSQE_ASYNC;
    entries->fd = file;
    entries->addr = (uintptr_t)map;
    entries->len = (unsigned)(pages * 4096);
    ((unsigned *)(submissions + params.sq_off.array))[0] = 0;
    __atomic_store_n((unsigned *)(submissions + params.sq_off.tail), 1, __ATOMIC_RELEASE);
    if (syscall(SYS_io_uring_enter, ring, 1, 1, IORING_ENTER_GETEVENTS, NULL, 0) != 1)
        die("io_uring_enter");
    printf("%lu\n", (uintptr_t)map);
    return 0;
}
