/* Memory whose pages a thread of the program serves itself, through userfaultfd. */
#ifndef SERVED_H
#define SERVED_H

#include "touch.h"
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <pthread.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>

/* Each fault is a struct uffd_msg to read here. */
static int faults;
static size_t page;

/* `serve` reads the faults in a thread of its own, and answers with the contents that it is given. */
static char *served_memory(size_t bytes, void *(*serve)(void *)) {
    struct uffdio_api api = {.api = UFFD_API};
    struct uffdio_register range = {.mode = UFFDIO_REGISTER_MODE_MISSING};
    char *map = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    char *contents = aligned_alloc(page, page);
    pthread_t server;

    if (map == MAP_FAILED || madvise(map, bytes, MADV_NOHUGEPAGE))
        die("mmap");
    memset(contents, 1, page);
    faults = (int)syscall(SYS_userfaultfd, O_CLOEXEC);
    range.range.start = (uintptr_t)map;
    range.range.len = bytes;
    if (faults < 0 || ioctl(faults, UFFDIO_API, &api) || ioctl(faults, UFFDIO_REGISTER, &range) ||
        pthread_create(&server, NULL, serve, contents))
        die("userfaultfd");
    return map;
}

/* The page that a fault asks for. */
static struct uffdio_copy asked_for(const struct uffd_msg *fault, const void *contents) {
    return (struct uffdio_copy){
        .dst = fault->arg.pagefault.address & ~(page - 1), .src = (uintptr_t)contents, .len = page};
}

#endif
