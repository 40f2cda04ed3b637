/* SPDX-License-Identifier: (GPL-2.0-only OR MIT) */
/*
 * The wire contract between the probes and the recorder: the records, and the globals both sides see.
 * Rust gets these types from the skeleton; the stored record of a .pfz file is another type, and
 * recorder/src/session converts.
 */
#ifndef PF_WIRE_H
#define PF_WIRE_H

/* First byte of every record. */
enum pf_kind {
    PF_FAULT = 1, /* struct pf_fault: in the lanes, or in the ring where a CPU has no lane */
    PF_EXIT = 2,  /* struct pf_exit: in the ring */
    PF_STACK = 3, /* struct pf_stack: in the ring, before the first fault that names it */
    PF_WAKE = 4,  /* a single byte in the ring: a lane fills up */
};

enum pf_flag {
    PF_MAJOR = 1,
    PF_FAILED = 2,
    PF_HAS_MORE = 4,         /* pf_fault.more is filled */
    PF_HAS_VMA = 8,          /* more.dev, inode and file_page are known */
    PF_HAS_BREAKDOWN = 0x10, /* more.blocked_ns to lock_ns are known */
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
    PF_TARGET_ALL = 0,    /* every task but those of the recorder */
    PF_TARGET_TREE = 1,   /* the processes in pf_roots, and all their descendants */
    PF_TARGET_PIDS = 2,   /* the processes in pf_roots only */
    PF_TARGET_CGROUP = 3, /* whoever is in the cgroup, or below it, at the time of the fault */
};

/* How a stack ended. */
enum pf_stack_end {
    PF_STACK_WHOLE = 0,
    PF_STACK_NOT_RESIDENT = 1, /* a frame is not in memory, and cannot be faulted in from here */
    PF_STACK_DEPTH = 2,
    PF_STACK_GARBAGE = 3, /* the chain of frame pointers leads nowhere */
};

#define PF_STACK_FRAMES 127

/*
 * The task's own counters, read by the task itself just after the kernel counted this fault. They
 * let the reader prove that nothing is missing: between two records of a task
 *     delta(maj_flt + min_flt) == lost + hidden + filtered, + 1 if the second one is a counted fault.
 */
struct pf_task_counts {
    __u32 maj_flt; /* low half of task_struct::maj_flt */
    __u32 min_flt; /* low half of task_struct::min_flt */
    __u32 lost;    /* since the last record: faults the probes saw and could not pass on */
    __u32 hidden;  /* since the last record: counted by the kernel without an event (GUP) */
};

/* What only some recordings ask for, or only some backends know. */
struct pf_more {
    __u32 filtered; /* since the last record: counted by the kernel, and not asked for */
    __u32 dev;      /* of the mapped file: major << 20 | minor */
    __u64 inode;    /* 0: no file */
    __u64 file_page;
    __u64 stack; /* hash of the user stack; 0: none */
    __u64 blocked_ns;
    __u64 runqueue_ns;
    __u64 reclaim_ns;
    __u64 lock_ns; /* in the fault and outside handle_mm_fault */
};

/* One logical page fault: two cache lines, and the second one is left alone as a rule. */
struct pf_fault {
    __u8 kind;  /* PF_FAULT */
    __u8 flags; /* enum pf_flag */
    __u8 access;
    __u8 origin;
    __u8 retries;
    __u8 pad;
    __u16 cpu;   /* where it entered */
    __u64 ts_ns; /* entry, CLOCK_MONOTONIC */
    __u64 latency_ns;
    __u64 address;
    __u64 ip;
    __u32 tgid;
    __u32 tid;
    struct pf_task_counts counts;
    struct pf_more more;
};

/* The end of a recorded thread. */
struct pf_exit {
    __u8 kind; /* PF_EXIT */
    __u8 pad[3];
    __u32 filtered;
    __u64 ts_ns;
    __u32 tgid;
    __u32 tid;
    struct pf_task_counts counts;
};

/* A user stack, sent when it is met for the first time. Only `frames` entries of it are sent. */
struct pf_stack {
    __u8 kind; /* PF_STACK */
    __u8 end;  /* enum pf_stack_end */
    __u16 frames;
    __u32 tgid;
    __u64 ts_ns; /* of the fault's entry, so it sorts before the fault */
    __u64 hash;
    __u64 address[PF_STACK_FRAMES]; /* innermost first; all others are return addresses */
};

/* The two ends of a lane, each on a cache line of its own. Both only grow. */
struct pf_lane_ends {
    __u64 head; /* records written, by the probes */
    __u64 pad1[7];
    __u64 tail; /* records read, by the recorder */
    __u64 pad2[7];
};

/* Why an event did not become a record, or was not whole. Counted since the probes were attached. */
struct pf_drops {
    __u64 reserve;    /* the lane or the ring was full */
    __u64 failed;     /* the same, for a failed fault: in no count of the kernel's */
    __u64 no_entry;   /* completion without an entry: the latency would be unknown */
    __u64 state;      /* no memory for the state of a task */
    __u64 unfinished; /* entry without completion: retried from user mode, or not a real fault */
    __u64 exits;      /* the ring was full for a pf_exit */
    __u64 stacks;     /* the ring was full for a pf_stack */
};

#endif
