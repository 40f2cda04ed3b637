/* Functions that are entered and left in all ways there are. Each touches as many fresh pages as it says. */
#define _GNU_SOURCE
#include <pthread.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PAGE = 4096, PAGES = 4096 };

static char *fresh;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static jmp_buf back;

#define QUERY __attribute__((noinline, noclone, used))

static void touch(int pages) {
    pthread_mutex_lock(&lock);
    char *mine = fresh;
    fresh += (long)pages * PAGE;
    pthread_mutex_unlock(&lock);
    for (int i = 0; i < pages; i++)
        *(volatile char *)(mine + (long)i * PAGE) = 1;
}

QUERY void inner(int pages) {
    touch(pages);
}

QUERY void outer(int number, const char *text) {
    touch(1);
    inner(2);
    touch(1);
    inner(3);
    /* So that neither is taken for unused. */
    if (number < 0)
        puts(text);
}

QUERY void thrower(void) {
    touch(2);
    longjmp(back, 1);
}

QUERY int deep(int depth) {
    touch(1);
    return depth > 1 ? deep(depth - 1) + 1 : 1;
}

QUERY void ends_thread(void) {
    touch(4);
    pthread_exit(NULL);
}

QUERY void execs(void) {
    touch(5);
    execl("/bin/true", "true", NULL);
}

QUERY void forks(void) {
    touch(1);
    pid_t child = fork();
    if (child == 0) {
        touch(2);
        _exit(0);
    }
    waitpid(child, NULL, 0);
    touch(1);
}

QUERY void stays(void) {
    touch(6);
    puts("stays");
    fflush(stdout);
    pause();
}

static void *thread(void *unused) {
    (void)unused;
    ends_thread();
    return NULL;
}

int main(int argc, char **argv) {
    /* On the stack: what was never touched is not in memory, and cannot be read when the call begins. */
    char shorter[] = "a short text";
    char *text = malloc(1000);
    pthread_t other;

    (void)argc;
    fresh = mmap(NULL, (long)PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    madvise(fresh, (long)PAGES * PAGE, MADV_NOHUGEPAGE);
    memset(text, 'x', 999);
    text[999] = 0;

    outer(7, shorter);
    outer(8, text);
    if (!setjmp(back))
        thrower();
    touch(3);
    inner(1);
    deep(20);
    pthread_create(&other, NULL, thread, NULL);
    pthread_join(other, NULL);
    forks();
    if (!fork())
        execs();
    wait(NULL);
    if (argv[1] && !strcmp(argv[1], "stay"))
        stays();
    return 0;
}
