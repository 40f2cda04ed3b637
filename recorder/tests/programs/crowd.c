/*
 * PROCESSES processes of 65,000 mappings each, which wait to be ended; the first one ends the others.
 * Usage: crowd PROCESSES
 */
#define _GNU_SOURCE
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

#define MAPPINGS 65000

int main(int argc, char **argv) {
    long count = argc > 1 ? strtol(argv[1], NULL, 10) : 1;
    char *at = mmap(NULL, MAPPINGS * 4096L, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    if (at == MAP_FAILED)
        return 1;
    /* Every other one can be read, so none are merged. */
    for (long i = 0; i < MAPPINGS; i += 2)
        if (mprotect(at + i * 4096, 4096, PROT_READ))
            return 1;
    for (long i = 1; i < count; i++) {
        switch (fork()) {
        case -1:
            return 1;
        case 0:
            prctl(PR_SET_PDEATHSIG, SIGKILL);
            pause();
            return 0;
        }
    }
    pause();
    return 0;
}
