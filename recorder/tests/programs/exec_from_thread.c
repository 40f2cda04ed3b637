/* A second thread locks memory, which faults without an event, and then replaces the whole process. */
#include <pthread.h>
#include <stddef.h>
#include <sys/mman.h>
#include <unistd.h>

static void *replace(void *unused) {
    char *locked = mmap(NULL, 64 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    mlock(locked, 64 * 4096);
    execl("/bin/true", "true", (char *)NULL);
    return unused;
}

int main(void) {
    pthread_t thread;

    pthread_create(&thread, NULL, replace, NULL);
    for (;;)
        pause();
}
