/*
 * Lets the kernel fault in memory that the program never touches: with mlock, for direct I/O, and for reading
 * another process. One line for each: what, address, bytes, faults that the kernel counted meanwhile.
 * Usage: kernel_faults PAGES FILE
 */
#include "touch.h"
#include <fcntl.h>
#include <signal.h>
#include <sys/uio.h>
#include <sys/wait.h>

static size_t bytes;

static char *untouched(void) {
    char *map = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (map == MAP_FAILED)
        die("mmap");
    madvise(map, bytes, MADV_NOHUGEPAGE);
    return map;
}

static void lock(char *map) {
    if (mlock(map, bytes))
        die("mlock");
}

static int direct;

static void write_directly(char *map) {
    if (write(direct, map, bytes) != (ssize_t)bytes)
        die("write");
}

static pid_t other;
static char *copy;

static void read_another(char *map) {
    struct iovec to = {copy, bytes}, from = {map, bytes};

    if (process_vm_readv(other, &to, 1, &from, 1, 0) != (ssize_t)bytes)
        die("process_vm_readv");
}

static void count_faults_of(const char *name, void (*act)(char *), char *map) {
    struct rusage before, after;

    getrusage(RUSAGE_SELF, &before);
    act(map);
    getrusage(RUSAGE_SELF, &after);
    printf("%s,%lu,%zu,%ld\n", name, (unsigned long)(uintptr_t)map, bytes,
           after.ru_minflt + after.ru_majflt - before.ru_minflt - before.ru_majflt);
}

int main(int argc, char **argv) {
    char *shared_layout;

    setvbuf(stdout, calloc(1, 65536), _IOFBF, 65536);
    bytes = (size_t)sysconf(_SC_PAGESIZE) * (argc == 3 ? strtoul(argv[1], NULL, 10) : 0);
    copy = malloc(bytes);
    memset(copy, 1, bytes);
    count_faults_of("mlock", lock, untouched());
    /* not every file system has direct I/O */
    direct = open(argv[2], O_WRONLY | O_CREAT | O_DIRECT, 0600);
    if (direct >= 0)
        count_faults_of("direct", write_directly, untouched());
    shared_layout = untouched();
    fflush(stdout);
    other = fork();
    if (other == 0) {
        pause();
        _exit(0);
    }
    /* after the fork, which made its pages copy-on-write */
    memset(copy, 2, bytes);
    count_faults_of("remote", read_another, shared_layout);
    kill(other, SIGKILL);
    waitpid(other, NULL, 0);
    return 0;
}
