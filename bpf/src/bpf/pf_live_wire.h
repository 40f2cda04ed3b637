/* SPDX-License-Identifier: (GPL-2.0-only OR MIT) */
/*
 * Counts kept in the kernel, a slot for each thread: what the recorder maps and reads while the probes
 * write. How they are kept is in pf_live.h.
 */
#ifndef PF_LIVE_WIRE_H
#define PF_LIVE_WIRE_H

/*
 * Latencies by powers of two from 64 ns to 8.6 s, each cut into eight: a bucket is at most an eighth wide.
 * The first and the last one take what is beyond.
 */
enum pf_live_histogram {
    PF_LIVE_LOW_BIT = 6,
    PF_LIVE_CUT_BITS = 3,
    PF_LIVE_BUCKETS = 216,
};

/*
 * One thread, in 1024 bytes. It alone writes, so plain stores will do, and every count only grows. Behind the
 * slots of threads there is one for each CPU, for threads that found none: those have many writers, and only
 * sums.
 */
struct pf_live_slot {
    /* The cache line that every fault touches, besides that of its bucket. */
    __u32 tgid;
    __u32 tid; /* 0 until the slot is in use */
    __u64 majors;
    __u64 minors;
    __u64 total_ns; /* of all, failed ones as well; likewise what follows, and the histogram */
    __u64 max_ns;
    __u64 min_ns;  /* 0: none yet */
    __u64 maj_flt; /* of the task, at its latest fault */
    __u64 min_flt; /* likewise */
    char comm[16];
    __u64 since_ns;     /* its first fault entered, CLOCK_MONOTONIC */
    __u64 maj_flt_from; /* of the task, before its first fault */
    __u64 min_flt_from; /* likewise */
    /* The books: majors + minors + lost + hidden + filtered are what the kernel counted. */
    __u64 hidden;
    __u64 filtered;
    __u64 lost;
    __u64 failed;  /* counted by nobody else */
    __u64 crowded; /* slots of CPUs only: how many threads found no slot, and neither found one later nor
                      ended */
    __u64 pad[2];
    __u32 latencies[PF_LIVE_BUCKETS];
};

/* Who has a slot. A claim counts if it is the only one; a slot is given back by taking the claim away. */
struct pf_live_door {
    __u32 claims;
    __u32 pad;
    __u64 ended; /* the thread has ended: its slot can be read for the last time */
};

/* Free slots are offered in a ring of their indices. */
struct pf_live_ends {
    __u64 head; /* offered, by the recorder */
    __u64 pad1[7];
    __u64 tail; /* tried, by the probes: now and then more than taken */
    __u64 pad2[7];
};

/* Faults of the command before it was one: between fork and exec. */
struct pf_live_before {
    __u64 majors;
    __u64 minors;
};

/* What pf_task::live_slot says instead of the index of a slot + 1. */
enum pf_live_special {
    PF_LIVE_NONE = 0,
    PF_LIVE_ENDED = ~0U,    /* the task has ended */
    PF_LIVE_HELD = ~0U - 1, /* a child that is to become the command */
};

/*
 * What the slot of a task holds, once more in the task's state: there it is at hand at every fault, and what
 * is only written to the slot is not waited for.
 */
struct pf_live_counts {
    __u64 majors;
    __u64 minors;
    __u64 total_ns;
    __u64 max_ns;
    __u64 min_ns;
};

/* What slots know of a task already; in its state. */
struct pf_live_account {
    /* Of struct pf_task: told to a slot and not yet to a record. Without records they stay 0. */
    __u32 hidden;
    __u32 lost;
    __u32 filtered;
    __u32 crowded; /* it found no slot, and is counted so */
    __u32 begun;   /* a slot was told of it */
    __u32 pad;
    __u64 majors; /* maj_flt up to which a slot was told */
    __u64 minors;
};

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(map_flags, BPF_F_MMAPABLE);
    __uint(max_entries, 1); /* set before load */
    __type(key, __u32);
    __type(value, struct pf_live_slot);
} pf_live_slots SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(map_flags, BPF_F_MMAPABLE);
    __uint(max_entries, 1); /* set before load */
    __type(key, __u32);
    __type(value, struct pf_live_door);
} pf_live_doors SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(map_flags, BPF_F_MMAPABLE);
    __uint(max_entries, 1); /* set before load: a power of two */
    __type(key, __u32);
    __type(value, __u64);
} pf_live_ring SEC(".maps");

struct {
    __uint(type, BPF_MAP_TYPE_ARRAY);
    __uint(map_flags, BPF_F_MMAPABLE);
    __uint(max_entries, 1);
    __type(key, __u32);
    __type(value, struct pf_live_ends);
} pf_live_ends SEC(".maps");

const volatile __u8 pf_live;           /* count in the kernel */
const volatile __u8 pf_unrecorded;     /* and nothing but that: no record leaves it */
const volatile __u32 pf_live_room = 1; /* slots of threads */
const volatile __u32 pf_live_cpus = 1; /* slots of CPUs */
const volatile __u32 pf_live_ring_slots = 1;

/* The recorder needs the type. */
const enum pf_live_histogram *pf_unused_histogram __attribute__((unused));

struct pf_live_before pf_live_before;
__u64 pf_live_without_event; /* counted, and no software event told of it */
__u64 pf_live_unplaced;      /* with --file: in a mapping that could not be looked at */

#endif
