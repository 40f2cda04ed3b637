/*
 * Touches pages that are not there: COUNT past the end of a file (SIGBUS), then COUNT without any right
 * (SIGSEGV), and lives on.
 * Usage: failed_faults COUNT FILE
 */
#include "touch.h"
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>

static sigjmp_buf back;

static void jump_back(int signal) {
    siglongjmp(back, signal);
}

static void touch_in_vain(struct touch *touch, volatile char *at) {
    /* static: siglongjmp leaves locals undefined */
    static struct rusage before;

    touch_begin(touch, at, &before);
    if (sigsetjmp(back, 1) == 0) {
        touched += *at;
        exit(1);
    }
    touch_end(touch, &before);
}

int main(int argc, char **argv) {
    size_t page = (size_t)sysconf(_SC_PAGESIZE), count = argc == 3 ? strtoul(argv[1], NULL, 10) : 0;
    struct touch *touches = new_touches(2 * count + 1);
    struct sigaction action = {.sa_handler = jump_back};
    int file = open(argv[2], O_RDONLY);
    char *past = mmap(NULL, (count + 1) * page, PROT_READ, MAP_SHARED, file, 0);
    char *barred = mmap(NULL, (count + 1) * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (file < 0 || past == MAP_FAILED || barred == MAP_FAILED || sigaction(SIGBUS, &action, NULL) ||
        sigaction(SIGSEGV, &action, NULL))
        die(argv[2]);
    /* A first one, for the faults of the handler itself; its place is overwritten. */
    touch_in_vain(&touches[0], barred + count * page);
    for (size_t i = 0; i < count; i++)
        touch_in_vain(&touches[i], past + (i + 1) * page);
    for (size_t i = 0; i < count; i++)
        touch_in_vain(&touches[count + i], barred + i * page);
    print_touches(touches, 2 * count);
    return 0;
}
