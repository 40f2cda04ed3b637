// What a call costs: as it is, between two USDT probes, or probed itself. Built with and without -DPROBES.
//
// calls KIND BATCHES CALLS: prints the nanoseconds of CPU time per call of each batch, one per line. KIND is
// call, leaf or usdt. Waits before each batch until the recorder has had time to write what came before.
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#ifdef PROBES
#include <sys/sdt.h>
#define BEGIN(id, text) DTRACE_PROBE2(calls, work_begin, id, text)
#define END(id) DTRACE_PROBE1(calls, work_end, id)
#else
#define BEGIN(id, text)
#define END(id)
#endif

#define PAUSE_US 300000

// CPU time: what else runs on the machine is not what a probe costs.
static uint64_t now_ns(void) {
    struct timespec now;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

// Begins like most functions on x86-64, with a push, which the kernel emulates when there is a probe on it.
__attribute__((noinline)) void work(uint64_t id) {
    __asm__ volatile("push %%rbp; pop %%rbp" : : "r"(id) : "memory");
}

// Begins with what the kernel must single-step.
__attribute__((noinline)) void leaf(uint64_t id) {
    __asm__ volatile("cld" : : "r"(id) : "memory");
}

__attribute__((noinline)) static void calls(uint64_t count) {
    for (uint64_t id = 0; id < count; id++)
        work(id);
}

__attribute__((noinline)) static void leaves(uint64_t count) {
    for (uint64_t id = 0; id < count; id++)
        leaf(id);
}

__attribute__((noinline)) static void queries(uint64_t count, const char *text) {
    for (uint64_t id = 0; id < count; id++) {
        BEGIN(id, text);
        work(id);
        END(id);
    }
}

int main(int argc, char **argv) {
    if (argc != 4)
        return 2;
    const char *text = "SELECT name, price FROM articles WHERE id = 4711 AND price > 100 ORDER BY price DESC";
    long batches = atol(argv[2]), count = atol(argv[3]);

    for (long batch = 0; batch < batches; batch++) {
        usleep(PAUSE_US);
        uint64_t before = now_ns();
        if (strcmp(argv[1], "call") == 0)
            calls((uint64_t)count);
        else if (strcmp(argv[1], "leaf") == 0)
            leaves((uint64_t)count);
        else
            queries((uint64_t)count, text);
        printf("%.2f\n", (double)(now_ns() - before) / (double)count);
    }
}
