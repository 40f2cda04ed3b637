// Touches each page of FILE from two threads whose names are made to steer a terminal.
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *names[] = {"\x1b[2J\xc2\x9b\xe2\x80\xae\xe2\x81\xa6!", "a\nb\rc\x9b\xff\x07"};
static const char *memory;
static size_t length;

static void *touch(void *name) {
    static volatile char sink;

    prctl(PR_SET_NAME, name);
    for (size_t at = 0; at < length; at += 4096) {
        sink = memory[at];
        usleep(20000);
    }
    return NULL;
}

int main(int argc, char **argv) {
    struct stat meta;
    int file = argc > 1 ? open(argv[1], O_RDONLY) : -1;

    if (file < 0 || fstat(file, &meta) != 0) {
        perror("FILE");
        return 1;
    }
    length = meta.st_size;
    for (int i = 0; i < 2; i++) {
        pthread_t thread;

        memory = mmap(NULL, length, PROT_READ, MAP_PRIVATE, file, 0);
        if (memory == MAP_FAILED)
            return 1;
        pthread_create(&thread, NULL, touch, (void *)names[i]);
        pthread_join(thread, NULL);
    }
    return 0;
}
