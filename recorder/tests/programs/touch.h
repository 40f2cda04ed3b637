/*
 * A program's own view of the pages it touches: what recordings are measured against. Each touch is one
 * access with the time before and after it, and what the kernel counted for this thread in between.
 */
#ifndef TOUCH_H
#define TOUCH_H

#define _GNU_SOURCE
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

struct touch {
    uint64_t address, begin_ns, end_ns;
    /* known to last at least as long; 0 if nothing is known */
    uint64_t served_ns;
    long majors, minors, preemptions;
};

static volatile char touched;

static inline void die(const char *what) {
    perror(what);
    exit(1);
}

static inline uint64_t now_ns(void) {
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* Room for so many touches that faults no more. */
static inline struct touch *new_touches(size_t count) {
    struct touch *touches = malloc(count * sizeof(*touches));

    if (!touches)
        die("malloc");
    memset(touches, 1, count * sizeof(*touches));
    return touches;
}

/* What happened since `touch_begin` is the touch's. */
static inline void touch_begin(struct touch *touch, const volatile void *address, struct rusage *before) {
    getrusage(RUSAGE_THREAD, before);
    touch->address = (uintptr_t)address;
    touch->served_ns = 0;
    touch->begin_ns = now_ns();
}

static inline void touch_end(struct touch *touch, const struct rusage *before) {
    struct rusage after;

    touch->end_ns = now_ns();
    getrusage(RUSAGE_THREAD, &after);
    touch->majors = after.ru_majflt - before->ru_majflt;
    touch->minors = after.ru_minflt - before->ru_minflt;
    touch->preemptions = after.ru_nivcsw - before->ru_nivcsw;
}

/* All of it at the end: printing faults, too. */
static inline void print_touches(const struct touch *touches, size_t count) {
    puts("address,begin_ns,end_ns,served_ns,majors,minors,preemptions");
    for (size_t i = 0; i < count; i++)
        printf("%lu,%lu,%lu,%lu,%ld,%ld,%ld\n", touches[i].address, touches[i].begin_ns, touches[i].end_ns,
               touches[i].served_ns, touches[i].majors, touches[i].minors, touches[i].preemptions);
}

#endif
