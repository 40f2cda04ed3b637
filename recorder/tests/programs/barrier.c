/* A write barrier by page protection: each first store to a page ends in a signal, whose handler lets it
 * pass. Prints how many did. */
#include "touch.h"
#include <signal.h>

static volatile long handled;

static void let_pass(int number, siginfo_t *info, void *context) {
    (void)number;
    (void)context;
    handled++;
    mprotect((void *)((uintptr_t)info->si_addr & ~4095ul), 4096, PROT_READ | PROT_WRITE);
}

int main(void) {
    struct sigaction action = {.sa_sigaction = let_pass, .sa_flags = SA_SIGINFO};
    size_t pages = 2000;
    char *map = mmap(NULL, pages * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (map == MAP_FAILED)
        die("mmap");
    memset(map, 1, pages * 4096);
    sigaction(SIGSEGV, &action, NULL);
    for (int round = 0; round < 5; round++) {
        mprotect(map, pages * 4096, PROT_READ);
        for (size_t i = 0; i < pages; i++)
            map[i * 4096]++;
    }
    printf("%ld\n", handled);
    return 0;
}
