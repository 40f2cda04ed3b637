/* SPDX-License-Identifier: (GPL-2.0-only OR MIT) */
/*
 * The wire contract between the probes and the recorder: what crosses the ring buffer, and the
 * globals both sides see. Rust gets these types from the skeleton; the stored record of a .pfz
 * file is another type, and recorder/src/session converts.
 */
#ifndef PF_WIRE_H
#define PF_WIRE_H

/* First byte of every ring-buffer record. */
enum pf_kind {
    PF_FAULT = 1, /* struct pf_fault */
    PF_EXIT = 2,  /* struct pf_exit */
};

enum pf_access {
    PF_ACCESS_UNKNOWN = 0,
    PF_ACCESS_READ = 1,
    PF_ACCESS_WRITE = 2,
    PF_ACCESS_EXEC = 3,
};

enum pf_origin {
    PF_ORIGIN_USER = 0,
    PF_ORIGIN_KERNEL = 1,
    PF_ORIGIN_GUP = 2,
    PF_ORIGIN_GUP_REMOTE = 3,
};

/* Which tasks are recorded. */
enum pf_target {
    PF_TARGET_ALL = 0,  /* every task but those of the recorder */
    PF_TARGET_TREE = 1, /* the processes in pf_roots, and all their descendants */
    PF_TARGET_PIDS = 2, /* the processes in pf_roots only */
};

/*
 * The task's own counters, read by the task itself just after the kernel counted this fault. They
 * let the reader prove that nothing is missing: between two records of a task
 *     delta(maj_flt + min_flt) == lost + hidden, + 1 if the second one is a counted fault.
 */
struct pf_task_counts {
    __u32 maj_flt; /* low half of task_struct::maj_flt */
    __u32 min_flt; /* low half of task_struct::min_flt */
    __u32 lost;    /* since the last record: faults the probes saw and could not pass on */
    __u32 hidden;  /* since the last record: counted by the kernel without an event (GUP) */
};

/* One logical page fault. */
struct pf_fault {
    __u8 kind; /* PF_FAULT */
    __u8 major;
    __u8 failed;
    __u8 access; /* enum pf_access */
    __u8 origin; /* enum pf_origin */
    __u8 retries;
    __u16 cpu;   /* where it entered */
    __u64 ts_ns; /* entry, CLOCK_MONOTONIC */
    __u64 latency_ns;
    __u64 address;
    __u64 ip;
    __u32 tgid;
    __u32 tid;
    struct pf_task_counts counts;
};

/* The end of a recorded thread. */
struct pf_exit {
    __u8 kind; /* PF_EXIT */
    __u8 pad[7];
    __u64 ts_ns;
    __u32 tgid;
    __u32 tid;
    struct pf_task_counts counts;
};

/* Why an event did not become a record, or was not whole. Counted since the probes were attached. */
struct pf_drops {
    __u64 reserve;    /* the ring buffer was full */
    __u64 no_entry;   /* completion without an entry: the latency would be unknown */
    __u64 state;      /* no memory for the state of a task */
    __u64 unfinished; /* entry without completion: failed, retried from user mode, or not a real fault */
    __u64 exits;      /* the ring buffer was full for a pf_exit */
};

#endif
