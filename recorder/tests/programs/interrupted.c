/*
 * Touches pages that come late, one after the other, while signals arrive, and adds up how long its loads
 * took. Usage: interrupted COUNT SOURCE SIGNAL EVERY_US
 *
 * SOURCE is a delay in microseconds, for pages that it serves itself, or STRIDE:PATH for those of a file or
 * device.
 *
 * SIGNAL is one of
 * - timer: SIGALRM every EVERY_US microseconds; 0: none
 * - lock: the same, and before each touch the kernel brings in a page for mlock
 * - stop: SIGSTOP by another process EVERY_US after each touch began, and SIGCONT 50 ms later
 * - kill: the process is killed EVERY_US after the last touch began
 * - jump: the timer's handler leaves by siglongjmp, and the page is not touched again
 *
 * Prints the nanoseconds in loads, the signals that arrived, the address of the first page, and the
 * nanoseconds that a signal takes from a thread that does not wait.
 */
#include "served.h"
#include <setjmp.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/time.h>
#include <sys/wait.h>

static size_t delay_us;
static sigjmp_buf back;
static volatile sig_atomic_t arrived, jumps, can_jump;

static void sleep_us(size_t us) {
    struct timespec left = {.tv_sec = us / 1000000, .tv_nsec = us % 1000000 * 1000};

    while (nanosleep(&left, &left))
        ;
}

static void *serve(void *contents) {
    struct uffd_msg message;
    uint64_t last = 0;

    while (read(faults, &message, sizeof(message)) == sizeof(message)) {
        struct uffdio_copy copy = asked_for(&message, contents);

        /* Asked for again after each interruption: it is on its way, or there already. */
        if (copy.dst == last)
            continue;
        last = copy.dst;
        sleep_us(delay_us);
        if (ioctl(faults, UFFDIO_COPY, &copy))
            die("UFFDIO_COPY");
    }
    die("userfaultfd");
    return NULL;
}

static char *file_memory(const char *path, size_t bytes) {
    int file = open(path, O_RDONLY);
    char *map;

    if (file < 0)
        die(path);
    posix_fadvise(file, 0, 0, POSIX_FADV_DONTNEED);
    map = mmap(NULL, bytes, PROT_READ, MAP_SHARED, file, 0);
    if (map == MAP_FAILED || madvise(map, bytes, MADV_RANDOM))
        die(path);
    return map;
}

static void on_signal(int number) {
    if (jumps && !can_jump)
        return;
    arrived++;
    if (jumps)
        siglongjmp(back, number);
}

static void tick(size_t every_us) {
    struct itimerval timer = {{0, every_us}, {0, every_us}};

    if (setitimer(ITIMER_REAL, &timer, NULL))
        die("setitimer");
}

static int by_size(const void *left, const void *right) {
    uint64_t a = *(const uint64_t *)left, b = *(const uint64_t *)right;

    return a < b ? -1 : a > b;
}

/* What delivering a signal, its handler and the way back take: the median of many, of a thread that only
 * reads the clock. */
static uint64_t signal_ns(void) {
    enum { SIGNALS = 201 };
    uint64_t gaps[SIGNALS], last = now_ns();

    tick(200);
    for (int i = 0, before = arrived; i < SIGNALS;) {
        uint64_t now = now_ns();

        if (arrived != before) {
            gaps[i++] = now_ns() - last;
            before = arrived;
        }
        last = now;
    }
    tick(0);
    qsort(gaps, SIGNALS, sizeof(*gaps), by_size);
    arrived = 0;
    return gaps[SIGNALS / 2];
}

/* Another process does to this one what `how` says, each time a byte comes. */
static int watcher(const char *how, size_t after_us) {
    int pipe_ends[2];
    char byte;

    if (pipe(pipe_ends))
        die("pipe");
    if (!fork()) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        close(pipe_ends[1]);
        while (read(pipe_ends[0], &byte, 1) == 1) {
            sleep_us(after_us);
            if (!strcmp(how, "kill"))
                kill(getppid(), SIGKILL);
            kill(getppid(), SIGSTOP);
            sleep_us(50000);
            kill(getppid(), SIGCONT);
        }
        _exit(0);
    }
    close(pipe_ends[0]);
    return pipe_ends[1];
}

int main(int argc, char **argv) {
    size_t count = strtoul(argv[1], NULL, 10), every_us = strtoul(argv[4], NULL, 10), stride = 1;
    const char *how = argc == 5 ? argv[3] : "", *path = strchr(argv[2], ':');
    struct sigaction action = {.sa_handler = on_signal};
    sigset_t alarms;
    uint64_t total = 0, signal_takes = 0;
    volatile char *map;
    char *locked = mmap(NULL, count * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    int watch = -1;

    page = (size_t)sysconf(_SC_PAGESIZE);
    sigaction(SIGALRM, &action, NULL);
    sigemptyset(&alarms);
    sigaddset(&alarms, SIGALRM);
    /* The thread that serves is not interrupted. */
    sigprocmask(SIG_BLOCK, &alarms, NULL);
    if (!strcmp(how, "stop") || !strcmp(how, "kill"))
        watch = watcher(how, every_us);
    if (path) {
        stride = strtoul(argv[2], NULL, 10);
        map = file_memory(path + 1, (count + 1) * stride * page);
    } else {
        delay_us = strtoul(argv[2], NULL, 10);
        map = served_memory((count + 1) * page, serve);
        /* The server's own first faults. */
        touched += map[count * page];
    }
    sigprocmask(SIG_UNBLOCK, &alarms, NULL);
    if ((!strcmp(how, "timer") || !strcmp(how, "jump")) && every_us)
        signal_takes = signal_ns();
    jumps = !strcmp(how, "jump");
    if (watch < 0 && every_us)
        tick(every_us);
    for (volatile size_t i = 0; i < count; i++) {
        uint64_t begin;

        if (watch >= 0 && (strcmp(how, "kill") || i + 1 == count) && write(watch, "", 1) != 1)
            die("write");
        if (watch >= 0 && !strcmp(how, "kill") && i + 1 == count) {
            printf("%lu,%d,%lu,%lu\n", total, arrived, (uintptr_t)map, signal_takes);
            fflush(stdout);
        }
        if (!strcmp(how, "lock") && mlock(locked + i * 4096, 4096))
            die("mlock");
        begin = now_ns();
        if (!jumps || !sigsetjmp(back, 1)) {
            can_jump = 1;
            touched += map[i * stride * page];
        }
        total += now_ns() - begin;
    }
    jumps = 0;
    if (watch < 0 && every_us)
        tick(0);
    printf("%lu,%d,%lu,%lu\n", total, arrived, (uintptr_t)map, signal_takes);
    return 0;
}
