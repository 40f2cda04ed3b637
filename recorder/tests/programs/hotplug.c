/*
 * Maps a file and touches it on a CPU that it takes offline at once, goes on elsewhere, and comes back when
 * the CPU is online again. Prints how many pages without a file it touched. Usage: hotplug CPU FILE
 */
#include "touch.h"
#include <fcntl.h>
#include <sched.h>
#include <sys/stat.h>

static void run_on(int cpu) {
    cpu_set_t set;

    CPU_ZERO(&set);
    CPU_SET(cpu, &set);
    if (sched_setaffinity(0, sizeof(set), &set))
        die("sched_setaffinity");
}

static void turn(int cpu, const char *state) {
    char path[64];
    int file;

    snprintf(path, sizeof(path), "/sys/devices/system/cpu/cpu%d/online", cpu);
    file = open(path, O_WRONLY);
    if (file < 0 || write(file, state, 1) != 1)
        die(path);
    close(file);
}

static size_t touch_anonymous(size_t pages) {
    size_t bytes = pages * 4096;
    volatile char *map = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (map == MAP_FAILED || madvise((void *)map, bytes, MADV_NOHUGEPAGE))
        die("mmap");
    for (size_t page = 0; page < pages; page++)
        map[page * 4096] = 1;
    munmap((void *)map, bytes);
    return pages;
}

int main(int argc, char **argv) {
    int cpu = argc == 3 ? atoi(argv[1]) : 0, file;
    const volatile char *map;
    struct stat status;
    size_t touches = 0;

    if (cpu == 0)
        die("usage: hotplug CPU FILE");
    run_on(cpu);
    file = open(argv[2], O_RDONLY);
    if (file < 0 || fstat(file, &status))
        die(argv[2]);
    map = mmap(NULL, (size_t)status.st_size, PROT_READ, MAP_SHARED, file, 0);
    if (map == MAP_FAILED || madvise((void *)map, (size_t)status.st_size, MADV_RANDOM))
        die("mmap");
    for (off_t at = 0; at < status.st_size; at += 4096)
        touched = map[at];
    run_on(0);
    turn(cpu, "0");
    touches += touch_anonymous(512);
    /* as long as whoever follows the CPUs may need */
    usleep(300000);
    turn(cpu, "1");
    run_on(cpu);
    touches += touch_anonymous(512);
    usleep(300000);
    touches += touch_anonymous(512);
    printf("%zu\n", touches);
    return 0;
}
