/*
 * Reads a cold mapping through another process that has it, so that the kernel takes all the faults for
 * itself. Prints the major faults that it counted for this process meanwhile. Usage: cold_remote FILE
 */
#include "touch.h"
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/wait.h>

int main(int argc, char **argv) {
    int fd = argc == 2 ? open(argv[1], O_RDONLY) : -1;
    struct rusage before, after;
    struct stat status;
    char *copy, *map;
    size_t bytes;
    pid_t other;

    if (fd < 0 || fstat(fd, &status))
        die("open");
    bytes = (size_t)status.st_size;
    map = mmap(NULL, bytes, PROT_READ, MAP_SHARED, fd, 0);
    if (map == MAP_FAILED || madvise(map, bytes, MADV_RANDOM))
        die("mmap");
    copy = malloc(bytes);
    memset(copy, 1, bytes);
    other = fork();
    if (other == 0) {
        pause();
        _exit(0);
    }
    memset(copy, 2, bytes);
    if (fdatasync(fd) || posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED))
        die("posix_fadvise");
    getrusage(RUSAGE_SELF, &before);
    struct iovec to = {copy, bytes}, from = {map, bytes};
    if (process_vm_readv(other, &to, 1, &from, 1, 0) != (ssize_t)bytes)
        die("process_vm_readv");
    getrusage(RUSAGE_SELF, &after);
    printf("%ld\n", after.ru_majflt - before.ru_majflt);
    kill(other, SIGKILL);
    waitpid(other, NULL, 0);
    return 0;
}
